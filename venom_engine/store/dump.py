"""The original's JSON state dump, in and out: {"tasks": {id: task}, "saved_at": …}.

Import keeps ids and what has ended; a task that was PENDING waits again, and one that was PROCESSING
waits again too, because the process that ran it is gone.
"""

import asyncio
import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from venom_engine.protocol.errors import BadRequest, StateUnusable
from venom_engine.protocol.event import EventType
from venom_engine.protocol.task import TaskRequest, TaskStatus
from venom_engine.rules.records import Lane, Task
from venom_engine.rules.routing import route
from venom_engine.store.folder import owned_folder
from venom_engine.store.rows import moment
from venom_engine.store.sqlite import SqliteStore, sqlite_store

BATCH = 1000
_MOMENT = TypeAdapter(datetime)


async def import_dump(folder: Path, file: Path, *, default_skill: str = "Echo.run") -> int:
    """Add the dump's tasks to the state folder, all or none; how many there were.

    Tasks whose id the folder knows already are left as they are. Raises EngineBusy while an engine
    runs on the folder, BadRequest when the file is no dump.
    """
    found = list(_parsed(await asyncio.to_thread(_read, file), file, default_skill))
    with owned_folder(folder) as owned:
        async with sqlite_store(owned.database, output_limit=BATCH) as store:
            new = [(task, logs) for task, logs in found if await store.find(task.id) is None]
            await store.add([task for task, _ in new])
            lines = [(task.id, line) for task, logs in new for line in logs]
            for some in (lines[at : at + BATCH] for at in range(0, len(lines), BATCH)):
                await asyncio.gather(*(_keep_line(store, task_id, line) for task_id, line in some))
    return len(new)


async def export_dump(folder: Path, file: Path) -> int:
    """Write every task of the state folder to the file, whole or not at all; how many there were.

    Raises EngineBusy while an engine runs on the folder.
    """
    with owned_folder(folder) as owned:
        async with sqlite_store(owned.database, output_limit=BATCH) as store:
            tasks = await _all_tasks(store)
    text = json.dumps({"tasks": tasks, "saved_at": datetime.now(UTC).isoformat()}, indent=1)
    await asyncio.to_thread(_write, file, text)
    return len(tasks)


async def _keep_line(store: SqliteStore, task_id: str, line: str) -> None:
    await store.note(EventType.TASK_NOTE, line, {"task_id": task_id}, task_id)


async def _all_tasks(store: SqliteStore) -> dict[str, Any]:
    found: dict[str, Any] = {}
    last = 0
    while page := await store.all_tasks(last, BATCH):
        logs = await store.stage_logs(page)
        for task in page:
            found[task.id] = _dumped(task, [event.message for event in logs[task.id]])
        last = page[-1].n
    return found


def _dumped(task: Task, logs: list[str]) -> dict[str, Any]:
    return {
        "id": task.id,
        "content": task.content,
        "created_at": moment(task.created_at).isoformat(),
        "status": task.status.value,
        "result": task.result,
        "error": task.error,
        "logs": logs,
        "skill": task.lane.skill,
        "method": task.method,
        "parameters": task.parameters,
        "priority": task.priority,
        "queue": task.lane.queue,
        "requirements": task.lane.needs.model_dump(mode="json"),
        "max_retries": task.max_retries,
        "timeout": task.timeout,
        "attempt": task.attempt,
        "node_id": task.node_id,
        "started_at": task.started_at and moment(task.started_at).isoformat(),
        "finished_at": task.finished_at and moment(task.finished_at).isoformat(),
    }


def _parsed(text: str, file: Path, default_skill: str) -> Iterator[tuple[Task, list[str]]]:
    try:
        entries = json.loads(text)["tasks"]
        items = list(entries.values()) if isinstance(entries, dict) else list(entries)
    except (ValueError, KeyError, TypeError) as error:
        raise _no_dump(file, f"it has no tasks ({error})") from error
    # Oldest first, so that they wait in the order in which they came.
    items.sort(key=lambda item: str(item.get("created_at", "")) if isinstance(item, dict) else "")
    for item in items:
        try:
            yield _task_from(item, default_skill), [str(line) for line in item.get("logs") or ()]
        except (ValidationError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise _no_dump(file, f"a task in it cannot be read: {str(error).splitlines()[0]}") from error


def _task_from(item: dict[str, Any], default_skill: str) -> Task:
    known = {name: item[name] for name in TaskRequest.model_fields if item.get(name) is not None}
    if "skill" not in known:
        known.pop("method", None)
        known.pop("parameters", None)
    request = TaskRequest.model_validate(known)
    lane, method, parameters = route(request, default_skill)
    status = TaskStatus(item.get("status", "PENDING"))
    ended = status.is_final
    return Task(
        id=str(UUID(item["id"])),
        lane=Lane(lane.queue, lane.skill, lane.needs),
        content=request.content,
        method=method,
        parameters=parameters,
        priority=request.priority,
        max_retries=request.max_retries,
        timeout=request.timeout,
        status=status if ended else TaskStatus.PENDING,
        attempt=int(item.get("attempt") or 0),
        excused=0 if ended else int(item.get("attempt") or 0),
        node_id=item.get("node_id") if ended else None,
        created_at=_seconds(item.get("created_at")) or time.time(),
        started_at=_seconds(item.get("started_at")),
        finished_at=(_seconds(item.get("finished_at")) or time.time()) if ended else None,
        result=item.get("result"),
        error=item.get("error"),
    )


def _seconds(text: Any) -> float | None:
    if not text:
        return None
    when = _MOMENT.validate_python(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise _no_dump(file, str(error)) from error


def _write(file: Path, text: str) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("w") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(file)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StateUnusable(
            f"{file} cannot be written: {error.strerror}.",
            kept="The state is unchanged.",
            do="Choose another file.",
        ) from error


def _no_dump(file: Path, why: str) -> BadRequest:
    return BadRequest(
        f"{file} cannot be imported: {why}.",
        kept="Nothing was changed.",
        do="Give the path of a Venom state dump.",
    )
