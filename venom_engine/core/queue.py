"""The operator's controls: pause, resume, purge, abort, emergency stop, and how the queue stands."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar
from uuid import UUID

from venom_engine.core.nodes import NodeManager
from venom_engine.core.orchestrator import Orchestrator
from venom_engine.core.settler import Settler
from venom_engine.core.state import StateManager, unknown_task
from venom_engine.protocol.errors import NotFound
from venom_engine.protocol.queue import AbortReply, QueueReply, QueueStatus
from venom_engine.protocol.task import TaskStatus
from venom_engine.store.base import Store
from venom_engine.store.rows import moment

T = TypeVar("T")

#: An emergency does not wait long between TERM and KILL.
EMERGENCY_GRACE = 1.0


class QueueManager:
    """What an operator may order. Each order is stored before it is answered."""

    def __init__(
        self,
        store: Store,
        state: StateManager,
        orchestrator: Orchestrator,
        settler: Settler,
        nodes: NodeManager,
    ) -> None:
        self._store, self._state = store, state
        self._orchestrator, self._settler, self._nodes = orchestrator, settler, nodes
        self._orders: set[asyncio.Task[Any]] = set()

    def get_status(self) -> QueueStatus:
        """How the queue stands now."""
        counts, control = self._store.counts(), self._store.control()
        return QueueStatus(
            paused=control.paused,
            stopped=control.stopped,
            paused_by=control.by if control.paused else None,
            paused_at=moment(control.at) if control.paused and control.at else None,
            pending=counts[TaskStatus.PENDING],
            active=len(self._settler.holds),
            processing=counts[TaskStatus.PROCESSING],
            limit=self._orchestrator.limit,
            completed=counts[TaskStatus.COMPLETED],
            failed=counts[TaskStatus.FAILED],
            aborted=counts[TaskStatus.ABORTED],
            problem="; ".join(self._state.problems.values()) or None,
        )

    async def pause(self, by: str = "") -> QueueReply:
        """Nothing new starts; running tasks go on. Survives a restart."""
        control = await self._store.pause(by or None)
        return self._reply("Queue paused: nothing new starts, running tasks go on.", control.paused)

    async def resume(self, by: str = "") -> QueueReply:
        """Ends a pause and an emergency stop."""
        return await self._to_the_end(self._resume(by))

    async def _resume(self, by: str) -> QueueReply:
        control = await self._store.resume(by or None)
        await self._orchestrator.look_for_waiting()
        return self._reply("Queue resumed.", control.paused)

    async def purge(self, by: str = "") -> QueueReply:
        """Every PENDING task becomes ABORTED; running ones go on."""
        done = await self._store.purge(by or None)
        message = f"{_tasks(done.purged)} purged; running tasks go on."
        return self._reply(message, self._store.control().paused, removed=done.purged, purged=done.purged)

    async def emergency_stop(self, by: str = "") -> QueueReply:
        """Pause, kill everything that runs on every node, purge what waits. Stays until a resume."""
        return await self._to_the_end(self._emergency_stop(by))

    async def _emergency_stop(self, by: str) -> QueueReply:
        done = await self._store.stop(by or None)
        untold = 0
        for hold in self._settler.holds.all():
            untold += not self._settler.kill(hold, "emergency stop", EMERGENCY_GRACE)
        self._nodes.stop_calls("emergency stop")
        message = f"EMERGENCY STOP: {_tasks(done.cancelled)} killed, {_tasks(done.purged)} purged."
        if untold:
            message += f" The nodes of {untold} could not be told now; they are told when they come back."
        return self._reply(
            message + " Nothing starts until you resume.",
            True,
            removed=done.purged,
            cancelled=done.cancelled,
            purged=done.purged,
        )

    async def abort_task(self, task_id: UUID) -> AbortReply:
        """Stop one task, wherever it runs. NotFound when unknown or already finished."""
        return await self._to_the_end(self._abort_task(task_id))

    async def _abort_task(self, task_id: UUID) -> AbortReply:
        before = await self._store.abort(str(task_id), "Aborted by the operator")
        if before is None:
            raise await self._why_not(task_id)
        if before.status is TaskStatus.PENDING:
            return AbortReply(task_id=task_id, message="Aborted before it started.")
        hold = self._settler.holds.of_task(before.id)
        told = hold is not None and self._settler.kill(hold, "aborted by the operator")
        message = (
            "Aborted; its node is ending every process that it started."
            if told
            else "Aborted. Its node cannot be told now; what it still answers is ignored."
        )
        return AbortReply(task_id=task_id, message=message)

    async def _to_the_end(self, order: Coroutine[Any, Any, T]) -> T:
        """An order that was stored is carried out, also when whoever gave it has hung up."""
        task = asyncio.create_task(order)
        self._orders.add(task)
        task.add_done_callback(self._orders.discard)
        return await asyncio.shield(task)

    async def _why_not(self, task_id: UUID) -> NotFound:
        task = await self._store.find(str(task_id))
        if task is None:
            return unknown_task(task_id)
        return NotFound(
            f"Task {task_id} has finished already: {task.status}.",
            kept="It stays as it is.",
            do="There is nothing to abort.",
        )

    def _reply(
        self,
        message: str,
        paused: bool,
        *,
        removed: int | None = None,
        cancelled: int | None = None,
        purged: int | None = None,
    ) -> QueueReply:
        counts = self._store.counts()
        return QueueReply(
            message=message,
            paused=paused,
            stopped=self._store.control().stopped,
            active_tasks=len(self._settler.holds),
            pending_tasks=counts[TaskStatus.PENDING],
            removed=removed,
            cancelled=cancelled,
            purged=purged,
        )


def _tasks(count: int) -> str:
    return f"{count} task" if count == 1 else f"{count} tasks"
