"""Records -> what anybody may see."""

from collections.abc import Sequence
from uuid import UUID

from venom_engine.protocol.event import Event
from venom_engine.protocol.task import VenomTask
from venom_engine.rules.records import Task
from venom_engine.store.rows import moment


def wire_task(task: Task, events: Sequence[Event]) -> VenomTask:
    """The task with its events as the lines of its stage log."""
    return VenomTask(
        id=UUID(task.id),
        content=task.content,
        created_at=moment(task.created_at),
        status=task.status,
        result=task.result,
        logs=[stage_line(event) for event in events],
        skill=task.lane.skill,
        method=task.method,
        parameters=task.parameters,
        priority=task.priority,
        queue=task.lane.queue,
        requirements=task.lane.needs,
        attempt=task.attempt,
        max_retries=task.max_retries,
        timeout=task.timeout,
        node_id=task.node_id,
        started_at=None if task.started_at is None else moment(task.started_at),
        finished_at=None if task.finished_at is None else moment(task.finished_at),
        error=task.error,
    )


def stage_line(event: Event) -> str:
    """One line of a stage log: when (UTC), and what."""
    return f"{event.timestamp:%Y-%m-%dT%H:%M:%S.%f}"[:-3] + f"Z {event.message}"
