"""A link within one process: what one end sends, the other receives, with nothing encoded."""

import asyncio
from collections import deque

from venom_engine.protocol.messages import LinkClosed, Payload

#: How much may be under way in one direction before the sender waits.
DEPTH = 1024


class MemoryEnd:
    """One end of a link in memory. See protocol.messages.Link for what the words mean."""

    def __init__(self) -> None:
        self._inbox: deque[Payload] = deque()
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._closed = False
        self._other = self

    def join(self, other: "MemoryEnd") -> None:
        """What this end sends arrives there; closing one end closes both."""
        self._other = other

    async def send(self, payload: Payload) -> None:
        other = self._other
        while len(other._inbox) >= DEPTH and not self._closed:
            other._room.clear()
            await other._room.wait()
        if self._closed:
            raise LinkClosed("the link in memory is closed")
        other._inbox.append(payload)
        other._news.set()

    async def receive(self) -> Payload:
        while not self._inbox:
            if self._closed:
                raise LinkClosed("the link in memory is closed")
            self._news.clear()
            await self._news.wait()
        self._room.set()
        return self._inbox.popleft()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        for end in (self, self._other):
            end._closed = True
            end._news.set()
            end._room.set()


def memory_link() -> tuple[MemoryEnd, MemoryEnd]:
    """Both ends of a new link."""
    one, two = MemoryEnd(), MemoryEnd()
    one.join(two)
    two.join(one)
    return one, two
