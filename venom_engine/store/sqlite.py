"""The store in one SQLite file: a thread that writes in groups, a thread that reads.

Asks: `moves` for what a write is, `reads` for what a look is. Never: decides anything.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from pydantic import JsonValue

from venom_engine.protocol.errors import StoreFailed
from venom_engine.protocol.event import Event, EventType
from venom_engine.protocol.task import OutputChunk, TaskQuery, TaskStatus
from venom_engine.rules.records import Change, Control, Deal, Lane, Piece, Stopped, Task
from venom_engine.store.base import Hearer
from venom_engine.store.database import connect, open_database
from venom_engine.store.moves import Moves
from venom_engine.store.reads import Reads
from venom_engine.store.writer import Writer, in_words, store_closed

T = TypeVar("T")

log = logging.getLogger(__name__)


class SqliteStore:
    """See store/base.py for what each word means."""

    def __init__(self, moves: Moves, reads: Reads, set_aside: Path | None) -> None:
        self.set_aside = set_aside
        self._hearers: list[Hearer] = []
        self._moves = moves
        self._writer = Writer(moves, self._hear)
        self._reads = reads
        self._closed = False
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="venom-reader")

    def listen(self, hearer: Hearer) -> None:
        self._hearers.append(hearer)

    def _hear(self, events: Sequence[Event]) -> None:
        for hearer in self._hearers:
            hearer(events)

    async def add(self, tasks: Sequence[Task]) -> None:
        await self._writer.move(lambda moves: moves.add(tasks))

    async def claim(self, deals: Sequence[Deal]) -> list[Task]:
        return await self._writer.move(lambda moves: moves.claim(deals))

    async def apply(self, change: Change) -> Task | None:
        return await self._writer.move(lambda moves: moves.apply(change))

    async def abort(self, task_id: str, message: str) -> Task | None:
        return await self._writer.move(lambda moves: moves.abort(task_id, message))

    async def pause(self, by: str | None) -> Control:
        return await self._writer.move(lambda moves: moves.pause(by))

    async def resume(self, by: str | None) -> Control:
        return await self._writer.move(lambda moves: moves.resume(by))

    async def purge(self, by: str | None) -> Stopped:
        return await self._writer.move(lambda moves: moves.purge(by))

    async def stop(self, by: str | None) -> Stopped:
        return await self._writer.move(lambda moves: moves.stop(by))

    async def note(
        self, kind: EventType, message: str, data: dict[str, JsonValue], task_id: str | None = None
    ) -> None:
        await self._writer.move(lambda moves: moves.note(kind, message, data, task_id))

    async def add_output(self, task_id: str, attempt: int, pieces: Sequence[Piece]) -> list[OutputChunk]:
        return await self._writer.move(lambda moves: moves.add_output(task_id, attempt, pieces))

    async def prune(self, *, keep_events: int) -> int:
        return await self._writer.move(lambda moves: moves.prune(keep_events))

    async def find(self, task_id: str) -> Task | None:
        return await self._read(lambda reads: reads.find(task_id))

    async def page(self, query: TaskQuery) -> tuple[list[Task], int, str | None]:
        return await self._read(lambda reads: reads.page(query))

    async def stage_logs(self, tasks: Sequence[Task]) -> dict[str, list[Event]]:
        return await self._read(lambda reads: reads.stage_logs(tasks))

    async def output(self, task_id: str, after: int, limit: int) -> list[OutputChunk]:
        return await self._read(lambda reads: reads.output(task_id, after, limit))

    async def tail(self, task_id: str, limit: int) -> list[OutputChunk]:
        return await self._read(lambda reads: reads.tail(task_id, limit))

    async def held(self) -> list[tuple[Task, int]]:
        return await self._read(lambda reads: reads.held())

    async def lanes(self) -> list[Lane]:
        return await self._read(lambda reads: reads.lanes())

    async def events(self, after: int, limit: int) -> list[Event]:
        return await self._read(lambda reads: reads.events(after, limit))

    async def seq_range(self) -> tuple[int, int]:
        return await self._read(lambda reads: reads.seq_range())

    async def all_tasks(self, after: int, limit: int) -> list[Task]:
        """For the dump: tasks in order of submission."""
        return await self._read(lambda reads: reads.all_tasks(after, limit))

    def counts(self) -> dict[TaskStatus, int]:
        return self._moves.counts

    def control(self) -> Control:
        return self._moves.control

    async def close(self) -> None:
        await self._writer.close()
        self._closed = True
        await asyncio.to_thread(self._reader.shutdown)

    async def _read(self, look: Callable[[Reads], T]) -> T:
        if self._closed:
            raise store_closed()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._reader, look, self._reads)
        except sqlite3.Error as error:
            log.error("The state could not be read: %s", error)
            raise StoreFailed(
                f"The state could not be read: {in_words(error)}.",
                kept="Nothing was changed.",
                do="Look at the engine's log and at the disk; a restart checks the whole file.",
            ) from error


@asynccontextmanager
async def sqlite_store(path: Path, *, output_limit: int) -> AsyncIterator[SqliteStore]:
    """The store in this file. Raises StateUnusable; a damaged file is set aside, see `set_aside`."""
    writing, opened = await asyncio.to_thread(open_database, path)
    reading = connect(path, read_only=True)
    try:
        store = SqliteStore(Moves(writing, output_limit=output_limit), Reads(reading), opened.set_aside)
        try:
            yield store
        finally:
            await store.close()
    finally:
        reading.close()
        writing.close()
