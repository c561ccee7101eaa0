"""A node's session from its HANDSHAKE to its end. Whatever the node does, this ends quietly.

Owns: the order handshake, token, registration, messages, clean-up (of its own epoch only).
"""

import asyncio
import logging

from venom_engine.core.node import Node
from venom_engine.core.nodes import NodeManager
from venom_engine.core.session import NodeSession
from venom_engine.protocol.messages import ErrorMessage, Link, LinkClosed, NodeHandshake, Payload

HANDSHAKE_SECONDS = 5.0
#: Frames that cannot be used, before the session is closed.
BAD_FRAMES = 20
POLICY_VIOLATION = 1008

log = logging.getLogger(__name__)


async def receive_node(nodes: NodeManager, link: Link, *, peer: str) -> None:
    """Serve one session. Raises nothing for the node's faults; closes the link when it returns."""
    try:
        handshake = await _first_frame(link, peer)
        if handshake is None:
            await link.close(POLICY_VIOLATION, "the first frame must be a HANDSHAKE")
            return
        if not nodes.token_fits(handshake.token):
            log.warning(
                "A node from %s that calls itself %r presented a wrong token", peer, handshake.node_name
            )
            await link.close(POLICY_VIOLATION, "wrong token")
            return
        await _serve(nodes, link, handshake, peer)
    except LinkClosed:
        log.debug("The connection from %s closed during its handshake", peer)
    finally:
        await link.close()


async def _first_frame(link: Link, peer: str) -> NodeHandshake | None:
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            first = await link.receive()
    except TimeoutError:
        log.warning("%s connected as a node and said nothing for %.0f s", peer, HANDSHAKE_SECONDS)
        return None
    except ValueError as error:
        log.warning("%s connected as a node with a bad first frame: %s", peer, brief(error))
        return None
    return first if isinstance(first, NodeHandshake) else None


async def _serve(nodes: NodeManager, link: Link, handshake: NodeHandshake, peer: str) -> None:
    features = frozenset(handshake.features)
    session = NodeSession(link, epoch=nodes.new_session_epoch(), features=features, peer=peer)
    sender = asyncio.create_task(session.run_sender(), name=f"send to {handshake.node_name}")
    session.sender = sender
    reason = "its connection closed"
    try:
        node = await nodes.register_node(handshake, session)
        reason = await _listen(nodes, node, session) or reason
    finally:
        await nodes.unregister_node(handshake.node_id, reason, session.epoch)
        session.ended = True
        sender.cancel()
        await asyncio.wait([sender])


async def _listen(nodes: NodeManager, node: Node, session: NodeSession) -> str | None:
    """Hear the node until its session ends; why, when it is not the link that closed."""
    bad = 0
    while True:
        try:
            payload = await session.link.receive()
        except LinkClosed:
            return None
        except ValueError as error:
            bad += 1
            log.warning("%s sent a frame that cannot be used: %s", node.name, brief(error))
            session.send(ErrorMessage(error=brief(error)))
            if bad >= BAD_FRAMES:
                await session.close("too many bad frames", POLICY_VIOLATION)
                return f"it sent {bad} bad frames"
            continue
        if node.session is not session:  # a newer session took over, or it was cut off
            return None
        await _heard(nodes, node, payload)


async def _heard(nodes: NodeManager, node: Node, payload: Payload) -> None:
    try:
        await nodes.hear(node, payload)
    except Exception:
        log.exception("A message of type %s from %s could not be handled", payload.TYPE, node.name)


def brief(error: Exception) -> str:
    """An error in one bounded line, without the input that caused it."""
    problems = getattr(error, "errors", None)
    if callable(problems):
        first = problems(include_url=False, include_input=False)[0]
        return f"{'.'.join(str(part) for part in first['loc']) or 'frame'}: {first['msg']}"[:300]
    return str(error)[:300]
