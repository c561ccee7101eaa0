"""Puts the front door together."""

import asyncio
from typing import Any

from fastapi import FastAPI, Request
from fastapi.openapi.utils import get_openapi

from venom_engine import __version__
from venom_engine.api import node_socket, nodes, queue, tasks, watch
from venom_engine.api.auth import Guard
from venom_engine.api.express import Express
from venom_engine.api.problems import Incidents, install
from venom_engine.core.engine import Engine
from venom_engine.protocol.node import ExecuteRequest
from venom_engine.protocol.task import TaskRequest


def create_app(
    engine: Engine, *, require_token: bool, allowed_hosts: frozenset[str] | None = None
) -> FastAPI:
    """The whole API.

    `allowed_hosts`: the names under which it may be reached; None: any. `app.state.closing` is set
    before the server stops, so that open streams end.
    """
    app = _bare(engine, "Venom engine", docs=True)
    for part in (tasks, watch, queue, nodes, node_socket):
        app.include_router(part.router)
    app.add_middleware(Express, endpoints={("POST", "/api/v1/tasks"): tasks.submit})
    token = engine.operator_token if require_token else None
    app.add_middleware(Guard, token=token, allowed_hosts=allowed_hosts)
    app.add_middleware(Incidents)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def create_node_app(engine: Engine, *, allowed_hosts: frozenset[str] | None = None) -> FastAPI:
    """What answers on a second port for nodes: `/ws/nodes` and `/healthz`, nothing else."""
    app = _bare(engine, "Venom nexus", docs=False)
    app.include_router(node_socket.router)
    app.add_middleware(Guard, token=None, allowed_hosts=allowed_hosts)
    app.add_middleware(Incidents)
    return app


def _bare(engine: Engine, title: str, *, docs: bool) -> FastAPI:
    app = FastAPI(
        title=title,
        version=__version__,
        docs_url="/docs" if docs else None,
        redoc_url=None,
        openapi_url="/openapi.json" if docs else None,
    )
    app.state.engine = engine
    app.state.closing = asyncio.Event()
    install(app)

    @app.get("/healthz", tags=["health"], openapi_extra={"security": []})
    async def healthz(request: Request) -> dict[str, Any]:
        """Whether the engine lives, and what hinders it. Needs no token."""
        return engine.health()

    return app


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with the bodies that the routes parse themselves and the token."""
    if app.openapi_schema:
        return app.openapi_schema
    document = get_openapi(title=app.title, version=app.version, routes=app.routes)
    parts = document.setdefault("components", {})
    schemas = parts.setdefault("schemas", {})
    for kind in (TaskRequest, ExecuteRequest):
        schema = kind.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas[kind.__name__] = schema
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    app.openapi_schema = document
    return document
