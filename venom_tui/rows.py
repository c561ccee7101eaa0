"""What a list shows of a task and of a node: small, frozen, and made inert once, when it comes in."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from venom_engine.protocol.text import inert

if TYPE_CHECKING:
    from venom_engine.protocol.event import Event
    from venom_engine.protocol.node import NodeInfo
    from venom_engine.protocol.task import VenomTask

#: More of a task's content than this no list shows.
CONTENT_LIMIT = 400
FINAL = frozenset({"COMPLETED", "FAILED", "ABORTED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    """One line of the task list."""

    id: str
    content: str
    status: str
    call: str  #: `Skill.method`.
    node_id: str
    attempt: int
    created: float  #: Seconds since 1970.
    started: float | None
    finished: float | None

    @property
    def is_final(self) -> bool:
        return self.status in FINAL


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRow:
    """One node of the cluster map."""

    id: str
    name: str
    online: bool
    local: bool
    cpu: float  #: 0.0 to 1.0.
    memory: float
    tasks: int
    slots: int
    last_heard: float


def task_row(task: "VenomTask") -> TaskRow:
    """The line for a task."""
    return TaskRow(
        id=str(task.id),
        content=first_line(task.content),
        status=task.status.value,
        call=inert(f"{task.skill}.{task.method}"),
        node_id=task.node_id or "",
        attempt=task.attempt,
        created=task.created_at.timestamp(),
        started=_seconds(task.started_at),
        finished=_seconds(task.finished_at),
    )


def moved_row(row: TaskRow, event: "Event") -> TaskRow:
    """The same line after an event of its task."""
    status, attempt, node = (event.data.get(name) for name in ("status", "attempt", "node_id"))
    at = event.timestamp.timestamp()
    now = status if isinstance(status, str) else row.status
    return replace(
        row,
        status=now,
        attempt=attempt if isinstance(attempt, int) else row.attempt,
        node_id=node if isinstance(node, str) else "" if now == "PENDING" else row.node_id,
        started=at if event.type == "TASK_STARTED" else None if now == "PENDING" else row.started,
        finished=at if now in FINAL and row.finished is None else row.finished if now in FINAL else None,
    )


def node_row(node: "NodeInfo") -> NodeRow:
    """The cell for a node."""
    return NodeRow(
        id=node.node_id,
        name=inert(node.node_name),
        online=node.is_online,
        local=node.is_local,
        cpu=node.cpu_usage,
        memory=node.memory_usage,
        tasks=max(node.active_tasks, node.held_tasks),
        slots=node.capabilities.slots,
        last_heard=node.last_heartbeat.timestamp(),
    )


def loaded_row(row: NodeRow, load: object) -> NodeRow:
    """The same node after a load report: [node_id, cpu_usage, memory_usage, active_tasks]."""
    match load:
        case [_, float() | int() as cpu, float() | int() as memory, int() as tasks, *_]:
            return replace(row, cpu=float(cpu), memory=float(memory), tasks=tasks)
    return row


def first_line(content: str) -> str:
    """The first line with something on it, inert and bounded."""
    line = content[: 4 * CONTENT_LIMIT].strip().partition("\n")[0]
    return inert(line).replace("\n", " ").replace("\t", " ")[:CONTENT_LIMIT]


def _seconds(at: datetime | None) -> float | None:
    return at.timestamp() if at else None
