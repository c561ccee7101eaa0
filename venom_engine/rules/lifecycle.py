"""(status, signal) -> status: the whole life of a task is this one table.

PENDING ──claim──> PROCESSING ──complete──> COMPLETED
   │  <──give back──┘  │  └─────fail──────> FAILED
   └──abort──> ABORTED <──abort──┘
"""

from enum import StrEnum

from venom_engine.protocol.task import TaskStatus


class Signal(StrEnum):
    """What may happen to a task."""

    CLAIM = "claim"
    GIVE_BACK = "give_back"
    COMPLETE = "complete"
    FAIL = "fail"
    ABORT = "abort"


MOVES: dict[tuple[TaskStatus, Signal], TaskStatus] = {
    (TaskStatus.PENDING, Signal.CLAIM): TaskStatus.PROCESSING,
    (TaskStatus.PENDING, Signal.ABORT): TaskStatus.ABORTED,
    (TaskStatus.PROCESSING, Signal.GIVE_BACK): TaskStatus.PENDING,
    (TaskStatus.PROCESSING, Signal.COMPLETE): TaskStatus.COMPLETED,
    (TaskStatus.PROCESSING, Signal.FAIL): TaskStatus.FAILED,
    (TaskStatus.PROCESSING, Signal.ABORT): TaskStatus.ABORTED,
}


def after(status: TaskStatus, signal: Signal) -> TaskStatus | None:
    """Where the signal takes a task; None when it has no meaning there."""
    return MOVES.get((status, signal))


def sources(signal: Signal) -> tuple[TaskStatus, ...]:
    """The statuses in which the signal means something."""
    return tuple(status for status, heard in MOVES if heard is signal)
