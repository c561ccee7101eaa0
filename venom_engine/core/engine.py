"""The engine, put together. `Engine` is itself an `EngineClient`: in process, nothing stands between.

Owns: the order in which the parts start and end. Asks: the managers for everything else.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from pydantic import JsonValue

from venom_engine import __version__
from venom_engine.core.background import Background
from venom_engine.core.bus import EventBus, gap
from venom_engine.core.group import loops_beside
from venom_engine.core.janitor import Janitor
from venom_engine.core.listener import TaskListener
from venom_engine.core.nodes import NodeManager, unknown_node
from venom_engine.core.orchestrator import Orchestrator
from venom_engine.core.queue import QueueManager
from venom_engine.core.reception import receive_node
from venom_engine.core.settler import Settler
from venom_engine.core.state import StateManager, unknown_task
from venom_engine.core.waiting import Waiting
from venom_engine.protocol.errors import NotAllowed
from venom_engine.protocol.event import Event, EventType
from venom_engine.protocol.messages import Link
from venom_engine.protocol.node import ExecuteReply, ExecuteRequest, NodeInfo, NodeList
from venom_engine.protocol.queue import AbortReply, QueueReply, QueueStatus
from venom_engine.protocol.task import (
    OutputChunk,
    TaskPage,
    TaskQuery,
    TaskRequest,
    TaskResponse,
    TaskStatus,
    VenomTask,
)
from venom_engine.settings import Settings
from venom_engine.store.folder import StateFolder
from venom_engine.store.sqlite import SqliteStore, sqlite_store

#: Events read at a time while a watcher catches up.
REPLAY = 1000

log = logging.getLogger(__name__)


class Engine:
    """A live engine. Made by `running_engine`."""

    def __init__(self, settings: Settings, folder: StateFolder, store: SqliteStore) -> None:
        self.settings, self.folder = settings, folder
        self.operator_token = _secret(settings.venom_token) or folder.operator_token()
        self.node_token = _secret(settings.nexus_shared_token) or folder.node_token()
        self.bus = EventBus()
        self.background = Background()
        self.store = store
        store.listen(self.bus.publish)
        self.state = StateManager(store, self.bus)
        self.node_manager = NodeManager(settings, self.node_token, folder.node_id(), self.background)
        self.settler = Settler(store, self.state, self.node_manager, Waiting(), self.background)
        self.orchestrator = Orchestrator(settings, store, self.state, self.node_manager, self.settler)
        self.node_manager.listener = TaskListener(
            settings, store, self.state, self.settler, self.bus, self.background
        )
        self.queue = QueueManager(store, self.state, self.orchestrator, self.settler, self.node_manager)
        self.janitor = Janitor(settings, store, self.settler, self.node_manager, self.bus)

    # -- tasks

    async def submit(self, request: TaskRequest) -> TaskResponse:
        return await self.orchestrator.submit(request)

    async def task(self, task_id: UUID) -> VenomTask:
        return self._with_progress(await self.state.get(task_id))

    async def tasks(self, query: TaskQuery) -> TaskPage:
        if query.node and (known := self.node_manager.by_id_or_name(query.node)):
            query = query.model_copy(update={"node": known[0].node_id})
        page = await self.state.page(query)
        for task in page.tasks:
            self._with_progress(task)
        return page

    def _with_progress(self, task: VenomTask) -> VenomTask:
        hold = self.settler.holds.of_task(str(task.id))
        if hold is not None and task.status is TaskStatus.PROCESSING:
            task.progress = hold.progress
        return task

    async def output(self, task_id: UUID, *, after: int = 0, limit: int = 1000) -> list[OutputChunk]:
        return await self._known(task_id, await self.store.output(str(task_id), after, limit))

    async def tail(self, task_id: UUID, *, limit: int = 1000) -> list[OutputChunk]:
        return await self._known(task_id, await self.store.tail(str(task_id), limit))

    async def _known(self, task_id: UUID, chunks: list[OutputChunk]) -> list[OutputChunk]:
        if not chunks and await self.store.find(str(task_id)) is None:
            raise unknown_task(task_id)
        return chunks

    # -- queue

    async def abort(self, task_id: UUID) -> AbortReply:
        return await self.queue.abort_task(task_id)

    async def queue_status(self) -> QueueStatus:
        return self.queue.get_status()

    async def pause(self, *, by: str = "") -> QueueReply:
        return await self.queue.pause(by)

    async def resume(self, *, by: str = "") -> QueueReply:
        return await self.queue.resume(by)

    async def purge(self, *, by: str = "") -> QueueReply:
        return await self.queue.purge(by)

    async def emergency_stop(self, *, by: str = "") -> QueueReply:
        return await self.queue.emergency_stop(by)

    # -- nodes

    async def nodes(self, *, online_only: bool = False) -> NodeList:
        nodes = self.node_manager.list_nodes()
        online = sum(node.is_online for node in nodes)
        shown = [self.node_manager.info(node) for node in nodes if node.is_online or not online_only]
        return NodeList(count=len(shown), online_count=online, nodes=shown)

    async def node(self, node_id: str) -> NodeInfo:
        node = self.node_manager.get_node(node_id)
        if node is None:
            raise unknown_node(node_id)
        return self.node_manager.info(node)

    async def execute(self, node_id: str, request: ExecuteRequest) -> ExecuteReply:
        response = await self.node_manager.execute_skill_on_node(
            node_id, request.skill_name, request.method_name, request.parameters, request.timeout
        )
        return ExecuteReply(
            success=response.success,
            result=response.result,
            error=response.error,
            execution_time=response.execution_time,
        )

    async def serve_node(self, link: Link, *, peer: str) -> None:
        """One node's session, from its HANDSHAKE to its end."""
        if not self.settings.enable_nexus and peer != "local":
            raise NotAllowed(
                "This engine takes no nodes.",
                kept="Nothing was changed.",
                do="Start it with ENABLE_NEXUS=true.",
            )
        await receive_node(self.node_manager, link, peer=peer)

    # -- watching

    @asynccontextmanager
    async def watch(
        self, *, after: int | None = None, output: bool = False, load: bool = False
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """Listen; see client/base.py. Listening begins before the replay, so there is no gap."""
        with self.bus.watching(output=output, load=load) as watcher:
            live = watcher.events()
            yield live if after is None else self._replayed(after, live)

    @staticmethod
    def encoded(event: Event) -> bytes:
        """The event as JSON, encoded once however many watch."""
        return event.frame()

    async def _replayed(self, after: int, live: AsyncIterator[Event]) -> AsyncIterator[Event]:
        oldest, newest = await self.store.seq_range()
        if after > newest:  # it watched another history: the state was replaced
            yield gap(after, newest)
            after = newest
        elif after + 1 < oldest:
            yield gap(after, oldest)
        last = after
        while page := await self.store.events(last, REPLAY):
            for event in page:
                yield event
            last = page[-1].seq or last
        async for event in live:
            if event.seq is None or event.seq > last:
                yield event

    # -- health

    def health(self) -> dict[str, JsonValue]:
        """Whether the engine does its work, and what hinders it."""
        problems: list[JsonValue] = list(self.state.problems.values())
        return {
            "status": "degraded" if problems else "ok",
            "component": "venom-engine",
            "version": __version__,
            "problems": problems,
        }

    def stop_claiming(self) -> None:
        """Claim nothing new. What runs on other machines goes on without us."""
        self.orchestrator.draining = True

    async def _begin(self) -> None:
        if aside := self.store.set_aside:
            message = f"The state file was damaged. It was set aside as {aside}; the engine started empty."
            self.state.problems["damage"] = message
            await self.store.note(EventType.SYSTEM_LOG, message, {"level": "error"})
        await self.orchestrator.take_up()

    async def _end(self) -> None:
        self.stop_claiming()
        await self.node_manager.close_all("the engine is stopping")
        await self.background.join(self.settings.drain_seconds)
        self.bus.close()


@asynccontextmanager
async def running_engine(settings: Settings, folder: StateFolder) -> AsyncIterator[Engine]:
    """A live engine. When the block ends, everything it started has ended.

    Raises StateUnusable when the state file cannot be used. A loop that dies ends the block.
    """
    async with (
        sqlite_store(folder.database, output_limit=settings.output_limit_bytes) as store,
        loops_beside() as loops,
    ):
        engine = Engine(settings, folder, store)
        await engine._begin()
        running = [
            loops.create_task(engine.orchestrator.run(), name="orchestrator"),
            loops.create_task(engine.janitor.run(), name="janitor"),
        ]
        try:
            yield engine
        finally:
            await engine._end()
            for loop in running:
                loop.cancel()


def _secret(value: object) -> str | None:
    reveal = getattr(value, "get_secret_value", None)
    return reveal() if reveal else None
