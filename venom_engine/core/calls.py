"""Direct calls of a node's skills: outside the queue, not stored, not retried."""

import asyncio

from pydantic import JsonValue

from venom_engine.core.node import Node
from venom_engine.protocol.errors import BadRequest, NodeOffline, NodeTimeout
from venom_engine.protocol.messages import (
    Cancel,
    NodeResponse,
    Refused,
    SkillExecutionRequest,
    Stored,
)


async def call_skill(
    node: Node, skill_name: str, method_name: str, parameters: dict[str, JsonValue], timeout: float
) -> NodeResponse:
    """Call a skill and wait for the answer. Raises NodeOffline, BadRequest, NodeTimeout."""
    if not node.is_online:
        raise NodeOffline(
            f"The node {node.name} is offline.",
            kept="Nothing was run.",
            do="Wait until it is back, or choose another.",
        )
    if skill_name not in node.capabilities.skills:
        has = ", ".join(node.capabilities.skills) or "none"
        raise BadRequest(
            f"The node {node.name} has no skill {skill_name}.", kept="Nothing was run.", do=f"It has: {has}."
        )
    request = SkillExecutionRequest(
        node_id=node.node_id,
        skill_name=skill_name,
        method_name=method_name,
        parameters=parameters,
        timeout=timeout,
    )
    return await _call(node, request, timeout)


def answer_call(node: Node, response: NodeResponse) -> None:
    """The node answered one of its calls."""
    call = node.calls[response.request_id]
    if not call.done():
        call.set_result(response)
    node.send(Stored(responses=(response.request_id,)))


def refused_call(node: Node, refusal: Refused) -> NodeResponse:
    """A refusal of a direct call, as an answer."""
    return NodeResponse(
        request_id=refusal.request_id,
        node_id=node.node_id,
        success=False,
        error=f"refused by {node.name}: {refusal.reason}",
    )


def went_away(node: Node) -> NodeOffline:
    """What a call gets whose node is gone."""
    return NodeOffline(
        f"The node {node.name} went away before it answered.",
        kept="Whether the call ran is not known.",
        do="Look at the node, then call again.",
    )


async def _call(node: Node, request: SkillExecutionRequest, timeout: float) -> NodeResponse:
    answer: asyncio.Future[NodeResponse] = asyncio.get_running_loop().create_future()
    node.calls[request.request_id] = answer
    answered = False
    try:
        if not node.send(request):
            raise went_away(node)
        async with asyncio.timeout(timeout + 1):  # the node's own verdict comes first, if it comes
            response = await answer
        answered = True
    except TimeoutError:
        response = None
    finally:
        del node.calls[request.request_id]
        if not answered:
            node.send(Cancel(request_id=request.request_id, reason="nobody waits for it any more"))
    if response is None or response.outcome == "timeout":
        raise NodeTimeout(
            f"{node.name} did not answer {request.skill_name}.{request.method_name} within {timeout:g} s.",
            kept="The call was cancelled there.",
            do="Give it more time, or submit it as a task.",
        )
    return response
