"""Errors on their way out: one body shape for all, and nothing of our insides in it.

Owns: status and body of every refusal, and the incident number that ties a 500 to the log.
Never: repeats what the caller sent, beyond the names of fields.
"""

import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from venom_engine.protocol.errors import BadRequest, NotAllowed, NotFound, VenomError

log = logging.getLogger("venom_engine.api")

_NAME_LIMIT = 100
_STORED_NOTHING = "Nothing was stored."


class FieldProblem(BaseModel):
    """One field that was refused, and why."""

    loc: list[str | int]
    msg: str
    type: str


class Problem(BaseModel):
    """Every answer that is not a success."""

    detail: str | list[FieldProblem]
    code: str
    what: str
    """What happened."""
    kept: str
    """What was kept, or that nothing changed."""
    do: str
    """What to do next."""


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals of a route, for the OpenAPI document; 401, 403 and 500 may come from every route."""
    told = {
        401: "No token, or a wrong one",
        403: "Host or Origin refused",
        500: "An incident; its id is in the log",
    }
    told |= {status: HTTPStatus(status).phrase for status in statuses}
    return {status: {"model": Problem, "description": text} for status, text in sorted(told.items())}


def problem_response(
    error: VenomError, status: int | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The answer for an error of ours."""
    problem = Problem(detail=str(error), code=error.code, what=error.what, kept=error.kept, do=error.do)
    return _json(status or error.http_status, problem, headers)


def invalid_response(errors: Sequence[Mapping[str, Any]], status: int = 422) -> Response:
    """The answer for a request whose fields do not hold: each with its place and the reason."""
    fields = [_field(error) for error in errors[:20]]
    first = fields[0] if fields else FieldProblem(loc=[], msg="it was not understood", type="invalid")
    where = ".".join(str(part) for part in first.loc)
    return _json(
        status,
        Problem(
            detail=fields,
            code=BadRequest.code,
            what=f"The request cannot be used: {where}: {first.msg}.",
            kept=_STORED_NOTHING,
            do="Mend the field and send it again.",
        ),
    )


def response_to(error: Exception) -> Response:
    """The answer for an error that a route raises; raises it again when nobody expected it."""
    match error:
        case VenomError():
            return problem_response(error)
        case RequestValidationError():
            return invalid_response(error.errors())
        case HTTPException():
            return problem_response(_of_status(error), error.status_code, error.headers)
        case _:
            raise error


def install(app: FastAPI) -> None:
    """Let every error of the app's routes leave in the one shape."""

    async def answered(_: Request, error: Exception) -> Response:
        return response_to(error)

    for kind in (VenomError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answered)


class Incidents:
    """The outermost layer: whatever nobody expected becomes a 500 with a number, and a log line with the same."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            return  # It left while it was still sending; there is nobody to answer.
        except Exception:
            incident = secrets.token_hex(4)
            log.exception("incident %s: %s %s", incident, scope.get("method", "WS"), scope.get("path"))
            if begun:
                raise
            error = VenomError(
                f"The engine met something it did not expect (incident {incident}).",
                kept="Whether the request was carried out is not known.",
                do=f"Look for {incident} in the engine's log, and report it.",
            )
            await problem_response(error, 500)(scope, receive, send)


def _of_status(error: HTTPException) -> VenomError:
    match error.status_code:
        case 404:
            return NotFound(
                "There is nothing at this address.", kept=_STORED_NOTHING, do="See /docs for what there is."
            )
        case 405:
            return BadRequest(
                "This address does not take that method.", kept=_STORED_NOTHING, do="See /docs."
            )
        case 401 | 403:
            return NotAllowed(str(error.detail), kept=_STORED_NOTHING, do="Check the token.")
        case 413:
            return BadRequest(
                "The body is too large.",
                kept=_STORED_NOTHING,
                do="Put the data in a file, and its name in the task.",
            )
        case status:
            return VenomError(f"{HTTPStatus(status).phrase}.", kept=_STORED_NOTHING, do="Mend the request.")


def _field(error: Mapping[str, Any]) -> FieldProblem:
    loc = [part if isinstance(part, int) else str(part)[:_NAME_LIMIT] for part in error["loc"]]
    return FieldProblem(loc=loc, msg=str(error["msg"]).removeprefix("Value error, "), type=str(error["type"]))


def _json(status: int, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    # ensure_ascii: a name may hold half a surrogate pair, which is no UTF-8.
    body = json.dumps(problem.model_dump()).encode()
    return Response(body, status, headers, media_type="application/json")
