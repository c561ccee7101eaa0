"""Which node holds which attempt, until when: the leases.

Leases live in memory and run by the monotonic clock: a clock that jumps moves none, and an engine
that starts gives every task that it finds PROCESSING one full lease.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from venom_engine.rules.records import Task


@dataclass(slots=True)
class Hold:
    """One attempt at one node. Times are the monotonic clock's."""

    task: Task
    node_id: str
    lease_until: float
    deadline: float | None = None  #: Past it, the attempt has timed out although its node did not say so.
    accepted: bool = False
    progress: float | None = None  #: What the skill said last.
    answered: bool = False  #: Its answer waits until its output is stored.
    storing: asyncio.Task[None] | None = None  #: The newest output on its way into the store.
    stopping: bool = False  #: The row is final already; the node has yet to confirm the kill.


class Holds:
    """All that is held, by request, by task and by node."""

    def __init__(self) -> None:
        self._by_request: dict[str, Hold] = {}
        self._by_node: dict[str, dict[str, Hold]] = {}
        self._request_of_task: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._by_request)

    def add(self, hold: Hold) -> None:
        request = hold.task.request_id
        self._by_request[request] = hold
        self._by_node.setdefault(hold.node_id, {})[request] = hold
        self._request_of_task[hold.task.id] = request

    def get(self, request_id: str) -> Hold | None:
        return self._by_request.get(request_id)

    def of_task(self, task_id: str) -> Hold | None:
        request = self._request_of_task.get(task_id)
        return self._by_request.get(request) if request else None

    def of_node(self, node_id: str) -> list[Hold]:
        return list(self._by_node.get(node_id, {}).values())

    def count(self, node_id: str) -> int:
        return len(self._by_node.get(node_id, ()))

    def drop(self, hold: Hold) -> None:
        """Forget it. Harmless when it is forgotten already."""
        request = hold.task.request_id
        if self._by_request.pop(request, None) is None:
            return
        mine = self._by_node[hold.node_id]
        del mine[request]
        if not mine:
            del self._by_node[hold.node_id]
        if self._request_of_task.get(hold.task.id) == request:
            del self._request_of_task[hold.task.id]

    def renew(self, node_id: str, request_ids: Iterable[str] | None, until: float) -> None:
        """The node said that it still holds these; None: all of its own."""
        mine = self._by_node.get(node_id, {})
        for request in mine if request_ids is None else request_ids:
            if hold := mine.get(request):
                hold.lease_until = until
                hold.accepted = True

    def expired(self, now: float) -> list[Hold]:
        return [hold for hold in self._by_request.values() if hold.lease_until <= now]

    def overdue(self, now: float) -> list[Hold]:
        """Those past their deadline, and not being stopped already."""
        return [
            hold
            for hold in self._by_request.values()
            if hold.deadline is not None and hold.deadline <= now and not hold.stopping
        ]

    def all(self) -> list[Hold]:
        return list(self._by_request.values())

    def shift(self, seconds: float) -> None:
        """The engine itself was asleep: nobody could renew, so nobody is late."""
        for hold in self._by_request.values():
            hold.lease_until += seconds
            if hold.deadline is not None:
                hold.deadline += seconds
