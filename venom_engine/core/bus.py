"""The event bus: what was stored is told to every watcher, in order; a slow one is dropped.

Owns: the watchers and their queues. Never: stores, never waits for a watcher.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager

from venom_engine.protocol.errors import EngineUnreachable
from venom_engine.protocol.event import Event, EventType
from venom_engine.protocol.messages import now_utc

#: How far a watcher may fall behind before it is dropped with a GAP; it comes back with its last `seq`.
BEHIND = 20_000


class Watcher:
    """One listener's queue."""

    def __init__(self, *, output: bool, load: bool) -> None:
        self._unwanted: set[str] = set()
        if not output:
            self._unwanted |= {EventType.TASK_OUTPUT, EventType.TASK_PROGRESS}
        if not load:
            self._unwanted.add(EventType.NODE_LOAD)
        self._events: deque[Event] = deque()
        self._news = asyncio.Event()
        self._dropped_at: int | None = None
        self._closed = False

    def tell(self, event: Event) -> None:
        """Queue the event. Costs the same however slow the reader is."""
        if event.type in self._unwanted or self._closed or self._dropped_at is not None:
            return
        if len(self._events) >= BEHIND:
            self._dropped_at = event.seq or 0
        else:
            self._events.append(event)
        self._news.set()

    def close(self) -> None:
        self._closed = True
        self._news.set()

    async def events(self) -> AsyncIterator[Event]:
        """What is told; ends after a GAP when this reader was too slow, and with EngineUnreachable
        when the engine ends.
        """
        last = 0
        while True:
            while self._events:
                event = self._events.popleft()
                last = event.seq or last
                yield event
            if self._dropped_at is not None:
                yield gap(last, self._dropped_at)
                return
            if self._closed:
                raise EngineUnreachable(
                    "The engine has ended.", kept="What it acknowledged is stored.", do="Start it again."
                )
            await self._news.wait()
            self._news.clear()


class EventBus:
    """Tells stored events, and the two kinds that are told as they come."""

    def __init__(self) -> None:
        self._watchers: set[Watcher] = set()
        self._closed = False

    def publish(self, events: Sequence[Event]) -> None:
        """Tell every watcher. Called on the event loop, after the commit."""
        for watcher in self._watchers:
            for event in events:
                watcher.tell(event)

    @property
    def watched(self) -> bool:
        return bool(self._watchers)

    @contextmanager
    def watching(self, *, output: bool, load: bool) -> Iterator[Watcher]:
        """Listen while the block runs."""
        watcher = Watcher(output=output, load=load)
        if self._closed:
            watcher.close()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def close(self) -> None:
        """No more events: every watcher ends."""
        self._closed = True
        for watcher in self._watchers:
            watcher.close()


def gap(after: int, before: int) -> Event:
    """The word for: something between these two was not told."""
    return Event(
        type=EventType.GAP,
        message="Some events were not told; ask for a fresh picture",
        timestamp=now_utc(),
        data={"after": after, "before": before},
    )
