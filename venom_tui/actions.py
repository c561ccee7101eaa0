"""What the operator may do to the engine: each call says what came of it, in a sentence.

Asks: the client that the feed holds; the emergency stop opens a connection of its own.
Never: shows anything, or decides whether the operator is sure.
"""

import getpass
import os
import socket
from typing import TYPE_CHECKING
from uuid import UUID

from venom_engine.protocol.errors import BadRequest, EngineUnreachable, NotAllowed
from venom_tui.door import Door
from venom_tui.feed import Feed

if TYPE_CHECKING:
    from venom_engine.client.base import EngineClient
    from venom_engine.protocol.queue import QueueReply


class Actions:
    """The controls. Every call may raise a VenomError, which says what was kept and what to do."""

    def __init__(self, feed: Feed, door: Door, *, read_only: bool) -> None:
        self._feed, self._door, self._read_only = feed, door, read_only
        self._by = f"{_user()}@{socket.gethostname()}"

    def allowed(self, *, connected: bool = True) -> None:
        """Raises NotAllowed in a read-only console, EngineUnreachable while there is no connection."""
        self._writable()
        if connected:
            self._client()

    async def submit(self, content: str) -> str:
        """Take a task. Its id, once it is on disk."""
        from pydantic import ValidationError

        from venom_engine.protocol.task import TaskRequest

        self._writable()
        try:
            request = TaskRequest(content=content)
        except ValidationError as error:
            reason = str(error.errors()[0]["msg"]).removeprefix("Value error, ")
            raise BadRequest(f"{reason[:1].upper()}{reason[1:]}.") from error
        answer = await self._client().submit(request)
        return str(answer.task_id)

    async def abort(self, task_id: str) -> str:
        """Stop one task, wherever it runs."""
        self._writable()
        return (await self._client().abort(UUID(task_id))).message

    async def toggle_pause(self) -> str:
        """Pause, or end a pause or a stop."""
        self._writable()
        client, queue = self._client(), self._feed.board.queue
        paused = queue.paused if queue else (await client.queue_status()).paused
        reply = await (client.resume(by=self._by) if paused else client.pause(by=self._by))
        return reply.message

    async def purge(self) -> str:
        """Abort everything that waits."""
        self._writable()
        return (await self._client().purge(by=self._by)).message

    async def emergency_stop(self) -> "QueueReply":
        """Stop everything, through a connection of its own: it never waits behind anything."""
        self._writable()
        async with self._door.client() as client:
            return await client.emergency_stop(by=self._by)

    def _writable(self) -> None:
        if self._read_only:
            raise NotAllowed(
                "This console is read-only.",
                kept="Nothing was sent.",
                do="Start it without --read-only to act.",
            )

    def _client(self) -> "EngineClient":
        if self._feed.client is None:
            raise EngineUnreachable(
                "There is no connection to the engine.",
                kept="Nothing was sent.",
                do="Try again when it is back.",
            )
        return self._feed.client


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"  # In a container nobody may have given the number a name.
