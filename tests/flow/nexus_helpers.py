"""A Nexus of the test's own: a real server on a free port that says what the test says; and an agent that visits it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from websockets.asyncio.server import Server, ServerConnection, serve

from spore.agent import Agent
from spore.errors import LinkRefused
from spore.link_nexus import connect_nexus
from spore.skills.registry import default_registry
from tests.unit.spore_helpers import a_request
from venom_engine.protocol.messages import (
    MAX_FRAME_BYTES,
    Accepted,
    HeartbeatMessage,
    NodeHandshake,
    OutputMessage,
    Payload,
    Welcome,
    decode,
    encode,
)

Kind = TypeVar("Kind", bound=Payload)


class Visit:
    """One session, from the engine's end. It says what the test says."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.heard: list[Payload] = []

    async def say(self, payload: Payload | str) -> None:
        await self.socket.send(payload if isinstance(payload, str) else encode(payload))

    async def hear(self, kind: type[Kind]) -> Kind:
        """The next message of this kind; what comes before it is in `heard`."""
        async with asyncio.timeout(20):
            while True:
                payload = decode(await self.socket.recv())
                assert payload is not None
                self.heard.append(payload)
                if isinstance(payload, kind):
                    return payload

    async def welcome(self, **fields: Any) -> NodeHandshake:
        """Take the handshake and say WELCOME."""
        handshake = await self.hear(NodeHandshake)
        values = {"epoch": 1, "lease_seconds": 30, "heartbeat_seconds": 30, **fields}
        await self.say(Welcome(**values))
        return handshake

    async def shell(self, command: str, **fields: Any) -> str:
        """Ask for a command; the id of the request, once it was accepted."""
        request = a_request("ShellSkill", parameters={"command": command}, **fields)
        await self.say(request)
        assert (await self.hear(Accepted)).request_id == request.request_id
        return request.request_id

    async def drop(self) -> None:
        """As if the cable was cut: no goodbye."""
        self.socket.transport.abort()
        await self.socket.wait_closed()

    async def leave(self, code: int = 1000, reason: str = "") -> None:
        await self.socket.close(code, reason)

    def kinds(self) -> list[str]:
        """What was said, without the heartbeats."""
        return [p.TYPE.value for p in self.heard if not isinstance(p, HeartbeatMessage)]

    def text(self) -> str:
        return "".join(p.text for m in self.heard if isinstance(m, OutputMessage) for p in m.pieces)


class Nexus:
    """A real server on a free port, which the test can take away and bring back."""

    def __init__(self) -> None:
        self._visits: asyncio.Queue[Visit] = asyncio.Queue()
        self._server: Server | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/nodes"

    async def up(self) -> None:
        self._server = await serve(
            self._receive, "127.0.0.1", self.port, max_size=MAX_FRAME_BYTES, close_timeout=0.1
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def down(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def visit(self) -> Visit:
        """The next node that connects."""
        async with asyncio.timeout(20):
            return await self._visits.get()

    async def _receive(self, socket: ServerConnection) -> None:
        self._visits.put_nowait(Visit(socket))
        await socket.wait_closed()


@asynccontextmanager
async def a_node(nexus: Nexus, folder: Path, **fields: Any) -> AsyncIterator[Agent]:
    """An agent that runs while the block does."""
    values: dict[str, Any] = {
        "name": "spore-1",
        "node_id": "node-1",
        "registry": default_registry(),
        "workspace": folder / "workspace",
        "token": "secret",
        "slots": 2,
    }
    agent = Agent(**{**values, **fields})
    running = asyncio.create_task(agent.run(lambda: connect_nexus(nexus.url)))
    try:
        yield agent
    finally:
        await agent.stop()
        await asyncio.wait({running})
        if not isinstance(running.exception(), LinkRefused):
            running.result()
