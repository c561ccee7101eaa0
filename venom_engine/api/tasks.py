"""Tasks over HTTP: submit, look, list, output."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field, TypeAdapter, field_validator
from starlette.responses import Response

from venom_engine.api.doors import TheEngine, answer, body_of, engine_of, takes
from venom_engine.api.problems import documented, problem_response
from venom_engine.protocol.errors import BadRequest
from venom_engine.protocol.task import OutputChunk, TaskQuery, TaskRequest, TaskResponse, VenomTask

router = APIRouter(prefix="/api/v1/tasks", tags=["tasks"])

_RESPONSE = TypeAdapter(TaskResponse)
_TASK = TypeAdapter(VenomTask)
_TASKS = TypeAdapter(list[VenomTask])
_OUTPUT = TypeAdapter(list[OutputChunk])

_PAGING = {
    "X-Total-Count": {
        "description": "How many tasks match, all pages together.",
        "schema": {"type": "integer"},
    },
    "X-Next-Cursor": {
        "description": "`cursor` of the next page; absent on the last.",
        "schema": {"type": "string"},
    },
}


class TaskListQuery(TaskQuery):
    """The query of the task list. `status` may be repeated, or hold several with commas between."""

    @field_validator("status", mode="before")
    @classmethod
    def _split(cls, given: Any) -> Any:
        parts = [given] if isinstance(given, str) else given
        if isinstance(parts, list | tuple) and all(isinstance(part, str) for part in parts):
            return [each.strip() for part in parts for each in part.split(",") if each.strip()]
        return given


@router.post(
    "",
    status_code=201,
    response_model=TaskResponse,
    responses=documented(413, 422, 507),
    openapi_extra=takes(TaskRequest),
)
async def submit(request: Request) -> Response:
    """Take a task. Once this has answered, the task is on disk."""
    wanted = await body_of(request, TaskRequest)
    try:
        return answer(await engine_of(request).submit(wanted), _RESPONSE, 201)
    except BadRequest as error:
        return problem_response(error, 422)


@router.get("", response_model=list[VenomTask], responses={200: {"headers": _PAGING}, **documented(422)})
async def tasks(query: Annotated[TaskListQuery, Query()], engine: TheEngine) -> Response:
    """Tasks, newest first."""
    try:
        page = await engine.tasks(query)
    except BadRequest as error:
        return problem_response(error, 422)
    headers = {"X-Total-Count": str(page.total)}
    if page.next_cursor is not None:
        headers["X-Next-Cursor"] = page.next_cursor
    return answer(page.tasks, _TASKS, headers=headers)


@router.get("/{task_id}", response_model=VenomTask, responses=documented(404, 422))
async def task(task_id: UUID, engine: TheEngine) -> Response:
    """One task with its stage log."""
    return answer(await engine.task(task_id), _TASK)


@router.get("/{task_id}/output", response_model=list[OutputChunk], responses=documented(404, 422))
async def output(
    task_id: UUID,
    engine: TheEngine,
    after: Annotated[int | None, Field(ge=0, le=2**62), Query()] = None,
    limit: Annotated[int, Field(ge=1, le=10_000), Query()] = 1000,
    tail: Annotated[int | None, Field(ge=1, le=10_000), Query()] = None,
) -> Response:
    """What the task printed: the chunks after number `after`, or the last `tail` ones."""
    if tail is None:
        return answer(await engine.output(task_id, after=after or 0, limit=limit), _OUTPUT)
    if after is not None:
        raise RequestValidationError(
            [{"loc": ("query", "tail"), "msg": "give `after` or `tail`, not both", "type": "conflict"}]
        )
    return answer(await engine.tail(task_id, limit=tail), _OUTPUT)
