"""Moves tasks from the queue to nodes, and writes down what the nodes say back.

Owns: the claim loop, the holds, and the order "store, then tell". Asks: `rules.placement` who may
claim, `rules.outcome` what an answer means, the store whether a claim holds. Never: SQL, sockets.
If we die between two lines, the store is right: the nodes say what they still hold when they come
back, and the janitor takes back what nobody renews.
"""

import asyncio
import logging
import time
from uuid import UUID

from pydantic import JsonValue

from venom_engine.core.background import Background
from venom_engine.core.bus import EventBus
from venom_engine.core.holds import Hold, Holds
from venom_engine.core.ids import new_task_id
from venom_engine.core.node import Node
from venom_engine.core.nodes import NodeManager
from venom_engine.core.state import StateManager
from venom_engine.protocol.errors import StoreFailed
from venom_engine.protocol.event import Event, EventType
from venom_engine.protocol.messages import (
    Cancel,
    NodeHandshake,
    NodeResponse,
    OutputMessage,
    Refused,
    SkillExecutionRequest,
    Stored,
    Verdicts,
)
from venom_engine.protocol.task import OutputChunk, TaskRequest, TaskResponse, TaskStatus
from venom_engine.rules import outcome, placement
from venom_engine.rules.records import Change, Lane, Piece, Task
from venom_engine.rules.routing import route
from venom_engine.settings import Settings
from venom_engine.store.base import Store

#: A Spore of the original system always wants a number.
NO_LIMIT_SECONDS = 31_536_000
#: What a node gets beyond a task's timeout to say so itself.
TIMEOUT_GRACE = 15.0
KILL_GRACE = 3.0

log = logging.getLogger(__name__)


class Orchestrator:
    """The one writer of what becomes of a task."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        state: StateManager,
        nodes: NodeManager,
        bus: EventBus,
        background: Background,
    ) -> None:
        self.holds = Holds()
        self.draining = False
        self._settings = settings
        self._store, self._state, self._nodes, self._bus = store, state, nodes, bus
        self._background = background
        self._waiting: set[Lane] = set()
        self._news = asyncio.Event()

    # -- in

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
        await self._state.create([task])
        self._wait_in(lane)
        return TaskResponse.model_construct(task_id=UUID(task.id), status=TaskStatus.PENDING)

    async def take_up(self) -> None:
        """After a start: what nodes held when the engine went away, and what waits."""
        until = time.monotonic() + self._settings.lease_seconds
        for task, _ in await self._store.held():
            self.holds.add(Hold(task, task.node_id or "", until, accepted=True))
        await self.look_for_waiting()

    async def look_for_waiting(self) -> None:
        """After a start or a pause: find the lanes in which something waits."""
        self._waiting.update(await self._store.lanes())
        self.wake()

    # -- out

    async def run(self) -> None:
        """Claim for the nodes, best first, whenever something waits and somebody is free."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                while await self._round():
                    pass
            except StoreFailed as error:
                self._state.failed(error)
                await asyncio.sleep(1)
                self.wake()

    def wake(self) -> None:
        """Something may have become possible."""
        self._news.set()

    async def _round(self) -> bool:
        if self.draining or not self._waiting or self._store.control().paused:
            return False
        deals = placement.deal(self._nodes.views(), self._waiting, self._room())
        if not deals:
            return False
        tasks = await self._store.claim(deals)
        self._state.worked()
        claimed: dict[str, int] = {}
        for task in tasks:
            self._assign(task)
            claimed[task.node_id or ""] = claimed.get(task.node_id or "", 0) + 1
        for deal in deals:
            claimed[deal.node_id] = claimed.get(deal.node_id, 0) - deal.limit
            if claimed[deal.node_id] < 0:  # it could have had more: nothing is left in its lanes
                self._waiting.difference_update(deal.lanes)
        return bool(tasks)

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
        hold = Hold(task, node.node_id, now + self.lease_of(node), deadline)
        self.holds.add(hold)
        is_original = node.session is not None and node.session.is_original
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
            self._end(hold, outcome.given_back(task, f"{node.name} left before the task reached it"))

    def lease_of(self, node: Node) -> float:
        """Seconds. A Spore of the original system renews only by its slow heartbeat."""
        is_original = node.session is not None and node.session.is_original
        return self._settings.nexus_heartbeat_timeout if is_original else self._settings.lease_seconds

    # -- what nodes say

    async def connected(self, node: Node, handshake: NodeHandshake) -> None:
        """Compare what the node holds with what we think it holds, and mend both."""
        told = {item.request_id for item in handshake.held}
        until = time.monotonic() + self.lease_of(node)
        for hold in self.holds.of_node(node.node_id):
            if hold.task.request_id in told:
                hold.lease_until, hold.accepted = until, True
            elif hold.stopping:
                self.holds.drop(hold)
            elif hold.accepted:
                self._end(hold, outcome.lost(hold.task, f"{node.name} came back without it"))
            else:
                self._end(hold, outcome.given_back(hold.task, f"it never reached {node.name}"))
        if verdicts := self._verdicts(node, told):
            node.send(verdicts)
        data: dict[str, JsonValue] = {
            "node_id": node.node_id,
            "node_name": node.name,
            "skills": list(node.capabilities.skills),
            "tags": list(node.capabilities.tags),
        }
        await self._note(EventType.NODE_CONNECTED, f"Node {node.name} connected", data)
        self.wake()

    async def disconnected(self, node: Node, reason: str) -> None:
        """It is offline. One that cannot resume has lost its tasks; another has until the lease ends."""
        for hold in self.holds.of_node(node.node_id):
            if node.resumes:
                break
            if hold.stopping:
                self.holds.drop(hold)
            else:
                self._end(hold, outcome.lost(hold.task, f"{node.name} is gone: {reason}"))
        data: dict[str, JsonValue] = {"node_id": node.node_id, "node_name": node.name, "reason": reason}
        await self._note(EventType.NODE_DISCONNECTED, f"Node {node.name} disconnected: {reason}", data)
        self.wake()

    def heartbeat(self, node: Node, held: tuple[str, ...]) -> Verdicts | None:
        """Renew what the node holds; say what it is not to hold."""
        until = time.monotonic() + self.lease_of(node)
        if node.session is not None and node.session.is_original:
            self.holds.renew(node.node_id, None, until)
            return None
        self.holds.renew(node.node_id, held, until)
        return self._verdicts(node, set(held))

    def accepted(self, node: Node, request_id: str) -> None:
        hold = self._hold_of(node, request_id)
        if hold:
            hold.accepted = True

    def refused(self, node: Node, refusal: Refused) -> None:
        """The node would not run it: back to the queue, through no fault of the task."""
        hold = self._hold_of(node, refusal.request_id)
        if hold:
            why = outcome.first_line(refusal.reason) or "it did not say why"
            self._end(hold, outcome.given_back(hold.task, f"{node.name} refused it: {why}"))

    def output(self, node: Node, message: OutputMessage) -> None:
        hold = self._hold_of(node, message.request_id)
        last = max((piece.n for piece in message.pieces), default=0)
        if hold is None:  # an attempt that ended: nobody will ask for it, so the node may forget it
            node.send(Stored(output={message.request_id: last}))
            return
        pieces = [Piece(piece.n, piece.stream, piece.text, piece.at) for piece in message.pieces]
        self._background.start(self._keep_output(node, hold.task, pieces, last), f"output of {hold.task.id}")

    def answered(self, node: Node, response: NodeResponse) -> None:
        hold = self._hold_of(node, response.request_id)
        if hold is None:
            node.send(Stored(responses=(response.request_id,)))
            log.info("A late answer of %s to %s was ignored", node.name, response.request_id)
            return
        if hold.stopping:
            self.holds.drop(hold)
            self.wake()
            self._background.start(self._confirm_stop(node, hold), f"stop of {hold.task.id}")
            return
        change = outcome.answered(hold.task, response, node.name)
        self._end(hold, change, node)

    def held_count(self, node_id: str) -> int:
        return self.holds.count(node_id)

    # -- ends

    def lost(self, hold: Hold, why: str) -> None:
        """Nobody renews the lease."""
        if hold.stopping:
            self.holds.drop(hold)
            self.wake()
        else:
            self._end(hold, outcome.lost(hold.task, why))

    def timed_out(self, hold: Hold) -> None:
        """The node should have stopped it long ago."""
        self.kill(hold, "timed out")
        error = f"timed out after {hold.task.timeout:g} s, and its node did not say so"
        self._settle_soon(outcome.failed(hold.task, error, "at its deadline"), hold.task.lane)

    def kill(self, hold: Hold, reason: str, grace: float = KILL_GRACE) -> bool:
        """The attempt is over here; its node is told to end every process of it. False: it cannot be told."""
        hold.stopping = True
        node = self._nodes.get_node(hold.node_id)
        return node is not None and node.send(
            Cancel(request_id=hold.task.request_id, reason=reason, grace_seconds=grace)
        )

    def _end(self, hold: Hold, change: Change, node: Node | None = None) -> None:
        self.holds.drop(hold)
        self._settle_soon(change, hold.task.lane, node, hold.task.request_id)
        self.wake()

    def _settle_soon(
        self, change: Change, lane: Lane, node: Node | None = None, request_id: str | None = None
    ) -> None:
        self._background.start(self._settle(change, lane, node, request_id), f"settle {change.task_id}")

    async def _settle(self, change: Change, lane: Lane, node: Node | None, request_id: str | None) -> None:
        moved = await self._state.settle(change)
        if node is not None and request_id is not None:
            node.send(Stored(responses=(request_id,)))
        if moved is None:
            message = f"An answer of attempt {change.attempt} came too late and was ignored: {change.message}"
            await self._note(EventType.TASK_NOTE, message, {"task_id": change.task_id}, change.task_id)
        elif change.now is TaskStatus.PENDING:
            self._wait_in(lane)
        self.wake()

    async def _keep_output(self, node: Node, task: Task, pieces: list[Piece], last: int) -> None:
        try:
            chunks = await self._store.add_output(task.id, task.attempt, pieces)
        except StoreFailed as error:  # not acknowledged: the node keeps it and sends it again
            self._state.failed(error)
            return
        node.send(Stored(output={task.request_id: last}))
        if self._bus.watched:
            self._bus.publish([_output_event(task, chunk) for chunk in chunks])

    async def _confirm_stop(self, node: Node, hold: Hold) -> None:
        message = f"{node.name} has stopped it, with every process that it started"
        await self._note(EventType.TASK_NOTE, message, {"task_id": hold.task.id}, hold.task.id)
        node.send(Stored(responses=(hold.task.request_id,)))

    async def _note(
        self, kind: EventType, message: str, data: dict[str, JsonValue], task_id: str | None = None
    ) -> None:
        try:
            await self._store.note(kind, message, data, task_id)
        except StoreFailed as error:
            self._state.failed(error)

    def _wait_in(self, lane: Lane) -> None:
        self._waiting.add(lane)
        self.wake()

    def _hold_of(self, node: Node, request_id: str) -> Hold | None:
        hold = self.holds.get(request_id)
        return hold if hold is not None and hold.node_id == node.node_id else None

    def _verdicts(self, node: Node, told: set[str]) -> Verdicts | None:
        abort = tuple(request for request in told if (hold := self._hold_of(node, request)) and hold.stopping)
        lost = tuple(
            request for request in told if not self._hold_of(node, request) and request not in node.calls
        )
        return Verdicts(abort=abort, lost=lost) if abort or lost else None

    def _cannot_resume(self, node: Node) -> bool:
        return not node.resumes


def _output_event(task: Task, chunk: OutputChunk) -> Event:
    return Event(
        type=EventType.TASK_OUTPUT,
        message=chunk.text,
        timestamp=chunk.timestamp,
        data={
            "task_id": task.id,
            "n": chunk.n,
            "attempt": chunk.attempt,
            "stream": chunk.stream,
            "text": chunk.text,
        },
    )
