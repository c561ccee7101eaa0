"""The state folder: who owns it, its secrets, and where its engine can be reached.

    engine.lock   held (flock) by the engine for as long as it lives; the kernel lets go when it dies
    engine.json   who that is: pid, url, version, started_at
    token         the operator token, 0600
    node-token    what nodes present, 0600
    node-id       the identity of the engine's own node
    venom.db      tasks, events, output (see store/sqlite)

Standard library only: the console reads it before anything heavy is loaded.
"""

import errno
import fcntl
import json
import os
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from venom_engine import __version__
from venom_engine.protocol.errors import EngineBusy, StateUnusable

LOCK, ENGINE, TOKEN, NODE_TOKEN, NODE_ID, DATABASE = (
    "engine.lock",
    "engine.json",
    "token",
    "node-token",
    "node-id",
    "venom.db",
)


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """The engine that owns a state folder."""

    pid: int
    url: str | None  #: None: it serves nobody (it runs inside a program).
    version: str
    started_at: str


class StateFolder:
    """A state folder that this process owns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def database(self) -> Path:
        return self.path / DATABASE

    def operator_token(self) -> str:
        """The token in the folder; made at first use."""
        return self._kept(TOKEN, lambda: secrets.token_urlsafe(32))

    def node_token(self) -> str:
        """What nodes present; made at first use."""
        return self._kept(NODE_TOKEN, lambda: secrets.token_urlsafe(32))

    def node_id(self) -> str:
        """The stable identity of the engine's own node."""
        return self._kept(NODE_ID, lambda: str(uuid.uuid4()))

    def announce(self, url: str | None) -> None:
        """Say who owns the folder and where it answers."""
        engine = RunningEngine(os.getpid(), url, __version__, datetime.now(UTC).isoformat(timespec="seconds"))
        write_private(self.path / ENGINE, json.dumps(asdict(engine)) + "\n")

    def _kept(self, name: str, make: Callable[[], str]) -> str:
        found = read_secret(self.path / name)
        if found:
            return found
        made = make()
        write_private(self.path / name, made + "\n")
        return made


@contextmanager
def owned_folder(path: Path) -> Iterator[StateFolder]:
    """Own the folder while the block runs.

    Raises EngineBusy, naming the owner, when another engine has it; StateUnusable when the folder
    cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        _take(lock, path)
        folder = StateFolder(path)
        try:
            folder.announce(None)
        except OSError as error:
            raise _unusable(path, error) from error
        try:
            yield folder
        finally:
            (path / ENGINE).unlink(missing_ok=True)
    finally:
        os.close(lock)


def running_engine_on(path: Path) -> RunningEngine | None:
    """The live engine that owns this folder; None when nobody does. Changes nothing."""
    try:
        lock = os.open(path / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except OSError:
        return _announced(path) or RunningEngine(0, None, "", "")
    finally:
        os.close(lock)


def read_secret(path: Path) -> str | None:
    """The one line of a secret file; None when it is missing, empty or not ours to read."""
    try:
        return path.read_text().strip() or None
    except OSError:
        return None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _take(lock: int, path: Path) -> None:
    # Somebody who only looks (running_engine_on) holds the lock for microseconds: try again a little.
    for tries_left in reversed(range(25)):
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            if not tries_left:
                raise _busy(path) from error
        time.sleep(0.02)


def _announced(path: Path) -> RunningEngine | None:
    try:
        return RunningEngine(**json.loads((path / ENGINE).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _unusable(path: Path, error: OSError) -> StateUnusable:
    return StateUnusable(
        f"The state folder {path} cannot be used: {error.strerror}.",
        kept="Nothing was changed.",
        do="Make it writable, or choose another with --state-dir.",
    )


def _busy(path: Path) -> EngineBusy:
    owner = _announced(path)
    who = f"the engine with pid {owner.pid}" if owner else "another engine"
    where = f" at {owner.url}" if owner and owner.url else ""
    since = f", running since {owner.started_at}" if owner else ""
    return EngineBusy(
        f"The state folder {path} belongs to {who}{where}{since}.",
        kept="That engine was not disturbed.",
        do=f"Use it (--engine {owner.url}), stop it, or choose another folder with --state-dir."
        if owner and owner.url
        else "Stop it, or choose another folder with --state-dir.",
    )
