"""How an attempt ended -> what becomes of the task, and the line that says why.

A failure is tried again as often as the caller asked. A lost node is no fault of the task, so a
caller who said nothing gets LOST_RETRIES more attempts; one who said `max_retries=0` gets none.
"""

from dataclasses import replace

from pydantic import JsonValue

from venom_engine.protocol.event import EventType
from venom_engine.protocol.messages import NodeResponse
from venom_engine.protocol.task import TaskStatus
from venom_engine.rules.lifecycle import Signal, after
from venom_engine.rules.records import Change, Task

#: A task that takes its node down with it must end some day.
LOST_RETRIES = 3
MAX_ERROR = 10_000


def answered(task: Task, response: NodeResponse, node_name: str) -> Change:
    """The node has answered."""
    if response.outcome == "interrupted":
        return given_back(task, f"{node_name} is stopping; back to the queue, the attempt does not count")
    took = f"{response.execution_time:.2f} s"
    if response.success:
        return _change(
            task,
            Signal.COMPLETE,
            EventType.TASK_COMPLETED,
            f"Completed on {node_name} in {took}",
            result=response.result,
        )
    error = (response.error or "the skill failed and did not say why")[:MAX_ERROR]
    return failed(task, error, f"on {node_name} after {took}", result=response.result)


def failed(task: Task, error: str, where: str, *, result: JsonValue = None) -> Change:
    """The attempt failed: again, if the caller asked for retries and some are left."""
    allowed = task.max_retries or 0
    line = first_line(error)
    if task.attempts_spent <= allowed:
        return _change(
            task,
            Signal.GIVE_BACK,
            EventType.TASK_RETRIED,
            f"Attempt {task.attempt} failed {where}: {line}; {allowed - task.attempts_spent + 1} left",
            error=error,
        )
    return _change(
        task, Signal.FAIL, EventType.TASK_FAILED, f"Failed {where}: {line}", error=error, result=result
    )


def lost(task: Task, why: str) -> Change:
    """The node is gone, or has forgotten the task."""
    allowed = LOST_RETRIES if task.max_retries is None else task.max_retries
    if task.attempts_spent <= allowed:
        message = f"Attempt {task.attempt} was lost: {why}; back to the queue"
        return _change(task, Signal.GIVE_BACK, EventType.TASK_RETRIED, message, error=why)
    spent = f"after {task.attempts_spent} attempts" if task.attempts_spent > 1 else "and no retries are left"
    error = f"lost {spent}: {why}"
    return _change(task, Signal.FAIL, EventType.TASK_FAILED, f"Failed: {error}", error=error)


def given_back(task: Task, why: str) -> Change:
    """The node did not run it, through no fault of the task: the attempt does not count."""
    return _change(task, Signal.GIVE_BACK, EventType.TASK_RETRIED, why[0].upper() + why[1:], excused=True)


def unwritable(change: Change) -> Change:
    """The same end without the words that cannot be kept."""
    error = "its answer could not be stored: it is no proper JSON or Unicode text"
    return replace(
        change,
        now=TaskStatus.FAILED,
        event=EventType.TASK_FAILED,
        message=f"Failed: {error}",
        error=error,
        result=None,
        data={"error": error},
    )


def first_line(text: str, limit: int = 300) -> str:
    """The first line with something in it, bounded: for a log line."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _change(
    task: Task,
    signal: Signal,
    event: EventType,
    message: str,
    *,
    excused: bool = False,
    result: JsonValue = None,
    error: str | None = None,
) -> Change:
    now = after(TaskStatus.PROCESSING, signal)
    assert now is not None, signal
    return Change(
        task_id=task.id,
        attempt=task.attempt,
        now=now,
        event=event,
        message=message,
        excused=excused,
        result=result,
        error=error,
        data={"error": error} if error else {},
    )
