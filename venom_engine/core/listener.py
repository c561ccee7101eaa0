"""Hears what nodes say about tasks, and compares it with what we think they hold.

Owns: verdicts, and output on its way into the store. Asks: the settler to end an attempt. Never:
claims. The node of a message is the session's; an answer for another node's task is nobody's.
"""

import asyncio
import logging
import time

from pydantic import JsonValue

from venom_engine.core.background import Background
from venom_engine.core.bus import EventBus
from venom_engine.core.holds import Hold
from venom_engine.core.leases import lease_of
from venom_engine.core.node import Node
from venom_engine.core.settler import Settler
from venom_engine.core.state import StateManager
from venom_engine.protocol.event import Event, EventType
from venom_engine.protocol.messages import (
    NodeHandshake,
    NodeResponse,
    OutputMessage,
    Refused,
    Stored,
    Verdicts,
    now_utc,
)
from venom_engine.protocol.task import OutputChunk
from venom_engine.rules import outcome
from venom_engine.rules.records import Piece, Task
from venom_engine.settings import Settings
from venom_engine.store.base import Store

#: How long a node that refused a task is passed over, so that the two do not play ball with it.
REFUSAL_SECONDS = 1.0

log = logging.getLogger(__name__)


class TaskListener:
    """The `NodeListener` of the node manager."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        state: StateManager,
        settler: Settler,
        bus: EventBus,
        background: Background,
    ) -> None:
        self._settings, self._store, self._state = settings, store, state
        self._settler, self._bus, self._background = settler, bus, background

    async def connected(self, node: Node, handshake: NodeHandshake) -> None:
        """Compare what the node holds with what we think it holds, and mend both."""
        told = {item.request_id for item in handshake.held}
        until = time.monotonic() + lease_of(node, self._settings)
        for hold in self._settler.holds.of_node(node.node_id):
            if hold.task.request_id in told:
                hold.lease_until, hold.accepted = until, True
            elif hold.stopping:
                self._settler.holds.drop(hold)
            elif hold.accepted:
                self._settler.end(hold, outcome.lost(hold.task, f"{node.name} came back without it"))
            else:
                self._settler.end(hold, outcome.given_back(hold.task, f"it never reached {node.name}"))
        if verdicts := self._verdicts(node, told):
            node.send(verdicts)
        data: dict[str, JsonValue] = {
            "node_id": node.node_id,
            "node_name": node.name,
            "skills": list(node.capabilities.skills),
            "tags": list(node.capabilities.tags),
        }
        await self._settler.note(EventType.NODE_CONNECTED, f"Node {node.name} connected", data)
        self._settler.waiting.wake()

    async def disconnected(self, node: Node, reason: str) -> None:
        """It is offline. One that cannot resume has lost its tasks; another has until the lease ends."""
        for hold in self._settler.holds.of_node(node.node_id):
            if node.resumes:
                break
            if hold.stopping:
                self._settler.holds.drop(hold)
            else:
                self._settler.end(hold, outcome.lost(hold.task, f"{node.name} is gone: {reason}"))
        data: dict[str, JsonValue] = {"node_id": node.node_id, "node_name": node.name, "reason": reason}
        await self._settler.note(
            EventType.NODE_DISCONNECTED, f"Node {node.name} disconnected: {reason}", data
        )
        self._settler.waiting.wake()

    def heartbeat(self, node: Node, held: tuple[str, ...]) -> Verdicts | None:
        """Renew what the node holds; say what it is not to hold."""
        until = time.monotonic() + lease_of(node, self._settings)
        if node.session is not None and node.session.is_original:
            self._settler.holds.renew(node.node_id, None, until)
            return None
        self._settler.holds.renew(node.node_id, held, until)
        return self._verdicts(node, set(held))

    def accepted(self, node: Node, request_id: str) -> None:
        hold = self._hold_of(node, request_id)
        if hold:
            hold.accepted = True

    def refused(self, node: Node, refusal: Refused) -> None:
        """The node would not run it: back to the queue, through no fault of the task."""
        hold = self._hold_of(node, refusal.request_id)
        node.refuses_until = time.monotonic() + REFUSAL_SECONDS
        if hold:
            why = outcome.first_line(refusal.reason) or "it did not say why"
            self._settler.end(hold, outcome.given_back(hold.task, f"{node.name} refused it: {why}"))

    def output(self, node: Node, message: OutputMessage) -> None:
        hold = self._hold_of(node, message.request_id)
        last = max((piece.n for piece in message.pieces), default=0)
        if hold is None:  # an attempt that ended: nobody will ask for it, so the node may forget it
            node.send(Stored(output={message.request_id: last}))
            return
        if message.progress is not None:
            hold.progress = message.progress
            self._bus.publish([_progress_event(hold.task, message.progress)])
        if not message.pieces:
            return
        pieces = [Piece(piece.n, piece.stream, piece.text, piece.at) for piece in message.pieces]
        work = self._keep_output(node, hold.task, pieces, last, hold.storing)
        hold.storing = self._background.start(work, f"output of {hold.task.id}")

    def answered(self, node: Node, response: NodeResponse) -> None:
        hold = self._hold_of(node, response.request_id)
        if hold is None:
            self._background.start(self._ignore_late(node, response), f"late answer of {node.name}")
            return
        if hold.stopping:
            self._settler.holds.drop(hold)
            self._settler.waiting.wake()
            self._background.start(self._confirm_stop(node, hold), f"stop of {hold.task.id}")
            return
        if hold.answered:
            return
        hold.answered = True
        if hold.storing is None or hold.storing.done():
            self._settler.end(hold, outcome.answered(hold.task, response, node.name), node)
        else:
            self._background.start(self._end_after_output(node, hold, response), f"end of {hold.task.id}")

    def held_count(self, node_id: str) -> int:
        return self._settler.holds.count(node_id)

    async def _keep_output(
        self, node: Node, task: Task, pieces: list[Piece], last: int, before: asyncio.Task[None] | None
    ) -> None:
        """Store output, in order; it is acknowledged then, so a full disk slows the node down."""
        if before is not None:
            await asyncio.wait([before])
        chunks = await self._state.insist(lambda: self._store.add_output(task.id, task.attempt, pieces))
        node.send(Stored(output={task.request_id: last}))
        if self._bus.watched:
            self._bus.publish([_output_event(task, chunk) for chunk in chunks])

    async def _end_after_output(self, node: Node, hold: Hold, response: NodeResponse) -> None:
        while hold.storing is not None and not hold.storing.done():
            await asyncio.wait([hold.storing])
        hold.answered = False
        self.answered(node, response)

    async def _ignore_late(self, node: Node, response: NodeResponse) -> None:
        log.info("A late answer of %s to %s was ignored", node.name, response.request_id)
        if task_id := self._settler.task_of(response.request_id):
            message = f"A late answer of {node.name} was ignored: that attempt was over"
            await self._settler.note(EventType.TASK_NOTE, message, {"task_id": task_id}, task_id)
        node.send(Stored(responses=(response.request_id,)))

    async def _confirm_stop(self, node: Node, hold: Hold) -> None:
        message = f"{node.name} has stopped it, with every process that it started"
        await self._settler.note(EventType.TASK_NOTE, message, {"task_id": hold.task.id}, hold.task.id)
        node.send(Stored(responses=(hold.task.request_id,)))

    def _hold_of(self, node: Node, request_id: str) -> Hold | None:
        hold = self._settler.holds.get(request_id)
        return hold if hold is not None and hold.node_id == node.node_id else None

    def _verdicts(self, node: Node, told: set[str]) -> Verdicts | None:
        abort = tuple(request for request in told if (hold := self._hold_of(node, request)) and hold.stopping)
        lost = tuple(
            request
            for request in told
            if not self._hold_of(node, request)
            and request not in node.calls
            and not self._settler.is_settling(request)
        )
        return Verdicts(abort=abort, lost=lost) if abort or lost else None

    def _cannot_resume(self, node: Node) -> bool:
        return not node.resumes


def _progress_event(task: Task, progress: float) -> Event:
    return Event(
        type=EventType.TASK_PROGRESS,
        message=f"{progress:.0%}",
        timestamp=now_utc(),
        data={"task_id": task.id, "progress": progress},
    )


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
