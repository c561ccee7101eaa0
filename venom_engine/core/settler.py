"""Ends attempts: writes what became of a task, however long the disk refuses, and lets go of the hold.

Owns: the holds, and the order "store, then acknowledge to the node". Asks: `rules.outcome` what an
end means, the state whether the task had moved on. Never: claims.
"""

import logging
from collections import OrderedDict

from pydantic import JsonValue

from venom_engine.core.background import Background
from venom_engine.core.holds import Hold, Holds
from venom_engine.core.node import Node
from venom_engine.core.nodes import NodeManager
from venom_engine.core.state import StateManager
from venom_engine.core.waiting import Waiting
from venom_engine.protocol.errors import StoreFailed
from venom_engine.protocol.event import EventType
from venom_engine.protocol.messages import Cancel, Stored
from venom_engine.protocol.task import TaskStatus
from venom_engine.rules import outcome
from venom_engine.rules.records import Change, Lane
from venom_engine.store.base import Store

#: Between TERM and KILL.
KILL_GRACE = 3.0
log = logging.getLogger(__name__)
#: Ended attempts whose late answers can still be told by name.
REMEMBERED = 10_000


class Settler:
    """The one writer of how an attempt ends."""

    def __init__(
        self, store: Store, state: StateManager, nodes: NodeManager, waiting: Waiting, background: Background
    ) -> None:
        self.holds = Holds()
        self._settling: set[str] = set()
        self._ended: OrderedDict[str, str] = OrderedDict()  #: request -> task, of attempts that ended
        self.waiting = waiting
        self._store, self._state, self._nodes, self._background = store, state, nodes, background

    def lost(self, hold: Hold, why: str) -> None:
        """Nobody renews the lease."""
        if hold.stopping:
            self.holds.drop(hold)
            self.waiting.wake()
        elif hold.accepted:
            self.end(hold, outcome.lost(hold.task, why))
        else:
            self.end(hold, outcome.given_back(hold.task, f"it was never accepted: {why}"))

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

    def is_settling(self, request_id: str) -> bool:
        """Its end is known and on its way into the store."""
        return request_id in self._settling

    def task_of(self, request_id: str) -> str | None:
        """The task of an attempt that ended lately."""
        return self._ended.get(request_id)

    def end(self, hold: Hold, change: Change, node: Node | None = None) -> None:
        """The attempt is over: let go of it, and write down what becomes of the task."""
        self.holds.drop(hold)
        self._ended[hold.task.request_id] = hold.task.id
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)
        self._settle_soon(change, hold.task.lane, node, hold.task.request_id)
        self.waiting.wake()

    def _settle_soon(
        self, change: Change, lane: Lane, node: Node | None = None, request_id: str | None = None
    ) -> None:
        if request_id is not None:
            self._settling.add(request_id)
        self._background.start(self._settle(change, lane, node, request_id), f"settle {change.task_id}")

    async def _settle(self, change: Change, lane: Lane, node: Node | None, request_id: str | None) -> None:
        try:
            try:
                moved = await self._state.settle(change)
            except Exception:  # an answer that cannot be written must not leave the task for ever
                log.exception("The end of task %s could not be written", change.task_id)
                moved = await self._state.settle(outcome.unwritable(change))
        finally:
            self._settling.discard(request_id or "")
        if node is not None and request_id is not None:
            node.send(Stored(responses=(request_id,)))
        if moved is None:
            message = f"An answer of attempt {change.attempt} came too late and was ignored: {change.message}"
            await self.note(EventType.TASK_NOTE, message, {"task_id": change.task_id}, change.task_id)
        elif change.now is TaskStatus.PENDING:
            self.waiting.add([lane])
        self.waiting.wake()

    async def note(
        self, kind: EventType, message: str, data: dict[str, JsonValue], task_id: str | None = None
    ) -> None:
        try:
            await self._store.note(kind, message, data, task_id)
        except StoreFailed as error:
            self._state.failed(error)
