"""Rows <-> records. Checked data comes back as it went in, so nothing is validated twice."""

from datetime import UTC, datetime
from typing import Any

from pydantic import JsonValue
from pydantic_core import from_json, to_json

from venom_engine.protocol.event import Event
from venom_engine.protocol.task import OutputChunk, Requirements, TaskStatus
from venom_engine.rules.records import Lane, Task

Row = tuple[Any, ...]


def json_text(value: JsonValue) -> str:
    """Compact JSON; what JSON has no word for (NaN, infinity) becomes null."""
    return to_json(value, inf_nan_mode="null").decode()


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def task_from(row: Row, lane: Lane) -> Task:
    """A task from the columns of sql.TASK_COLUMNS."""
    return Task(
        id=row[0],
        n=row[1],
        lane=lane,
        content=row[3],
        method=row[4],
        parameters=from_json(row[5]),
        priority=row[6],
        max_retries=row[7],
        timeout=row[8],
        status=TaskStatus(row[9]),
        attempt=row[10],
        excused=row[11],
        node_id=row[12],
        created_at=row[13],
        started_at=row[14],
        finished_at=row[15],
        result=None if row[16] is None else from_json(row[16]),
        error=row[17],
    )


def row_from(task: Task, n: int, lane: int) -> dict[str, Any]:
    """The parameters of `add_task`."""
    return {
        "n": n,
        "id": task.id,
        "lane": lane,
        "status": task.status,
        "priority": task.priority,
        "content": task.content,
        "method": task.method,
        "parameters": json_text(task.parameters),
        "max_retries": task.max_retries,
        "timeout": task.timeout,
        "attempt": task.attempt,
        "excused": task.excused,
        "node_id": task.node_id,
        "created_at": task.created_at,
        "started_at": task.started_at,
        "finished_at": task.finished_at,
        "result": None if task.result is None else json_text(task.result),
        "error": task.error,
    }


def lane_key(lane: Lane) -> tuple[str, str, str]:
    """The columns that tell lanes apart."""
    return lane.queue, lane.skill, lane.needs.model_dump_json(exclude_defaults=True)


def lane_from(row: Row) -> Lane:
    return Lane(row[0], row[1], Requirements.model_validate_json(row[2]))


def event_from(row: Row) -> Event:
    """An event from seq, at, type, message, data."""
    return Event(seq=row[0], timestamp=moment(row[1]), type=row[2], message=row[3], data=from_json(row[4]))


def chunk_from(row: Row) -> OutputChunk:
    """A chunk from n, attempt, stream, text, at."""
    return OutputChunk(n=row[0], attempt=row[1], stream=row[2], text=row[3], timestamp=moment(row[4]))
