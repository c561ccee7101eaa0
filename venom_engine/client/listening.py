"""The event stream of an engine somewhere else: one WebSocket, one reader."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import urlencode

from pydantic import ValidationError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from venom_engine.client.answers import failure, no_engine_there
from venom_engine.protocol.errors import EngineUnreachable
from venom_engine.protocol.event import Event
from venom_engine.protocol.messages import MAX_FRAME_BYTES

OPEN_SECONDS = 10.0
#: A dead link is noticed after interval + timeout.
PING_SECONDS = 5.0
CLOSE_SECONDS = 2.0


class Listener:
    """The events as they come. An object, not a generator: a reader may give up one wait and ask again."""

    def __init__(self, url: str, connection: ClientConnection) -> None:
        self._url = url
        self._connection = connection

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event. Raises EngineUnreachable when the engine has gone."""
        try:
            return Event.model_validate_json(await self._connection.recv(decode=False))
        except ConnectionClosed as error:
            reason = error.rcvd.reason if error.rcvd and error.rcvd.reason else "the connection ended"
            raise EngineUnreachable(
                f"The engine at {self._url} went away: {reason}.",
                kept="Stored events are not lost: watching again after the last `seq` brings them.",
                do="Check that it runs, then watch again.",
            ) from error
        except ValidationError as error:
            raise no_engine_there(self._url) from error


@asynccontextmanager
async def listening(
    url: str,
    headers: Mapping[str, str],
    *,
    after: int | None,
    output: bool,
    load: bool,
    tls: ssl.SSLContext | None,
    direct: bool,
) -> AsyncIterator[Listener]:
    """Subscribe; the block is entered once the engine has us on its list."""
    connection = await _opened(_address(url, after, output, load), url, headers, tls, direct)
    try:
        yield Listener(url, connection)
    finally:
        # No farewell: with unread events in the way its answer would come late or never.
        connection.transport.abort()
        await connection.wait_closed()


def _address(url: str, after: int | None, output: bool, load: bool) -> str:
    wanted = {"after": after, "output": 1 if output else None, "load": 1 if load else None}
    query = urlencode({name: value for name, value in wanted.items() if value is not None})
    return f"ws{url.removeprefix('http')}/ws/events{f'?{query}' if query else ''}"


async def _opened(
    address: str, url: str, headers: Mapping[str, str], tls: ssl.SSLContext | None, direct: bool
) -> ClientConnection:
    try:
        return await connect(
            address,
            additional_headers=headers,
            ssl=tls,
            proxy=None if direct else True,
            compression=None,
            max_size=MAX_FRAME_BYTES,
            open_timeout=OPEN_SECONDS,
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=CLOSE_SECONDS,
        )
    except InvalidStatus as error:
        raise failure(error.response.status_code, bytes(error.response.body or b""), url) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise EngineUnreachable(
            f"No engine answers at {url}: {error or type(error).__name__}.",
            kept="Nothing was changed.",
            do="Check that it runs and that the address is right; `venom-engine` starts one on this machine.",
        ) from error
