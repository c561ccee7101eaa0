"""What an answer makes of a task."""

from dataclasses import replace
from typing import Any

import pytest

from venom_engine.protocol.errors import BadRequest
from venom_engine.protocol.messages import NodeResponse
from venom_engine.protocol.task import Requirements, TaskRequest, TaskStatus
from venom_engine.rules import outcome
from venom_engine.rules.records import Lane, Task, request_id_of
from venom_engine.rules.routing import route

TASK = Task(
    id="0190a000-0000-7000-8000-000000000001",
    lane=Lane("default", "Echo", Requirements()),
    content="hi",
    method="run",
    parameters={},
    priority=5,
    status=TaskStatus.PROCESSING,
    attempt=1,
    node_id="n",
    created_at=0.0,
)


def an_answer(**fields: Any) -> NodeResponse:
    return NodeResponse.model_validate({"request_id": "r", "node_id": "n", "success": True, **fields})


def test_an_answer_completes_the_task() -> None:
    """The result is the task's."""
    change = outcome.answered(TASK, an_answer(result={"a": 1}), "rack")

    assert (change.now, change.result, change.attempt) == (TaskStatus.COMPLETED, {"a": 1}, 1)


@pytest.mark.parametrize(
    ("max_retries", "attempt", "now"),
    [
        (None, 1, TaskStatus.FAILED),
        (0, 1, TaskStatus.FAILED),
        (2, 1, TaskStatus.PENDING),
        (2, 2, TaskStatus.PENDING),
        (2, 3, TaskStatus.FAILED),
    ],
)
def test_a_failure_is_tried_again_as_often_as_was_asked(
    max_retries: int | None, attempt: int, now: TaskStatus
) -> None:
    """`max_retries` more attempts, none when nothing was said."""
    task = replace(TASK, max_retries=max_retries, attempt=attempt)

    assert outcome.failed(task, "boom", "on rack").now is now


@pytest.mark.parametrize(
    ("max_retries", "attempt", "now"),
    [
        (None, 3, TaskStatus.PENDING),
        (None, 4, TaskStatus.FAILED),
        (0, 1, TaskStatus.FAILED),
        (1, 1, TaskStatus.PENDING),
    ],
)
def test_a_lost_node_costs_an_attempt_and_three_more_are_the_custom(
    max_retries: int | None, attempt: int, now: TaskStatus
) -> None:
    """A task that takes its node down with it ends some day; one that must not run twice does not."""
    task = replace(TASK, max_retries=max_retries, attempt=attempt)

    assert outcome.lost(task, "rack is gone").now is now


def test_an_interrupted_attempt_does_not_count() -> None:
    """The node stopped, not the task."""
    task = replace(TASK, max_retries=0)
    change = outcome.answered(task, an_answer(success=False, outcome="interrupted"), "rack")

    assert (change.now, change.excused) == (TaskStatus.PENDING, True)


def test_an_excused_attempt_leaves_the_retries_untouched() -> None:
    """Two attempts of which one does not count have spent one."""
    assert (
        outcome.failed(replace(TASK, attempt=2, excused=1, max_retries=1), "x", "y").now is TaskStatus.PENDING
    )


def test_each_attempt_is_asked_under_a_name_of_its_own() -> None:
    """The same after a restart, another for the next attempt."""
    assert request_id_of(TASK.id, 1) == TASK.request_id
    assert request_id_of(TASK.id, 2) != TASK.request_id


def test_an_exclamation_mark_means_the_shell() -> None:
    """`!uname -a` and `! uname -a` are the same command; lines after the first stay."""
    lane, method, parameters = route(TaskRequest(content="! uname -a\nid"), "Echo.run")

    assert (lane.skill, method, parameters) == ("ShellSkill", "run", {"command": "uname -a\nid"})


def test_other_content_goes_to_the_default_skill() -> None:
    """Out of the box that is Echo."""
    lane, method, parameters = route(TaskRequest(content="hello"), "Echo.run")

    assert (lane.skill, method, parameters) == ("Echo", "run", {"content": "hello"})


@pytest.mark.parametrize("fields", [{"content": "!  "}, {"content": "x", "method": "run"}])
def test_a_call_of_nothing_is_refused(fields: dict[str, Any]) -> None:
    """An empty command, and a method without a skill."""
    with pytest.raises(BadRequest):
        route(TaskRequest(**fields), "Echo.run")
