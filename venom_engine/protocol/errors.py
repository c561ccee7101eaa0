"""Every error an operator may read: what happened, what was kept, what to do next.

VenomError
├── BadRequest       the caller asked for something that cannot be (HTTP 400/422, exit 1)
├── NotFound         no such task or node (404)
├── NotAllowed       no token, a wrong one, or too few rights (401)
├── NodeOffline      the node is known but not connected (400)
├── NodeTimeout      the node did not answer in time (504)
├── StoreFailed      the state could not be written; nothing was acknowledged (507)
├── EngineBusy       another engine owns this state folder, or the port is taken
├── StateUnusable    the state folder or file cannot be used as it is
└── EngineUnreachable  no engine answers (exit 3)
"""

from typing import ClassVar


class VenomError(Exception):
    """Something an operator should read. HTTP, CLI and console all show these three parts."""

    code: ClassVar[str] = "error"
    http_status: ClassVar[int] = 400

    def __init__(self, what: str, *, kept: str = "", do: str = "") -> None:
        super().__init__(" ".join(part for part in (what, kept, do) if part))
        self.what, self.kept, self.do = what, kept, do


class BadRequest(VenomError):
    """The request cannot be carried out as it stands."""

    code = "bad_request"


class NotFound(VenomError):
    """No such task, or no such node."""

    code = "not_found"
    http_status = 404


class NotAllowed(VenomError):
    """The token is missing or wrong."""

    code = "not_allowed"
    http_status = 401


class NodeOffline(VenomError):
    """The node is known, but has no connection now."""

    code = "node_offline"


class NodeTimeout(VenomError):
    """The node did not answer in time."""

    code = "node_timeout"
    http_status = 504


class StoreFailed(VenomError):
    """The state could not be written. Nothing was acknowledged."""

    code = "store_failed"
    http_status = 507


class EngineBusy(VenomError):
    """The state folder or the port belongs to somebody else."""

    code = "engine_busy"


class StateUnusable(VenomError):
    """The state folder or file cannot be used as it is."""

    code = "state_unusable"


class EngineUnreachable(VenomError):
    """No engine answers at that address, or it went away."""

    code = "engine_unreachable"
    http_status = 503


#: By `code`, so that a remote client raises what the engine raised.
ERRORS: dict[str, type[VenomError]] = {
    kind.code: kind
    for kind in (
        VenomError,
        BadRequest,
        NotFound,
        NotAllowed,
        NodeOffline,
        NodeTimeout,
        StoreFailed,
        EngineBusy,
        StateUnusable,
        EngineUnreachable,
    )
}
