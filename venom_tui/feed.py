"""Brings the engine to the board: connects, listens, asks for what is shown, and comes back by itself.

The only place that awaits the engine for reading. Events say that something changed; what is on the
screen is then asked for, paced, so that a million tasks cost what fifty cost.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import uniform
from typing import TYPE_CHECKING, NoReturn
from uuid import UUID

from venom_engine.protocol.errors import EngineUnreachable, NotAllowed, NotFound, VenomError
from venom_tui.board import Board, Connection, Filter, Topic
from venom_tui.door import Door
from venom_tui.task_focus import TaskFocus

if TYPE_CHECKING:
    from venom_engine.client.base import EngineClient
    from venom_engine.protocol.event import Event

#: Before the first, second … try to reach an engine that went away; the last one from there on.
_BACKOFF = (0.2, 0.5, 1.0, 2.0, 4.0)
_REFUSED_SECONDS = 10.0
#: How long the cursor must rest on a task before its output is asked for.
_SETTLE_SECONDS = 0.2
#: Output in one request; also how much of a task's past is shown.
_PIECES = 1_000
#: Events taken before others get a turn.
_BURST = 200


class _TooSlow(EngineUnreachable):
    """The engine gave up on this listener; it listens again at once, and asks for what it missed."""


@dataclass(frozen=True, slots=True)
class Paces:
    """Seconds between two looks at the same thing."""

    tasks: float = 0.25
    counts: float = 0.5
    nodes: float = 1.0
    output: float = 0.1


SLOW = Paces(tasks=1.0, counts=2.0, nodes=3.0, output=1.0)


class Feed:
    """The console's one reader of the engine."""

    def __init__(self, board: Board, door: Door, *, slow: bool = False) -> None:
        self.board = board
        self.client: EngineClient | None = None
        self.tell: Callable[[Topic], object] = lambda topic: None  #: Who is told what has changed.
        self._door, self._slow = door, slow
        self._paces = SLOW if slow else Paces()
        self._view = (0, 50)
        self._selected: str | None = None
        self._failures = 0
        self._tasks, self._counts, self._nodes, self._focus = (asyncio.Event() for _ in range(4))

    async def run(self) -> None:
        """Until cancelled: connect, follow, and connect again."""
        try:
            async with self._door.open():
                while True:
                    await self._connected()
                    await asyncio.sleep(self._delay())
        except VenomError as error:  # An engine inside that cannot start: there is nothing to come back to.
            self._lost(error, Connection.REFUSED)

    def look_at(self, first: int, count: int) -> None:
        """These rows of the task list are on the screen."""
        if (first, count) != self._view:
            self._view = (first, count)
            self._tasks.set()

    def select(self, task_id: str | None) -> None:
        """The cursor is on this task."""
        if task_id != self._selected:
            self._selected = task_id
            self._focus.set()

    def filter(self, chosen: Filter) -> None:
        """List other tasks."""
        self.board.look(chosen)
        self._tasks.set()
        self.tell(Topic.TASKS)

    def refresh(self) -> None:
        """Something was done that events may tell late: look at everything soon."""
        self.board.counts_stale = True
        self.board.tasks.look_again()
        self._wake()

    # -- one connection

    async def _connected(self) -> None:
        try:
            async with self._door.client() as client:
                after = self.board.seq
                async with client.watch(after=after, output=not self._slow, load=True) as events:
                    self._live(client)
                    async with asyncio.TaskGroup() as loops:
                        for loop in (
                            self._listen(events),
                            self._keep_tasks(client),
                            self._keep_focus(client),
                            self._keep(self._counts, self._paces.counts, lambda: self._ask_counts(client)),
                            self._keep(self._nodes, self._paces.nodes, lambda: self._ask_nodes(client)),
                        ):
                            loops.create_task(loop)
        except* _TooSlow:
            self._failures = 0
        except* VenomError as group:
            error = _first(group)
            refused = isinstance(error, NotAllowed)
            self._lost(error, Connection.REFUSED if refused else Connection.LOST)
        finally:
            self.client = None

    def _live(self, client: "EngineClient") -> None:
        self.client, self._failures = client, 0
        board = self.board
        board.engine, board.connection, board.trouble = self._door.label, Connection.LIVE, ""
        board.heard_at = time.monotonic()
        board.reconnected()
        self.tell(Topic.STATUS)
        self._wake()

    def _lost(self, error: VenomError, connection: Connection) -> None:
        self.client = None
        self._failures += 1
        self.board.connection, self.board.trouble = connection, str(error)
        self.board.engine = self.board.engine or self._door.label
        self.tell(Topic.STATUS)
        self.tell(Topic.TASKS)

    def _delay(self) -> float:
        if self.board.connection is Connection.REFUSED:
            return _REFUSED_SECONDS
        if not self._failures:
            return 0.0
        return _BACKOFF[min(self._failures, len(_BACKOFF)) - 1] * uniform(0.8, 1.2)

    # -- what happens

    async def _listen(self, events: "AsyncIterator[Event]") -> NoReturn:
        heard = 0
        async for event in events:
            self.board.heard_at = time.monotonic()
            for topic in self.board.fold(event):
                self.tell(topic)
            if event.type not in ("TASK_OUTPUT", "NODE_LOAD"):
                self._wake()
            elif self.board.focus and self.board.focus.stale:
                self._focus.set()
            heard += 1
            if event.type == "GAP":
                raise _TooSlow("Some events were not told.", do="Listening anew.")
            if heard % _BURST == 0:
                await asyncio.sleep(0)
        raise EngineUnreachable("The engine ended the stream of events.", do="Trying again.")

    def _wake(self) -> None:
        for news in (self._tasks, self._counts, self._nodes, self._focus):
            news.set()

    # -- what is asked

    async def _keep(
        self, news: asyncio.Event, seconds: float, ask: Callable[[], Awaitable[None]]
    ) -> NoReturn:
        while True:
            await news.wait()
            news.clear()
            await ask()
            await asyncio.sleep(seconds)

    async def _ask_counts(self, client: "EngineClient") -> None:
        if self.board.counts_stale:
            self.board.counts_stale = False
            self._took(self.board.take_queue(await client.queue_status()))

    async def _ask_nodes(self, client: "EngineClient") -> None:
        if self.board.nodes_stale:
            self.board.nodes_stale = False
            self._took(self.board.take_nodes(await client.nodes()))

    async def _keep_tasks(self, client: "EngineClient") -> NoReturn:
        asked_at = 0.0
        while True:
            window = self.board.tasks
            wait = asked_at + self._paces.tasks - time.monotonic()
            if window.want(*self._view) is None:
                await self._tasks.wait()
            elif wait > 0 and not window.is_urgent(*self._view):
                await _nap(wait, self._tasks)
            else:
                asked_at = time.monotonic()
                await self._ask_tasks(client)
            self._tasks.clear()

    async def _ask_tasks(self, client: "EngineClient") -> None:
        from venom_engine.protocol.task import TaskQuery, TaskStatus

        window, chosen = self.board.tasks, self.board.filter
        span = window.want(*self._view)
        if span is None:
            return
        window.asked()
        page = await client.tasks(
            TaskQuery(
                status=(TaskStatus(chosen.status),) if chosen.status else (),
                text=chosen.text or None,
                offset=span.offset,
                limit=span.limit,
                logs=False,
            )
        )
        if window is self.board.tasks:
            self._took(self.board.take_tasks(span, page))

    async def _keep_focus(self, client: "EngineClient") -> NoReturn:
        while True:
            await self._settle_focus()
            focus = self.board.focus
            if focus is None:
                await self._focus.wait()
            elif focus.stale:
                await self._ask_focus(client, focus)
                self.tell(Topic.LOG)
                await _nap(self._paces.output, self._focus)
            elif self._slow and not focus.ended:
                await _nap(self._paces.output, self._focus)
                focus.stale = True
            else:
                await self._focus.wait()
            self._focus.clear()

    async def _settle_focus(self) -> None:
        """Wait until the cursor rests, then follow the task under it."""
        while self._selected != (self.board.focus.task_id if self.board.focus else None):
            chosen = self._selected
            if self.board.focus is not None:
                await asyncio.sleep(_SETTLE_SECONDS)
            if chosen == self._selected:
                self.board.focus_on(chosen)
                self.tell(Topic.LOG)

    async def _ask_focus(self, client: "EngineClient", focus: TaskFocus) -> None:
        task_id = UUID(focus.task_id)
        try:
            if focus.task is None:
                focus.loading()
                task, chunks = await asyncio.gather(client.task(task_id), client.tail(task_id, limit=_PIECES))
                focus.loaded(task, chunks)
                return
            focus.stale = False
            more = await client.output(task_id, after=focus.last_piece, limit=_PIECES)
            focus.more(more)
            focus.moved_on(await client.task(task_id))
            focus.stale = focus.stale or len(more) == _PIECES
        except NotFound:
            focus.stale, focus.known = False, True

    def _took(self, topics: set[Topic]) -> None:
        self.board.heard_at = time.monotonic()
        for topic in topics:
            self.tell(topic)


async def _nap(seconds: float, news: asyncio.Event) -> None:
    """Wait for news, but no longer than this."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await news.wait()


def _first(group: BaseExceptionGroup[VenomError]) -> VenomError:
    for error in group.exceptions:
        return _first(error) if isinstance(error, BaseExceptionGroup) else error
    raise AssertionError("an exception group is never empty")
