"""What an engine answered over HTTP -> the data, or the error that the engine raised."""

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from venom_engine.protocol.errors import (
    ERRORS,
    BadRequest,
    EngineUnreachable,
    NotAllowed,
    NotFound,
    VenomError,
)

if TYPE_CHECKING:
    import httpx

Answer = TypeVar("Answer")

_BY_STATUS: dict[int, type[VenomError]] = {
    400: BadRequest,
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    413: BadRequest,
    422: BadRequest,
    503: EngineUnreachable,
}


class _Problem(BaseModel):
    model_config = ConfigDict(extra="ignore")

    code: str
    what: str
    kept: str = ""
    do: str = ""


def read(response: "httpx.Response", kind: TypeAdapter[Answer]) -> Answer:
    """The data of a good answer. Raises what the engine raised, or EngineUnreachable when it is no engine."""
    if not response.is_success:
        raise failure(response.status_code, response.content, str(response.request.url))
    try:
        return kind.validate_json(response.content)
    except ValidationError as error:
        raise no_engine_there(str(response.request.url)) from error


def failure(status: int, body: bytes, url: str) -> VenomError:
    """The error behind an answer that is none of 200 to 299."""
    try:
        problem = _Problem.model_validate_json(body)
    except ValidationError:
        kind = _BY_STATUS.get(status, VenomError)
        return kind(
            f"{url} answered with HTTP status {status} and no explanation.",
            kept="Nothing is known to have changed.",
            do="Check the address: a proxy or another program may answer there. Else see the engine's log.",
        )
    kind = ERRORS.get(problem.code) or _BY_STATUS.get(status, VenomError)
    return kind(problem.what, kept=problem.kept, do=problem.do)


def no_engine_there(url: str) -> EngineUnreachable:
    """Something answers, but not as an engine does."""
    return EngineUnreachable(
        f"What answers at {url} does not speak as a Venom engine does.",
        kept="Nothing is known to have changed.",
        do="Check the address, and that engine and client are of versions that go together.",
    )
