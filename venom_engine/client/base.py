"""The seam between an engine and whoever uses it.

Two implementations: `core.engine.Engine` itself (in process) and `client.remote.RemoteClient` (HTTP
and WebSocket). What the words mean is written in tests/contract/test_client.py.

Every call may raise a VenomError: BadRequest, NotFound, NotAllowed, NodeOffline, NodeTimeout,
StoreFailed; the remote one also EngineUnreachable.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from uuid import UUID

from venom_engine.protocol.event import Event
from venom_engine.protocol.node import ExecuteReply, ExecuteRequest, NodeInfo, NodeList
from venom_engine.protocol.queue import AbortReply, QueueReply, QueueStatus
from venom_engine.protocol.task import OutputChunk, TaskPage, TaskQuery, TaskRequest, TaskResponse, VenomTask


class EngineClient(Protocol):
    """An engine, wherever it runs."""

    async def submit(self, request: TaskRequest) -> TaskResponse:
        """Take a task. When this returns, the task is on disk."""

    async def task(self, task_id: UUID) -> VenomTask:
        """One task with its stage log. NotFound when there is none."""

    async def tasks(self, query: TaskQuery) -> TaskPage:
        """A page of tasks, newest first. BadRequest for a cursor that is none of ours."""

    async def output(self, task_id: UUID, *, after: int = 0, limit: int = 1000) -> list[OutputChunk]:
        """What the task printed: the chunks whose `n` is above `after`, in order."""

    async def tail(self, task_id: UUID, *, limit: int = 1000) -> list[OutputChunk]:
        """The last chunks of what the task printed, in order."""

    async def abort(self, task_id: UUID) -> AbortReply:
        """Stop one task, wherever it runs. NotFound when unknown or already finished."""

    async def queue_status(self) -> QueueStatus: ...

    async def pause(self, *, by: str = "") -> QueueReply:
        """Nothing new starts. Running tasks go on."""

    async def resume(self, *, by: str = "") -> QueueReply:
        """Ends a pause and an emergency stop."""

    async def purge(self, *, by: str = "") -> QueueReply:
        """Every PENDING task becomes ABORTED."""

    async def emergency_stop(self, *, by: str = "") -> QueueReply:
        """Pause, kill every running task on every node, purge what waits."""

    async def nodes(self, *, online_only: bool = False) -> NodeList: ...

    async def node(self, node_id: str) -> NodeInfo: ...

    async def execute(self, node_id: str, request: ExecuteRequest) -> ExecuteReply:
        """Call a node's skill directly, outside the queue."""

    def watch(
        self, *, after: int | None = None, output: bool = False, load: bool = False
    ) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Listen. Inside the block every event comes, from the moment the block was entered.

        `after`: first replay what was stored after that `seq` (0: everything), without a gap.
        `output`: also TASK_OUTPUT and TASK_PROGRESS; `load`: also NODE_LOAD. A reader that is too slow gets a GAP.
        The iterator ends with EngineUnreachable when the engine goes away.
        """
