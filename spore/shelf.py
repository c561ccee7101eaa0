"""Answers that could not be handed over, as files: they outlive the node's own process.

One file for each call, written whole or not at all, gone as soon as the engine has stored the answer.
"""

import hashlib
import logging
import os
from pathlib import Path

from pydantic import BaseModel, ValidationError

from spore.answers import encoded_size
from spore.parcel import Parcel
from venom_engine.protocol.messages import NodeResponse, OutputPiece

logger = logging.getLogger("spore")


class ShelvedAnswer(BaseModel):
    """One call that has ended, with what it printed."""

    request_id: str
    task_id: str
    attempt: int
    pieces: tuple[OutputPiece, ...]
    response: NodeResponse


class Shelf:
    """The folder `outbox` in the node's state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._folder = state_dir / "outbox"

    def write(self, answer: ShelvedAnswer) -> None:
        """Returns when the file is on disk. Raises OSError."""
        file = self._file(answer.request_id)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = file.with_suffix(".draft")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "w") as out:
            out.write(answer.model_dump_json())
            out.flush()
            os.fsync(handle)
        draft.replace(file)

    def remove(self, request_id: str) -> None:
        """The engine has it, or does not want it."""
        try:
            self._file(request_id).unlink(missing_ok=True)
        except OSError as error:
            logger.warning("An answer that is done with cannot be removed: %s", error)

    def read(self) -> list[Parcel]:
        """What an earlier run of this node could not hand over."""
        found = []
        for file in sorted(self._folder.glob("*.json")):
            try:
                found.append(_parcel(ShelvedAnswer.model_validate_json(file.read_bytes())))
            except (OSError, ValidationError) as error:
                logger.warning("%s cannot be read and is left out: %s", file, error)
        return found

    def _file(self, request_id: str) -> Path:
        # The engine names requests: a name of ours cannot lead out of the folder.
        return self._folder / f"{hashlib.sha256(request_id.encode()).hexdigest()[:40]}.json"


def shelved(parcel: Parcel) -> ShelvedAnswer | None:
    """What to write down of a parcel; None when there is nothing worth it."""
    if parcel.response is None or parcel.task_id is None:
        return None
    return ShelvedAnswer(
        request_id=parcel.request_id,
        task_id=parcel.task_id,
        attempt=parcel.attempt,
        pieces=parcel.pieces,
        response=parcel.response,
    )


def _parcel(answer: ShelvedAnswer) -> Parcel:
    parcel = Parcel(answer.request_id, answer.task_id, answer.attempt)
    parcel.restore(answer.pieces)
    parcel.finish(answer.response, encoded_size(answer.response.result))
    parcel.on_disk = True
    return parcel
