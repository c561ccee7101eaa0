"""Listening to an engine: `/ws/events` for everything, server-sent events for one task.

Both subscribe first and look afterwards, and both end when the server closes.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from venom_engine.api.doors import TheEngine, engine_of
from venom_engine.api.problems import documented, invalid_response, problem_response
from venom_engine.core.engine import Engine
from venom_engine.protocol.errors import EngineUnreachable, VenomError
from venom_engine.protocol.event import Event, EventType
from venom_engine.protocol.task import VenomTask

router = APIRouter(tags=["watch"])

HEARTBEAT_SECONDS = 15.0
_STOPPING = (1001, "the engine is stopping")
_TOO_SLOW = (1013, "this watcher fell behind; watch again after the last seq")
#: These end tasks without an event for each.
_STOPS = frozenset({EventType.QUEUE_PURGED, EventType.EMERGENCY_STOP})
_SSE = {"text/event-stream": {"schema": {"type": "string"}}}


class WatchQuery(BaseModel, extra="forbid"):
    """What a watcher wants to hear."""

    after: Annotated[int, Field(ge=0, le=2**62)] | None = None
    """First what was stored after this `seq`."""
    output: bool = False
    load: bool = False


@router.get(
    "/api/v1/tasks/{task_id}/stream",
    response_class=StreamingResponse,
    responses={
        200: {"content": _SSE, "description": "task_update, heartbeat, task_finished"},
        **documented(404, 422),
    },
)
async def stream(task_id: UUID, request: Request, engine: TheEngine) -> Response:
    """Follow one task by `curl -N`: its state now and at every change, until it has ended."""
    await engine.task(task_id)  # An unknown task is a 404, not an empty stream.
    told = _told(engine, task_id, request.app.state.closing)
    return StreamingResponse(told, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.websocket("/ws/events")
async def events(socket: WebSocket) -> None:
    """Every event, one JSON object each: `?after=SEQ&output=1&load=1`."""
    try:
        wanted = WatchQuery.model_validate(dict(socket.query_params))
    except ValidationError as error:
        found = [{**each, "loc": ("query", *each["loc"])} for each in error.errors()]
        return await socket.send_denial_response(invalid_response(found))
    engine = engine_of(socket)
    try:
        async with engine.watch(after=wanted.after, output=wanted.output, load=wanted.load) as heard:
            await socket.accept()
            tell = asyncio.ensure_future(_tell(engine, heard, socket))
            await _until_first(tell, _gone(socket), socket.app.state.closing.wait())
        code, reason = tell.result() if not tell.cancelled() else _STOPPING
        await socket.close(code, reason)
    except VenomError as error:
        await socket.send_denial_response(problem_response(error))
    except (WebSocketDisconnect, RuntimeError):
        return  # The watcher left; there is nobody to tell.


async def _tell(engine: Engine, heard: AsyncIterator[Event], socket: WebSocket) -> tuple[int, str]:
    """Pass events on until there are no more; with which code and reason to close then."""
    last = ""
    try:
        async for event in heard:
            await socket.send_text(engine.encoded(event).decode())
            last = event.type
    except EngineUnreachable:
        return _STOPPING
    return _TOO_SLOW if last == EventType.GAP else _STOPPING


async def _gone(socket: WebSocket) -> None:
    """Return once the watcher has left. What it says meanwhile is dropped."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        pass
    raise WebSocketDisconnect


async def _until_first(*works: Awaitable[object]) -> None:
    """Run them together until one ends; its error, if it has one, is raised."""
    tasks = [asyncio.ensure_future(each) for each in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        await _ended(tasks)


async def _told(engine: Engine, task_id: UUID, closing: asyncio.Event) -> AsyncIterator[bytes]:
    wanted = str(task_id)
    fell_behind = True
    while fell_behind:
        fell_behind = False
        async with engine.watch() as heard:
            task = await engine.task(task_id)
            yield _update(task)
            if task.status.is_final:
                return
            async for event in _with_beats(heard, closing):
                if event is None:
                    now = datetime.now(UTC).isoformat()
                    yield _sse("heartbeat", json.dumps({"task_id": wanted, "timestamp": now}))
                elif event.type == EventType.GAP:
                    fell_behind = True
                    break
                elif event.data.get("task_id") == wanted or event.type in _STOPS:
                    task = await engine.task(task_id)
                    yield _update(task)
                    if task.status.is_final:
                        return


async def _with_beats(heard: AsyncIterator[Event], closing: asyncio.Event) -> AsyncIterator[Event | None]:
    """Each event as it comes, and None every 15 s, until the engine or the server ends."""
    clock = asyncio.get_running_loop().time
    beat_at = clock() + HEARTBEAT_SECONDS
    closes = asyncio.ensure_future(closing.wait())
    turn = asyncio.ensure_future(anext(heard, None))
    try:
        while not closing.is_set():
            wait_for = max(0.0, beat_at - clock())
            done, _ = await asyncio.wait(
                {turn, closes}, timeout=wait_for, return_when=asyncio.FIRST_COMPLETED
            )
            if clock() >= beat_at:
                beat_at = clock() + HEARTBEAT_SECONDS
                yield None
            if turn in done:
                event = turn.result()
                if event is None:
                    return
                turn = asyncio.ensure_future(anext(heard, None))
                yield event
    except EngineUnreachable:
        return  # The stream just ends: whoever follows comes back and looks.
    finally:
        await _ended([turn, closes])


async def _ended(tasks: Iterable[asyncio.Future[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _update(task: VenomTask) -> bytes:
    return _sse("task_finished" if task.status.is_final else "task_update", task.model_dump_json())


def _sse(kind: str, data: str) -> bytes:
    return f"event: {kind}\ndata: {data}\n\n".encode()
