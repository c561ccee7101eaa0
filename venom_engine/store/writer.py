"""Group commit: everything that arrives while one commit runs shares the next.

One thread owns the connection that writes. A commit costs a disk flush, whether it carries one
change or a thousand, so the more callers wait the cheaper each becomes.
"""

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from venom_engine.protocol.errors import EngineUnreachable, StoreFailed
from venom_engine.protocol.event import Event
from venom_engine.store.moves import Moves

T = TypeVar("T")
#: The most moves in one commit: bounds how long the first of them waits.
BATCH = 4096

_WORDS = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "the disk reports an error",
    sqlite3.SQLITE_READONLY: "the state file is read-only",
    sqlite3.SQLITE_CORRUPT: "the state file is damaged",
    sqlite3.SQLITE_NOTADB: "the state file is damaged",
    sqlite3.SQLITE_CANTOPEN: "the state file cannot be opened",
    sqlite3.SQLITE_BUSY: "another program holds the state file",
}

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Job:
    """One caller's move, and where its answer goes."""

    move: Callable[[Moves], Any]
    future: asyncio.Future[Any]
    answer: Any = None
    error: BaseException | None = None


class Writer:
    """The thread that writes. `move` is called from the event loop only."""

    def __init__(self, moves: Moves, hearer: Callable[[Sequence[Event]], None]) -> None:
        self._moves = moves
        self._hearer = hearer
        self._loop = asyncio.get_running_loop()
        self._closed = False
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="venom-writer", daemon=True)
        self._thread.start()

    async def move(self, move: Callable[[Moves], T]) -> T:
        """Carry out a move; returns when it is on disk. Raises StoreFailed: nothing was written.

        A caller that is cancelled while it waits does not undo the move.
        """
        if self._closed:
            raise store_closed()
        future: asyncio.Future[T] = self._loop.create_future()
        self._jobs.put(Job(move, future))
        return await future

    async def close(self) -> None:
        """Write what is queued, then end."""
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        going = True
        while going:
            batch = [self._jobs.get()]
            try:
                while len(batch) < BATCH:
                    batch.append(self._jobs.get_nowait())
            except Empty:
                pass
            jobs = [job for job in batch if job is not None]
            going = len(jobs) == len(batch)
            if jobs:
                self._write(jobs)

    def _write(self, jobs: list[Job]) -> None:
        try:
            events = self._transaction(jobs)
        except Exception as error:
            if len(jobs) > 1:
                # One of them, or the disk: each by itself, so that nobody pays for another's fault.
                for job in jobs:
                    self._write([job])
                return
            jobs[0].error = _told(error)
            events = []
        self._loop.call_soon_threadsafe(self._deliver, jobs, events)

    def _transaction(self, jobs: list[Job]) -> list[Event]:
        self._moves.begin()
        try:
            for job in jobs:
                job.answer = job.move(self._moves)
            return self._moves.commit()
        except BaseException:
            self._moves.roll_back()
            raise

    def _deliver(self, jobs: list[Job], events: list[Event]) -> None:
        if events:
            self._hearer(events)
        for job in jobs:
            if job.future.done():  # its caller was cancelled
                continue
            if job.error is not None:
                job.future.set_exception(job.error)
            else:
                job.future.set_result(job.answer)


def store_closed() -> EngineUnreachable:
    """What a call gets that comes after the end."""
    return EngineUnreachable(
        "The engine has ended.", kept="What it acknowledged is stored.", do="Start it again."
    )


def in_words(error: sqlite3.Error) -> str:
    """What an operator can act on; the rest is in the log."""
    return _WORDS.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "the state file cannot be used")


def _told(error: Exception) -> Exception:
    if not isinstance(error, sqlite3.Error):
        return error
    log.error("The state could not be written: %s", error)
    return StoreFailed(
        f"The state could not be written: {in_words(error)}.",
        kept="Nothing of this request was stored; what was acknowledged before is safe.",
        do="See that the disk of the state folder has room and is writable, then try again.",
    )
