"""Tasks, nodes and the queue as text for people: plain functions, no I/O."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import JsonValue

from venom_engine.cli.out import one_line, table
from venom_engine.protocol.event import Event
from venom_engine.protocol.node import NodeInfo
from venom_engine.protocol.queue import QueueStatus
from venom_engine.protocol.task import TaskStatus, VenomTask

_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"))


def task_table(tasks: Sequence[VenomTask], now: datetime) -> str:
    """One line a task."""
    rows = [
        [str(task.id), task.status.value, span((now - task.created_at).total_seconds()), task.content]
        for task in tasks
    ]
    return table(("ID", "STATUS", "AGE", "CONTENT"), rows)


def task_text(task: VenomTask) -> str:
    """All there is to say of one task."""
    wanted = task.requirements
    needs = (
        [f"tag {tag}" for tag in wanted.tags]
        + ["gpu"] * wanted.gpu
        + ([f"node {wanted.node}"] if wanted.node else [])
    )
    lines = [
        ("id", str(task.id)),
        ("status", task.status.value),
        ("content", task.content),
        ("runs", f"{task.skill}.{task.method}"),
        ("queue", f"{task.queue}, priority {task.priority}"),
        ("needs", ", ".join(needs)),
        ("node", task.node_id or ""),
        ("attempt", str(task.attempt) if task.attempt else ""),
        ("created", moment(task.created_at)),
        ("started", moment(task.started_at)),
        ("finished", moment(task.finished_at)),
        ("took", took(task)),
        ("error", task.error or ""),
        ("result", result_text(task.result)),
    ]
    told = [f"{name:<9} {_indented(text)}" for name, text in lines if text]
    return "\n".join([*told, "log", *(f"  {one_line(line)}" for line in task.logs)])


def node_table(nodes: Sequence[NodeInfo]) -> str:
    """One line a node."""
    rows = [
        [
            node.node_name,
            "online" if node.is_online else "offline",
            f"{node.cpu_usage:.0%}",
            f"{node.memory_usage:.0%}",
            f"{node.active_tasks}/{node.capabilities.slots}",
            node.node_id,
            " ".join(node.capabilities.tags),
        ]
        for node in nodes
    ]
    return table(("NAME", "STATE", "CPU", "RAM", "TASKS", "ID", "TAGS"), rows)


def queue_text(status: QueueStatus) -> str:
    """How the queue stands."""
    state = "STOPPED" if status.stopped else "paused" if status.paused else "running"
    by = f" by {status.paused_by}" if status.paused_by else ""
    since = f" since {moment(status.paused_at)}" if status.paused_at else ""
    lines = [
        ("state", f"{state}{by}{since}"),
        ("pending", str(status.pending)),
        ("active", str(status.active)),
        ("limit", "the nodes' slots" if status.limit is None else str(status.limit)),
        ("ended", f"{status.completed} completed, {status.failed} failed, {status.aborted} aborted"),
        ("problem", status.problem or ""),
    ]
    return "\n".join(f"{name:<9} {text}" for name, text in lines if text)


def event_text(event: Event) -> str:
    """One line an event."""
    text = event.data.get("text") if event.type == "TASK_OUTPUT" else None
    told = one_line(text if isinstance(text, str) else event.message)
    of = event.data.get("task_id") or event.data.get("node_id") or ""
    return f"{event.timestamp.astimezone():%H:%M:%S} {event.type:<17} {told}{f' ({of})' if of else ''}"


def ending(task: VenomTask) -> str:
    """How a task ended, on one line."""
    why = f": {one_line(task.error)}" if task.error and task.status is not TaskStatus.COMPLETED else ""
    return f"{task.status.value} {task.id}{f' in {took(task)}' if took(task) else ''}{why}"


def result_text(result: JsonValue) -> str:
    """A result as people read it: text as it is, anything else as JSON."""
    if result is None:
        return ""
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)


def took(task: VenomTask) -> str:
    """How long the last attempt ran."""
    if task.started_at is None:
        return ""
    return span(((task.finished_at or datetime.now(UTC)) - task.started_at).total_seconds())


def span(seconds: float) -> str:
    """A stretch of time in its largest whole unit."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    seconds = max(0.0, seconds)
    return f"{seconds:.2f}s" if seconds < 1 else f"{seconds:.1f}s" if seconds < 10 else f"{int(seconds)}s"


def moment(at: datetime | None) -> str:
    """A moment in the reader's own time."""
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}" if at else ""


def _indented(text: str) -> str:
    return text.rstrip("\n").replace("\n", f"\n{' ' * 10}")
