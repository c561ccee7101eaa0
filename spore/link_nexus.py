"""The Link over a WebSocket, from the node's end, and the addresses that lead to one."""

from ipaddress import ip_address
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from spore.errors import LinkRefused
from venom_engine.protocol.errors import BadRequest
from venom_engine.protocol.messages import MAX_FRAME_BYTES, LinkClosed, Payload, decode, encode

PATH = "/ws/nodes"
REFUSED = 1008
OPEN_SECONDS = 5.0
#: A dead link is noticed after all three together: within 10 s.
PING_SECONDS, PING_TIMEOUT, CLOSE_TIMEOUT = 5.0, 4.0, 1.0
SCHEMES = {"ws": "ws", "wss": "wss", "http": "ws", "https": "wss"}


class NexusLink:
    """One open WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, payload: Payload) -> None:
        """See `Link`."""
        try:
            await self._socket.send(encode(payload))
        except ConnectionClosed as error:
            raise _closed(error) from None

    async def receive(self) -> Payload:
        """See `Link`. Messages of an unknown type are skipped."""
        while True:
            try:
                frame = await self._socket.recv(decode=False)
            except ConnectionClosed as error:
                raise _closed(error) from None
            payload = decode(frame)
            if payload is not None:
                return payload

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """See `Link`."""
        # A close frame has room for 123 bytes of reason (RFC 6455, section 5.5).
        await self._socket.close(code, reason.encode()[:123].decode(errors="ignore"))


async def connect_nexus(url: str) -> NexusLink:
    """A link to the engine at a `nexus_url`. LinkClosed when there is none; LinkRefused when it says no."""
    try:
        socket = await connect(
            url,
            max_size=MAX_FRAME_BYTES,
            compression=None,
            open_timeout=OPEN_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_TIMEOUT,
            close_timeout=CLOSE_TIMEOUT,
            user_agent_header="venom-spore",
            proxy=None if is_loopback(url) else True,
        )
    except InvalidStatus as error:
        status = error.response.status_code
        if status in (401, 403):
            raise LinkRefused(f"{url} answers {status}") from None
        hint = " (is ENABLE_NEXUS off there?)" if status == 404 else ""
        raise LinkClosed(f"{url} answers {status}{hint}") from None
    except (InvalidHandshake, InvalidURI, EOFError, UnicodeError) as error:
        raise LinkClosed(f"{url} does not speak WebSocket: {error}") from None
    except TimeoutError:
        raise LinkClosed(f"{url} did not answer within {OPEN_SECONDS:g} s") from None
    except OSError as error:
        raise LinkClosed(f"{url}: {error.strerror or error}") from None
    return NexusLink(socket)


def nexus_url(text: str) -> str:
    """The address of `/ws/nodes`, from a ws://, wss:// or the engine's own http(s):// URL."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise BadRequest(
            f"{text!r} is no address of an engine.", do="Use ws://HOST:PORT or http://HOST:PORT."
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise BadRequest(
            "The engine's address may hold only host, port and path.",
            do="Give the token by SPORE_SHARED_TOKEN, not in the address.",
        )
    path = parts.path.rstrip("/")
    if not path.endswith(PATH) and (not path or parts.scheme.startswith("http")):
        path += PATH
    return urlunsplit((SCHEMES[parts.scheme], parts.netloc, path, "", ""))


def is_loopback(url: str) -> bool:
    """Whether the address is on this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _closed(error: ConnectionClosed) -> LinkClosed:
    close = error.rcvd
    if close is not None and close.code == REFUSED:
        return LinkRefused(close.reason or "the engine refused this node")
    if close is None:
        return LinkClosed("the connection was lost")
    return LinkClosed(close.reason or f"closed with code {close.code}")
