"""Small builders for the console's tests: wire objects with sensible values."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from venom_engine.protocol.event import Event
from venom_engine.protocol.node import Capabilities, NodeInfo, NodeList
from venom_engine.protocol.task import OutputChunk, TaskPage, TaskStatus, VenomTask
from venom_tui.rows import TaskRow, task_row

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def task_id(number: int) -> str:
    """The id of the n-th task; all differ at the end, as ids that begin with the time do."""
    return str(UUID(int=number))


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(START.timestamp() + seconds, UTC)


def a_task(number: int = 1, content: str = "hello", **fields: Any) -> VenomTask:
    given = {
        "status": TaskStatus.PENDING,
        "skill": "Echo",
        "method": "run",
        "created_at": at(number),
        **fields,
    }
    return VenomTask(id=UUID(task_id(number)), content=content, **given)


def a_row(number: int = 1, **fields: Any) -> TaskRow:
    return task_row(a_task(number, **fields))


def a_page(*tasks: VenomTask, total: int | None = None) -> TaskPage:
    return TaskPage(tasks=list(tasks), total=len(tasks) if total is None else total)


def an_event(
    kind: str, message: str = "", *, seq: int | None = None, seconds: float = 100, **data: Any
) -> Event:
    return Event(type=kind, message=message or kind.lower(), timestamp=at(seconds), data=data, seq=seq)


def a_piece(n: int, text: str, *, of: int = 1, stream: str = "stdout") -> Event:
    """A piece of output as it is told."""
    return an_event("TASK_OUTPUT", task_id=task_id(of), n=n, attempt=1, stream=stream, text=text)


def a_chunk(n: int, text: str, *, stream: str = "stdout", seconds: float = 50) -> OutputChunk:
    """A piece of output as it is kept."""
    return OutputChunk(n=n, attempt=1, stream=stream, text=text, timestamp=at(seconds))


def a_node(name: str = "local", **fields: Any) -> NodeInfo:
    given = {
        "capabilities": Capabilities(slots=4),
        "last_heartbeat": START,
        "cpu_usage": 0.25,
        "memory_usage": 0.5,
        "active_tasks": 1,
        "is_online": True,
        "registered_at": START,
        **fields,
    }
    return NodeInfo(node_id=f"id-{name}", node_name=name, **given)


def nodes(*found: NodeInfo) -> NodeList:
    return NodeList(count=len(found), online_count=sum(node.is_online for node in found), nodes=list(found))
