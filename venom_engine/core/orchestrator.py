"""Moves tasks from the queue to nodes.

Owns: the claim loop. Asks: `rules.placement` who may claim, the store whether a claim holds, the
settler to take back what could not be sent. Never: SQL, sockets, screens.
If we die between two lines, the store is right: the nodes say what they still hold when they come
back, and the janitor takes back what nobody renews.
"""

import asyncio
import logging
import time
from uuid import UUID

from venom_engine.core.holds import Hold
from venom_engine.core.ids import new_task_id
from venom_engine.core.leases import lease_of
from venom_engine.core.nodes import NodeManager
from venom_engine.core.settler import Settler
from venom_engine.core.state import StateManager
from venom_engine.core.waiting import Waiting
from venom_engine.protocol.errors import StoreFailed
from venom_engine.protocol.messages import SkillExecutionRequest
from venom_engine.protocol.task import TaskRequest, TaskResponse, TaskStatus
from venom_engine.rules import outcome, placement
from venom_engine.rules.records import Task
from venom_engine.rules.routing import route
from venom_engine.settings import Settings
from venom_engine.store.base import Store

#: A Spore of the original system always wants a number.
NO_LIMIT_SECONDS = 31_536_000
#: What a node gets beyond a task's timeout to say so itself.
TIMEOUT_GRACE = 15.0

log = logging.getLogger(__name__)


class Orchestrator:
    """From a request to a node that has it."""

    def __init__(
        self, settings: Settings, store: Store, state: StateManager, nodes: NodeManager, settler: Settler
    ) -> None:
        self.draining = False
        self._settings = settings
        self._store, self._state, self._nodes, self._settler = store, state, nodes, settler
        self._waiting: Waiting = settler.waiting

    async def submit(self, request: TaskRequest) -> TaskResponse:
        """Take a task. When this returns, it is on disk."""
        lane, method, parameters = route(request, self._settings.default_skill)
        task = Task(
            id=new_task_id(),
            lane=lane,
            content=request.content,
            method=method,
            parameters=parameters,
            priority=request.priority,
            max_retries=request.max_retries,
            timeout=request.timeout,
            created_at=time.time(),
        )
        try:
            await self._state.create([task])
        finally:  # a caller who is cancelled here has submitted all the same
            self._waiting.add([lane])
        return TaskResponse.model_construct(task_id=UUID(task.id), status=TaskStatus.PENDING)

    async def take_up(self) -> None:
        """After a start: what nodes held when the engine went away, and what waits."""
        until = time.monotonic() + self._settings.lease_seconds
        for task, _ in await self._store.held():
            deadline = None
            if task.timeout is not None:
                ran = max(0.0, time.time() - (task.started_at or time.time()))
                deadline = time.monotonic() + max(0.0, task.timeout - ran) + TIMEOUT_GRACE
            self._settler.holds.add(Hold(task, task.node_id or "", until, deadline, accepted=True))
        await self.look_for_waiting()

    async def look_for_waiting(self) -> None:
        """After a start or a pause: find the lanes in which something waits."""
        self._waiting.add(await self._store.lanes())

    async def run(self) -> None:
        """Claim for the nodes, best first, whenever something waits and somebody is free."""
        while True:
            await self._waiting.woken()
            try:
                while await self._round():
                    pass
            except StoreFailed as error:
                self._state.failed(error)
                await asyncio.sleep(1)
                self._waiting.wake()
            except Exception as error:  # such as a row that cannot be read: the others must go on
                log.exception("Tasks could not be claimed")
                self._state.problems["claims"] = f"Tasks could not be claimed: {type(error).__name__}."
                await asyncio.sleep(1)
                self._waiting.wake()

    async def _round(self) -> bool:
        if self.draining or not self._waiting.lanes or self._store.control().paused:
            return False
        deals = placement.deal(self._nodes.views(), self._waiting.lanes, self._room())
        if not deals:
            return False
        tasks = await self._store.claim(deals)
        self._state.worked()
        self._state.problems.pop("claims", None)
        claimed: dict[str, int] = {}
        for task in tasks:
            self._assign(task)
            claimed[task.node_id or ""] = claimed.get(task.node_id or "", 0) + 1
        ran_dry = False
        for deal in deals:
            claimed[deal.node_id] = claimed.get(deal.node_id, 0) - deal.limit
            if claimed[deal.node_id] < 0:  # it could have had more: nothing is left in its lanes
                self._waiting.strike_off(deal.lanes)
                ran_dry = True
        # What one node was dealt and did not find is now free for another.
        return bool(tasks) or ran_dry

    def _room(self) -> int:
        counts = self._store.counts()
        limit = self.limit
        waiting = counts[TaskStatus.PENDING]
        return waiting if limit is None else min(waiting, limit - counts[TaskStatus.PROCESSING])

    @property
    def limit(self) -> int | None:
        """The most tasks at a time, if any."""
        return self._settings.max_concurrent_tasks if self._settings.enable_queue_limits else None

    def _assign(self, task: Task) -> None:
        node = self._nodes.get_node(task.node_id or "")
        assert node is not None, "claims are made for registered nodes"
        now = time.monotonic()
        deadline = None if task.timeout is None else now + task.timeout + TIMEOUT_GRACE
        is_original = node.session is not None and node.session.is_original
        # A Spore of the original system has no word for "accepted".
        hold = Hold(task, node.node_id, now + lease_of(node, self._settings), deadline, accepted=is_original)
        self._settler.holds.add(hold)
        request = SkillExecutionRequest(
            request_id=task.request_id,
            node_id=node.node_id,
            skill_name=task.lane.skill,
            method_name=task.method,
            parameters=task.parameters,
            timeout=NO_LIMIT_SECONDS if task.timeout is None and is_original else task.timeout,
            task_id=task.id,
            attempt=task.attempt,
        )
        if not node.send(request):
            self._settler.end(hold, outcome.given_back(task, f"{node.name} left before the task reached it"))
