"""The queue over HTTP: how it stands, and its controls.

Who did it is taken from the header X-Venom-Actor; without one it was "operator".
"""

from uuid import UUID

from fastapi import APIRouter
from pydantic import TypeAdapter
from starlette.responses import Response

from venom_engine.api.doors import ACTOR_HEADER, Actor, TheEngine, answer
from venom_engine.api.problems import documented
from venom_engine.protocol.queue import AbortReply, QueueReply, QueueStatus

router = APIRouter(prefix="/api/v1/queue", tags=["queue"])

_STATUS = TypeAdapter(QueueStatus)
_ABORT = TypeAdapter(AbortReply)
_NAMED = {
    "parameters": [
        {
            "name": ACTOR_HEADER,
            "in": "header",
            "required": False,
            "description": "Who does it, for the log. At most 60 printable characters.",
            "schema": {"type": "string"},
        }
    ]
}


@router.get("/status", response_model=QueueStatus, responses=documented())
async def status(engine: TheEngine) -> Response:
    """How the queue stands now."""
    return answer(await engine.queue_status(), _STATUS)


@router.post("/pause", response_model=QueueReply, responses=documented(507), openapi_extra=_NAMED)
async def pause(engine: TheEngine, by: Actor) -> Response:
    """Nothing new starts; running tasks go on."""
    return _done(await engine.pause(by=by))


@router.post("/resume", response_model=QueueReply, responses=documented(507), openapi_extra=_NAMED)
async def resume(engine: TheEngine, by: Actor) -> Response:
    """Ends a pause and an emergency stop."""
    return _done(await engine.resume(by=by))


@router.post("/purge", response_model=QueueReply, responses=documented(507), openapi_extra=_NAMED)
async def purge(engine: TheEngine, by: Actor) -> Response:
    """Every PENDING task becomes ABORTED; running ones go on."""
    return _done(await engine.purge(by=by))


@router.post("/emergency-stop", response_model=QueueReply, responses=documented(507), openapi_extra=_NAMED)
async def emergency_stop(engine: TheEngine, by: Actor) -> Response:
    """Pause, kill every running task on every node, purge what waits. Lasts until somebody resumes."""
    return _done(await engine.emergency_stop(by=by))


@router.post("/task/{task_id}/abort", response_model=AbortReply, responses=documented(404, 422, 507))
async def abort(task_id: UUID, engine: TheEngine) -> Response:
    """Stop one task, wherever it runs, with every process that it started."""
    return answer(await engine.abort(task_id), _ABORT)


def _done(reply: QueueReply) -> Response:
    return Response(reply.model_dump_json(exclude_none=True), media_type="application/json")
