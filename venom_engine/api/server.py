"""Runs the API on one port, or on two (`NEXUS_PORT`: one more for nodes).

Owns: sockets (bound before anything is announced), TLS, the order of the end: streams are asked to
close, then connections, then the server.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from venom_engine.api.app import create_app, create_node_app
from venom_engine.api.auth import LOOPBACK_HOSTS
from venom_engine.core.engine import Engine
from venom_engine.protocol.address import is_loopback
from venom_engine.protocol.errors import BadRequest, EngineBusy, VenomError
from venom_engine.protocol.messages import MAX_FRAME_BYTES

#: A dead socket is noticed after both.
PING_SECONDS = 5.0
#: Longer than a client keeps an idle connection, so that none is used while it is being closed.
KEEP_ALIVE_SECONDS = 75
#: How long a request may still take once the server stops.
GRACE_SECONDS = 3
_BACKLOG = 2048
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


@dataclass(frozen=True, slots=True)
class Listening:
    """Where to listen, and how."""

    host: str = "127.0.0.1"
    port: int = 8000
    node_port: int | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    require_token: bool = True

    @property
    def scheme(self) -> str:
        return "https" if self.tls_cert else "http"


class Doors:
    """Bound sockets, not served yet."""

    def __init__(self, listening: Listening) -> None:
        self.listening = listening
        self.main = _bound(listening.host, listening.port)
        node_port = listening.node_port
        extra = node_port is not None and node_port != self.port
        try:
            self.nodes = _bound(listening.host, node_port) if extra and node_port else None
        except BaseException:
            self.main.close()
            raise

    @property
    def port(self) -> int:
        return int(self.main.getsockname()[1])

    @property
    def url(self) -> str:
        """Where it listens, as told to people."""
        return self._url(self.listening.host)

    @property
    def local_url(self) -> str:
        """Where programs on this machine reach it."""
        return self._url(_ANY.get(self.listening.host, self.listening.host))

    def close(self) -> None:
        self.main.close()
        if self.nodes is not None:
            self.nodes.close()

    def _url(self, host: str) -> str:
        name = f"[{host}]" if ":" in host else host
        return f"{self.listening.scheme}://{name}:{self.port}"


class _Server(uvicorn.Server):
    """uvicorn without its own mind about signals, and with a word when it accepts."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepts = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepts.set()


class _WithoutFalseAlarm(logging.Filter):
    """Drops uvicorn's complaint about a WebSocket that we refused with a proper HTTP answer."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "without completing handshake" not in record.getMessage()


logging.getLogger("uvicorn.error").addFilter(_WithoutFalseAlarm())


def open_doors(listening: Listening) -> Doors:
    """Bind the ports. Raises EngineBusy when one is taken, BadRequest when it cannot be had at all."""
    _check_tls(listening)
    return Doors(listening)


@asynccontextmanager
async def serving(engine: Engine, doors: Doors) -> AsyncIterator[asyncio.Event]:
    """Serve while the block runs. Yields an event that is set when a server ended by itself."""
    host = doors.listening.host
    hosts = LOOPBACK_HOSTS | {host} if is_loopback(host) else None
    app = create_app(engine, require_token=doors.listening.require_token, allowed_hosts=hosts)
    parts = [(app, doors.main)]
    if doors.nodes is not None:
        parts.append((create_node_app(engine, allowed_hosts=hosts), doors.nodes))
    servers = [_Server(_config(part, doors.listening)) for part, _ in parts]
    ended = asyncio.Event()
    runs = [
        asyncio.create_task(server.serve(sockets=[door]), name="http server")
        for server, (_, door) in zip(servers, parts, strict=True)
    ]
    for run in runs:
        run.add_done_callback(lambda _: ended.set())
    try:
        await _accepting(servers, ended)
        engine.folder.announce(doors.local_url)
        yield ended
    finally:
        engine.folder.announce(None)
        for server, (part, _) in zip(servers, parts, strict=True):
            part.state.closing.set()
            server.should_exit = True
        await asyncio.gather(*runs)


async def _accepting(servers: list[_Server], ended: asyncio.Event) -> None:
    for server in servers:
        waits = [asyncio.ensure_future(event.wait()) for event in (server.accepts, ended)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _config(app: FastAPI, listening: Listening) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        # Nobody in front of us has said who he is: a forwarded address would be the caller's own word.
        proxy_headers=False,
        ws_max_size=MAX_FRAME_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=PING_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=_BACKLOG,
        ssl_certfile=listening.tls_cert,
        ssl_keyfile=listening.tls_key,
    )


def _check_tls(listening: Listening) -> None:
    if listening.tls_cert is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            listening.tls_cert, listening.tls_key, password=""
        )
    except (OSError, ValueError) as error:
        raise BadRequest(
            f"The TLS certificate {listening.tls_cert} or its key cannot be used: {error}.",
            kept="Nothing was started.",
            do="Give PEM files that belong together, without a passphrase, with --tls-cert and --tls-key.",
        ) from error


def _bound(host: str, port: int) -> socket.socket:
    """A listening socket. It listens at once: two could share a port until one of them does."""
    door: socket.socket | None = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        door = socket.socket(family, kind, protocol)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(address)
        door.listen(_BACKLOG)
        door.setblocking(False)
        return door
    except OSError as error:
        if door is not None:
            door.close()
        raise _no_door(host, port, error) from error


def _no_door(host: str, port: int, error: OSError) -> VenomError:
    if error.errno == errno.EADDRINUSE:
        return EngineBusy(
            f"Port {port} on {host} is in use.",
            kept="Nothing was started; what listens there was not disturbed.",
            do=f"Stop it (`ss -ltnp 'sport = :{port}'` names it), or choose another with --port; 0 takes a free one.",
        )
    return BadRequest(
        f"The engine cannot listen on {host}, port {port}: {error.strerror or error}.",
        kept="Nothing was started.",
        do="Choose an address of this machine with --host, and a port above 1023 with --port.",
    )
