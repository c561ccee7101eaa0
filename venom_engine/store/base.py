"""The seam between the engine and where tasks are kept.

What these words mean is written in tests/contract/test_store.py, one body for every implementation.
A change and its event are one write. When a call returns, it is on disk; what it changed has been
told to `listen`'s hearer just before. Every call may raise StoreFailed: then nothing was written.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from pydantic import JsonValue

from venom_engine.protocol.event import Event, EventType
from venom_engine.protocol.task import OutputChunk, TaskQuery, TaskStatus
from venom_engine.rules.records import Change, Control, Deal, Lane, Piece, Stopped, Task

Hearer = Callable[[Sequence[Event]], None]


class Store(Protocol):
    """Where tasks live."""

    def listen(self, hearer: Hearer) -> None:
        """Tell every stored event to `hearer`, in order, on the event loop."""

    # -- moves

    async def add(self, tasks: Sequence[Task]) -> None:
        """Keep new tasks, all or none."""

    async def claim(self, deals: Sequence[Deal]) -> list[Task]:
        """Move the heads of the lanes to PROCESSING: highest priority first, then oldest.

        Nothing while the queue is paused: the order is checked inside the claim.
        """

    async def apply(self, change: Change) -> Task | None:
        """End an attempt. None: the task had moved on, nothing written."""

    async def abort(self, task_id: str, message: str) -> Task | None:
        """PENDING or PROCESSING becomes ABORTED; the task as it was before. None: not alive."""

    async def pause(self, by: str | None) -> Control: ...

    async def resume(self, by: str | None) -> Control: ...

    async def purge(self, by: str | None) -> Stopped:
        """Every PENDING task becomes ABORTED."""

    async def stop(self, by: str | None) -> Stopped:
        """Pause, and every task that is alive becomes ABORTED. One write."""

    async def note(
        self, kind: EventType, message: str, data: dict[str, JsonValue], task_id: str | None = None
    ) -> None:
        """Keep an event that moves no task."""

    async def add_output(self, task_id: str, attempt: int, pieces: Sequence[Piece]) -> list[OutputChunk]:
        """Keep output. Pieces that are kept already are skipped; a long middle is cut."""

    async def prune(self, *, keep_events: int) -> int:
        """Drop the oldest events that no living task's stage log needs. How many went."""

    # -- looks

    async def find(self, task_id: str) -> Task | None: ...

    async def page(self, query: TaskQuery) -> tuple[list[Task], int, str | None]:
        """Tasks newest first, how many match in all, and the next cursor. BadRequest: no cursor of ours."""

    async def stage_logs(self, tasks: Sequence[Task]) -> dict[str, list[Event]]:
        """The events of each task, by id."""

    async def output(self, task_id: str, after: int, limit: int) -> list[OutputChunk]: ...

    async def tail(self, task_id: str, limit: int) -> list[OutputChunk]: ...

    async def held(self) -> list[tuple[Task, int]]:
        """Every PROCESSING task, and the last piece of output kept of its attempt."""

    async def lanes(self) -> list[Lane]:
        """The lanes in which something waits."""

    async def events(self, after: int, limit: int) -> list[Event]:
        """Stored events with a higher `seq`, in order."""

    async def seq_range(self) -> tuple[int, int]:
        """The oldest and the newest `seq` kept; (0, 0) when there is none."""

    def counts(self) -> dict[TaskStatus, int]:
        """How many tasks there are of each status."""

    def control(self) -> Control:
        """What the operator has ordered."""
