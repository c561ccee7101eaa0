"""`/ws/nodes`: a node session over a WebSocket.

Owns: frames and the socket. What they mean, and the token in the handshake, is `Engine.serve_node`'s.
"""

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from venom_engine.api.doors import engine_of
from venom_engine.api.problems import problem_response
from venom_engine.protocol.errors import NotFound
from venom_engine.protocol.messages import LinkClosed, Payload, decode, encode

router = APIRouter()

#: A close frame carries no more.
_REASON_BYTES = 120


class SocketLink:
    """A Link around an accepted WebSocket."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def send(self, payload: Payload) -> None:
        """Hand over, in order; waits while the node is slow to read."""
        try:
            await self._socket.send_text(encode(payload))
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            # RuntimeError: starlette's word for a send after the close.
            raise LinkClosed("the node's connection is closed") from error

    async def receive(self) -> Payload:
        """The next payload that this version knows."""
        while True:
            payload = _payload(await self._frame())
            if payload is not None:
                return payload

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the session. Harmless when it has ended."""
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        told = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        try:
            await self._socket.close(code, told)
        except (WebSocketDisconnect, RuntimeError, OSError):
            return  # It had ended meanwhile.

    async def _frame(self) -> str | bytes:
        if self._socket.client_state is not WebSocketState.CONNECTED:
            raise LinkClosed("the node's connection is closed")
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise LinkClosed(f"the node closed the connection ({message.get('code', 1005)})")
        text = message.get("text")
        return text if text is not None else bytes(message.get("bytes") or b"")


def _payload(frame: str | bytes) -> Payload | None:
    try:
        return decode(frame)
    except ValidationError as error:
        # The error's own text would repeat the frame, and a handshake holds a token.
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part)[:60] for part in first["loc"])
        raise ValueError(f"{where or 'frame'}: {first['msg']}") from None


@router.websocket("/ws/nodes")
async def nodes(socket: WebSocket) -> None:
    """One node, from its handshake to its end."""
    engine = engine_of(socket)
    if not engine.settings.enable_nexus:
        error = NotFound(
            "This engine takes no nodes.",
            kept="Nothing was changed.",
            do="Start the engine with ENABLE_NEXUS=true.",
        )
        return await socket.send_denial_response(problem_response(error))
    await socket.accept()
    peer = f"{socket.client.host}:{socket.client.port}" if socket.client else "an unknown address"
    link = SocketLink(socket)
    await engine.serve_node(link, peer=peer)
    await link.close()
