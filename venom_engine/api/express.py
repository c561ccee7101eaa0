"""A short way to the endpoints that are called most: no routing, no framework, the same function.

The framework's way to an endpoint costs more than the endpoint's own work. The routes stay where
they are, for the document and for every other path; this layer only calls their function itself.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from venom_engine.api.problems import response_to

Endpoint = Callable[[Request], Awaitable[Response]]


class Express:
    """Calls the endpoint for an exact method and path; everything else goes on to the app."""

    def __init__(self, app: ASGIApp, *, endpoints: Mapping[tuple[str, str], Endpoint]) -> None:
        self._app = app
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoints.get((scope.get("method", ""), scope["path"]))
        if endpoint is None:
            return await self._app(scope, receive, send)
        try:
            response = await endpoint(Request(scope, receive))
        except Exception as error:
            response = response_to(error)
        await response(scope, receive, send)
