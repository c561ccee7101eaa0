"""Who may come in: Host and Origin, the bearer token, and the size of a body. Before anything is read.

`/ws/nodes` is open here because its handshake carries the node's token; `/healthz` is open to all.
"""

import hmac

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from venom_engine.api.problems import problem_response
from venom_engine.protocol.errors import BadRequest, NotAllowed, VenomError

MAX_BODY_BYTES = 4 * 1024 * 1024
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
WITHOUT_TOKEN = frozenset({"/healthz", "/ws/nodes"})
_DEFAULT_PORT = {"http": "80", "ws": "80", "https": "443", "wss": "443"}


class Guard:
    """The layer that lets a request through, or answers 401, 403 or 413 in its place."""

    def __init__(self, app: ASGIApp, *, token: str | None, allowed_hosts: frozenset[str] | None) -> None:
        """`token` None: nobody needs one. `allowed_hosts` None: reached under any name."""
        self._app = app
        self._token = token.encode() if token else None
        self._hosts = allowed_hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        headers = Headers(scope=scope)
        refusal = self._wrong_place(headers, scope["scheme"])
        if refusal is not None:
            return await problem_response(refusal, 403)(scope, receive, send)
        if scope["path"] not in WITHOUT_TOKEN and not self.has_token(headers):
            response = problem_response(_no_token(headers), headers={"WWW-Authenticate": "Bearer"})
            return await response(scope, receive, send)
        if scope["type"] == "http":
            size = headers.get("content-length", "0")
            if size.isdecimal() and int(size) > MAX_BODY_BYTES:
                return await problem_response(_too_large(), 413)(scope, receive, send)
            receive = _bounded(receive)
        await self._app(scope, receive, send)

    def has_token(self, headers: Headers) -> bool:
        """Whether the request carries the operator's token, or none is needed."""
        if self._token is None:
            return True
        kind, _, given = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), self._token)

    def _wrong_place(self, headers: Headers, scheme: str) -> NotAllowed | None:
        host = headers.get("host", "").lower()
        if self._hosts is not None and _name(host) not in self._hosts:
            # A web page that points a name of its own at 127.0.0.1 comes with that name.
            return NotAllowed(
                "This engine answers only as localhost.",
                kept="Nothing was changed.",
                do="Use the address http://127.0.0.1:PORT, or start the engine with --host.",
            )
        origin = headers.get("origin")
        if origin is not None and not _same_place(origin.lower(), host, scheme):
            return NotAllowed(
                "A web page from another place may not use this engine.",
                kept="Nothing was changed.",
                do="Use `venom`, `venom-tui` or curl.",
            )
        return None


def _name(host: str) -> str:
    """A Host header without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]


def _same_place(origin: str, host: str, scheme: str) -> bool:
    kind, _, place = origin.partition("://")
    return bool(place) and _with_port(place, kind) == _with_port(host, scheme)


def _with_port(host: str, scheme: str) -> str:
    return host if host.removeprefix(_name(host)) else f"{host}:{_DEFAULT_PORT.get(scheme, '')}"


def _bounded(receive: Receive) -> Receive:
    """Counts what comes, for a body that does not say its size."""
    total = 0

    async def counting() -> Message:
        nonlocal total
        message = await receive()
        total += len(message.get("body", b""))
        if total > MAX_BODY_BYTES:
            raise HTTPException(413)
        return message

    return counting


def _no_token(headers: Headers) -> VenomError:
    what = "The token is wrong." if "authorization" in headers else "A token is needed."
    return NotAllowed(
        what,
        kept="Nothing was changed.",
        do="Send `Authorization: Bearer TOKEN`; `venom-engine token` on the engine's machine prints it.",
    )


def _too_large() -> VenomError:
    return BadRequest(
        f"The body is larger than {MAX_BODY_BYTES} bytes.",
        kept="Nothing was stored.",
        do="Put the data in a file, and its name in the task.",
    )
