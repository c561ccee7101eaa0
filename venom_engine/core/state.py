"""Tasks as the engine keeps them: every change stored, a storage error retried and shown.

Owns: the list of what hinders the engine now. Asks: the store. Never: nodes, sockets, screens.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar
from uuid import UUID

from venom_engine.core.bus import EventBus
from venom_engine.core.wire import wire_task
from venom_engine.protocol.errors import NotFound, StoreFailed
from venom_engine.protocol.event import Event, EventType
from venom_engine.protocol.messages import now_utc
from venom_engine.protocol.task import TaskPage, TaskQuery, VenomTask
from venom_engine.rules.records import Change, Task
from venom_engine.store.base import Store

T = TypeVar("T")
STORAGE = "storage"
RETRY_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)

log = logging.getLogger(__name__)


class StateManager:
    """What is stored, and whether it can be."""

    def __init__(self, store: Store, bus: EventBus) -> None:
        self._store = store
        self._bus = bus
        self.problems: dict[str, str] = {}

    async def create(self, tasks: Sequence[Task]) -> None:
        """Keep new tasks. Raises StoreFailed: none was kept."""
        try:
            await self._store.add(tasks)
        except StoreFailed as error:
            self.failed(error)
            raise
        self.worked()

    async def settle(self, change: Change) -> Task | None:
        """Write the end of an attempt, however long the disk refuses. None: the task had moved on."""
        return await self.insist(lambda: self._store.apply(change))

    async def insist(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write, again and again until it is stored: for what a node has told and nobody else knows."""
        tries = 0
        while True:
            try:
                written = await write()
            except StoreFailed as error:
                self.failed(error)
                await asyncio.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                tries += 1
            else:
                self.worked()
                return written

    async def get(self, task_id: UUID) -> VenomTask:
        """One task with its stage log. NotFound when there is none."""
        task = await self._store.find(str(task_id))
        if task is None:
            raise unknown_task(task_id)
        logs = await self._store.stage_logs([task])
        return wire_task(task, logs[task.id])

    async def page(self, query: TaskQuery) -> TaskPage:
        tasks, total, cursor = await self._store.page(query)
        logs = await self._store.stage_logs(tasks) if query.logs else {}
        return TaskPage(
            tasks=[wire_task(task, logs.get(task.id, ())) for task in tasks], total=total, next_cursor=cursor
        )

    def failed(self, error: StoreFailed) -> None:
        """The store refused: say so once, everywhere."""
        if self.problems.get(STORAGE) != error.what:
            self.problems[STORAGE] = error.what
            self.say(error.what, level="error")

    def worked(self) -> None:
        if self.problems.pop(STORAGE, None):
            log.warning("The state can be written again")
            self.say("The state can be written again", level="info")

    def say(self, message: str, *, level: str) -> None:
        """Tell the watchers something that cannot be stored."""
        told = Event(type=EventType.SYSTEM_LOG, message=message, timestamp=now_utc(), data={"level": level})
        self._bus.publish([told])


def unknown_task(task_id: UUID) -> NotFound:
    return NotFound(
        f"There is no task {task_id}.",
        kept="Nothing was changed.",
        do="Look at the list of tasks for the right id.",
    )
