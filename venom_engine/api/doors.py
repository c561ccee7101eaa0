"""What every route needs: its engine, its caller's name, its checked body, and a fast answer."""

import asyncio
import re
from collections.abc import Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, JsonValue, TypeAdapter, ValidationError
from starlette.requests import HTTPConnection
from starlette.responses import Response

from venom_engine.core.engine import Engine

Body = TypeVar("Body", bound=BaseModel)

T = TypeVar("T")
#: What nobody hears: the caller has hung up (nginx's number for it).
HUNG_UP = 499

ACTOR_HEADER = "X-Venom-Actor"
DEFAULT_ACTOR = "operator"
_ACTOR_LIMIT = 60
#: JSON has no such numbers; Python's writers send them all the same.
_MAY_BE_ENDLESS = re.compile(rb"NaN|Infinity|\d[eE]\+?\d{3}")


def engine_of(connection: HTTPConnection) -> Engine:
    """The engine behind this app."""
    engine: Engine = connection.app.state.engine
    return engine


def _actor(request: Request) -> str:
    raw = next((value for name, value in request.scope["headers"] if name == b"x-venom-actor"), b"")
    try:
        name = raw.decode().strip()
    except UnicodeDecodeError:
        return DEFAULT_ACTOR
    return name if name and name.isprintable() and len(name) <= _ACTOR_LIMIT else DEFAULT_ACTOR


async def _engine(request: Request) -> Engine:
    return engine_of(request)


async def _by(request: Request) -> str:
    return _actor(request)


TheEngine = Annotated[Engine, Depends(_engine)]
Actor = Annotated[str, Depends(_by)]


async def body_of(request: Request, kind: type[Body]) -> Body:
    """The body, parsed and checked in one go. Raises RequestValidationError."""
    raw = await request.body()
    try:
        body = kind.model_validate_json(raw)
    except ValidationError as error:
        raise _refused(error) from None
    if _MAY_BE_ENDLESS.search(raw) and not _finite(body.model_dump(mode="python")):
        raise RequestValidationError(
            [{"loc": ("body",), "msg": "JSON has no NaN and no infinite numbers", "type": "finite_number"}]
        )
    return body


async def unless_hung_up(request: Request, work: Coroutine[Any, Any, T]) -> T | None:
    """Do the work; None when the caller has left meanwhile: then the work is cancelled."""
    doing = asyncio.ensure_future(work)
    leaving = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({doing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return doing.result() if doing.done() else None
    finally:
        doing.cancel()
        leaving.cancel()
        await asyncio.gather(doing, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def takes(kind: type[BaseModel]) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads its body by `body_of`."""
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def answer(
    data: Any, kind: TypeAdapter[Any], status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """The data as JSON, straight to bytes."""
    return Response(kind.dump_json(data), status, headers, media_type="application/json")


def _refused(error: ValidationError) -> RequestValidationError:
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in found])


def _finite(value: JsonValue | Any) -> bool:
    if isinstance(value, float):
        return value - value == 0
    if isinstance(value, dict):
        return all(_finite(each) for each in value.values())
    if isinstance(value, list | tuple):
        return all(_finite(each) for each in value)
    return True
