"""The node's state folder: its identity, and the lock that keeps two Spores from sharing it."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from spore.errors import NodeIdentityHeld
from venom_engine.protocol.errors import StateUnusable
from venom_engine.protocol.node import NodeText

ID_FILE, LOCK_FILE = "spore-id", "spore.lock"

_NODE_ID: TypeAdapter[str] = TypeAdapter(NodeText)


@contextmanager
def owned_identity(folder: Path) -> Iterator[str]:
    """The node id of this folder, made at first use, ours alone while the block runs."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(folder, error) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise NodeIdentityHeld(
                f"Another Spore runs on {folder}.",
                kept="It was not disturbed.",
                do="Stop it, or give this one a folder of its own with --state-dir.",
            ) from error
        yield _kept_id(folder)
    finally:
        os.close(lock)


def _kept_id(folder: Path) -> str:
    file = folder / ID_FILE
    try:
        return _NODE_ID.validate_python(file.read_text().strip())
    except FileNotFoundError:
        return _new_id(file)
    except (ValidationError, ValueError):
        raise StateUnusable(
            f"{file} holds no node id.", kept="It was left as it is.", do="Remove it to get a new identity."
        ) from None
    except OSError as error:
        raise _unusable(folder, error) from error


def _new_id(file: Path) -> str:
    node_id = str(uuid.uuid4())
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as out:
            out.write(node_id + "\n")
            out.flush()
            os.fsync(handle)
        draft.replace(file)
    except OSError as error:
        raise _unusable(file.parent, error) from error
    return node_id


def _unusable(folder: Path, error: OSError) -> StateUnusable:
    return StateUnusable(
        f"The state folder {folder} cannot be used: {error.strerror}.",
        kept="Nothing was changed.",
        do="Make it writable, or choose another with --state-dir.",
    )
