"""An engine with a node of its own in this process. The only module of the engine that knows the Spore.

The local node is the same agent that runs on any other machine, on a link in memory.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from spore.agent import Agent
from spore.skills.registry import default_registry
from venom_engine.core.engine import Engine, running_engine
from venom_engine.core.group import loops_beside
from venom_engine.links.memory import memory_link
from venom_engine.protocol.event import EventType
from venom_engine.protocol.messages import Link
from venom_engine.settings import Settings
from venom_engine.store.folder import owned_folder

LOCAL = "local"


@asynccontextmanager
async def running_local_engine(settings: Settings, *, local_node: bool = True) -> AsyncIterator[Engine]:
    """A live engine on its state folder, with a local node unless told otherwise.

    Raises EngineBusy, naming the owner, when the folder is taken; StateUnusable when it, or the state
    file in it, cannot be used. At the end running local tasks get `drain_seconds`, then go back to the queue.
    """
    with owned_folder(settings.venom_state_dir) as folder:
        async with running_engine(settings, folder) as engine:
            if not local_node:
                yield engine
                return
            async with _local_node(engine):
                yield engine


@asynccontextmanager
async def _local_node(engine: Engine) -> AsyncIterator[None]:
    modules = (name.strip() for name in engine.settings.local_skills.split(","))
    registry = default_registry(filter(None, modules))
    agent = Agent(
        name=LOCAL,
        node_id=engine.folder.node_id(),
        registry=registry,
        workspace=engine.folder.path / "workspace",
        token=engine.node_token,
        slots=engine.settings.local_slots,
    )
    sessions: set[asyncio.Task[None]] = set()

    async def connect() -> Link:
        ours, theirs = memory_link()
        session = asyncio.create_task(engine.serve_node(ours, peer=LOCAL), name="local session")
        sessions.add(session)
        session.add_done_callback(sessions.discard)
        return theirs

    async with loops_beside() as group:
        async with engine.watch() as events:
            running = group.create_task(agent.run(connect), name="local node")
            await anext(event async for event in events if event.type == EventType.NODE_CONNECTED)
        try:
            yield
        finally:
            engine.stop_claiming()
            await agent.stop(drain=engine.settings.drain_seconds)
            with contextlib.suppress(asyncio.CancelledError):
                await running
            if sessions:
                await asyncio.wait(sessions)
