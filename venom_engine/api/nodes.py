"""Nodes over HTTP: the list, one of them, and a direct call of a skill."""

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter
from starlette.responses import Response

from venom_engine.api.doors import HUNG_UP, TheEngine, answer, body_of, takes, unless_hung_up
from venom_engine.api.problems import documented, invalid_response
from venom_engine.protocol.node import ExecuteReply, ExecuteRequest, NodeList, NodeReply

router = APIRouter(prefix="/api/v1/nodes", tags=["nodes"])

_NODES = TypeAdapter(NodeList)
_NODE = TypeAdapter(NodeReply)
_EXECUTED = TypeAdapter(ExecuteReply)


@router.get("", response_model=NodeList, responses=documented(422))
async def nodes(engine: TheEngine, online_only: bool = False) -> Response:
    """All nodes that this engine knows, or those online."""
    return answer(await engine.nodes(online_only=online_only), _NODES)


@router.get("/{node_id}", response_model=NodeReply, responses=documented(404))
async def node(node_id: str, engine: TheEngine) -> Response:
    """One node."""
    return answer(NodeReply(node=await engine.node(node_id)), _NODE)


@router.post(
    "/{node_id}/execute",
    response_model=ExecuteReply,
    responses=documented(400, 404, 413, 504, 507),
    openapi_extra=takes(ExecuteRequest),
)
async def execute(node_id: str, request: Request, engine: TheEngine) -> Response:
    """Call a node's skill directly, outside the queue. A skill that fails is a 200 with success false."""
    try:
        wanted = await body_of(request, ExecuteRequest)
    except RequestValidationError as error:
        return invalid_response(error.errors(), 400)
    reply = await unless_hung_up(request, engine.execute(node_id, wanted))
    return answer(reply, _EXECUTED) if reply is not None else Response(status_code=HUNG_UP)
