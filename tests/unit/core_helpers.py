"""An engine on a folder of its own, and a node on a link in memory that says what the test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from venom_engine.core.engine import Engine, running_engine
from venom_engine.links.memory import MemoryEnd, memory_link
from venom_engine.protocol.event import Event, EventType
from venom_engine.protocol.messages import (
    FEATURES,
    HeartbeatMessage,
    HeldTask,
    NodeHandshake,
    NodeResponse,
    Payload,
    SkillExecutionRequest,
    Welcome,
)
from venom_engine.protocol.node import Capabilities
from venom_engine.protocol.task import TaskRequest, VenomTask
from venom_engine.settings import Settings
from venom_engine.store.folder import owned_folder

Kind = TypeVar("Kind", bound=Payload)


class TestNode:
    """A node that says what the test says."""

    __test__ = False

    def __init__(self, engine: Engine, name: str, *, original: bool = False, slots: int = 4) -> None:
        self.engine, self.name = engine, name
        self.features = () if original else FEATURES
        self.capabilities = Capabilities(skills=("Echo", "ShellSkill"), slots=slots)

    async def connect(self, *held: HeldTask) -> None:
        theirs, self.link = memory_link()
        self.serving = asyncio.create_task(self.engine.serve_node(theirs, peer="test"))
        await self.say(
            NodeHandshake(
                node_id=self.name,
                node_name=self.name,
                capabilities=self.capabilities,
                token=self.engine.node_token,
                features=self.features,
                held=held,
            )
        )
        if self.features:
            await self.hear(Welcome)

    async def say(self, payload: Payload) -> None:
        await self.link.send(payload)

    async def hear(self, kind: type[Kind]) -> Kind:
        """The next message of this kind; others are skipped."""
        async with asyncio.timeout(10):
            while True:
                payload = await self.link.receive()
                if isinstance(payload, kind):
                    return payload

    async def answer(self, request: SkillExecutionRequest, **fields: Any) -> None:
        values = {"success": True, "result": "done", **fields}
        await self.say(NodeResponse(request_id=request.request_id, node_id=self.name, **values))

    async def cut(self) -> None:
        await self.link.close()
        await self.serving


@asynccontextmanager
async def an_engine(folder: Path, **settings: Any) -> AsyncIterator[Engine]:
    knobs = Settings(venom_state_dir=folder, **settings)
    with owned_folder(folder) as owned:
        async with running_engine(knobs, owned) as engine:
            yield engine


async def until(events: AsyncIterator[Event], kind: EventType) -> Event:
    async with asyncio.timeout(10):
        return await anext(event async for event in events if event.type == kind)


async def submitted(engine: Engine, **fields: Any) -> VenomTask:
    response = await engine.submit(TaskRequest(**{"content": "hi", **fields}))
    return await engine.task(response.task_id)


def a_heartbeat(node: TestNode, *held: str) -> HeartbeatMessage:
    return HeartbeatMessage(node_id=node.name, cpu_usage=0.1, memory_usage=0.2, active_tasks=1, held=held)


async def drained(link: MemoryEnd) -> None:
    while True:
        await link.receive()
