"""One node's session: what is sent to it goes through a queue, so that a slow node delays nobody."""

import asyncio
import contextlib

from venom_engine.protocol.messages import (
    FEATURE_CANCEL,
    FEATURE_OUTPUT,
    FEATURE_RESUME,
    FEATURES,
    Link,
    LinkClosed,
    MessageType,
    Payload,
)

#: The most messages that may wait for a node; a node that is further behind is cut off.
WAITING = 20_000

#: What a node must have announced (one of these) to be sent a type that the original did not have.
ANNOUNCED = {
    MessageType.WELCOME: frozenset(FEATURES),
    MessageType.STORED: frozenset({FEATURE_RESUME, FEATURE_OUTPUT}),
    MessageType.VERDICTS: frozenset({FEATURE_RESUME}),
    MessageType.CANCEL: frozenset({FEATURE_CANCEL}),
}


class NodeSession:
    """A connection of a node. `epoch` counts sessions: a newer one of the same node ends the older."""

    def __init__(self, link: Link, *, epoch: int, features: frozenset[str], peer: str) -> None:
        self.link, self.epoch, self.features, self.peer = link, epoch, features, peer
        self.ended = False
        self.sender: asyncio.Task[None] | None = None
        self._queue: asyncio.Queue[Payload] = asyncio.Queue(WAITING)

    @property
    def is_original(self) -> bool:
        """A Spore of the original system: it is never sent a type it does not know."""
        return not self.features

    def send(self, payload: Payload) -> bool:
        """Queue a message. False: the session is over, or must not be sent this type."""
        needed = ANNOUNCED.get(payload.TYPE)
        if self.ended or (needed is not None and not needed & self.features):
            return False
        try:
            self._queue.put_nowait(payload)
        except asyncio.QueueFull:
            self.ended = True
            if self.sender is not None:
                self.sender.cancel()
            return False
        return True

    async def run_sender(self) -> None:
        """Send what is queued until the link closes."""
        try:
            with contextlib.suppress(LinkClosed):
                while not self.ended:
                    await self.link.send(await self._queue.get())
        finally:
            await self.close("the node does not read what it is sent")

    async def close(self, reason: str, code: int = 1000) -> None:
        self.ended = True
        await self.link.close(code, reason[:120])
