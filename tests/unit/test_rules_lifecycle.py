"""The life of a task is one table: it has no way back from an end."""

import pytest

from venom_engine.protocol.task import FINAL, TaskStatus
from venom_engine.rules.lifecycle import MOVES, Signal, after


@pytest.mark.parametrize("status", sorted(FINAL))
@pytest.mark.parametrize("signal", list(Signal))
def test_nothing_moves_a_task_that_has_ended(status: TaskStatus, signal: Signal) -> None:
    """A final status stays."""
    assert after(status, signal) is None


def test_every_living_status_can_be_aborted() -> None:
    """A stop is a stop."""
    living = set(TaskStatus) - FINAL

    assert {status for status in living if after(status, Signal.ABORT) is TaskStatus.ABORTED} == living


def test_every_status_can_be_reached() -> None:
    """No status is there for nothing."""
    assert set(MOVES.values()) == set(TaskStatus)
