"""An engine somewhere else, over HTTP and WebSocket.

Owns: the connections, and what a failed connection means to the caller.
Never: repeats a call that may have changed something; only plain looks are asked again.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote, urlsplit
from uuid import UUID

import httpx
from pydantic import TypeAdapter

from venom_engine.client.answers import read
from venom_engine.protocol.address import clean_url, is_loopback
from venom_engine.protocol.errors import EngineUnreachable
from venom_engine.protocol.event import Event
from venom_engine.protocol.node import ExecuteReply, ExecuteRequest, NodeInfo, NodeList, NodeReply
from venom_engine.protocol.queue import AbortReply, QueueReply, QueueStatus
from venom_engine.protocol.task import OutputChunk, TaskPage, TaskQuery, TaskRequest, TaskResponse, VenomTask

Answer = TypeVar("Answer")
Params = Mapping[str, str | int | bool | list[str]]

ACTOR_HEADER = "X-Venom-Actor"
CONNECT_SECONDS = 5.0
#: A submit waits for the disk and, on a busy engine, for its turn.
ANSWER_SECONDS = 60.0
#: Shorter than the server's, so that a kept connection is never used at the moment it is closed.
KEEP_ALIVE_SECONDS = 30.0

#: Calls on their way side by side. Direct calls of skills, which may be long, come on top.
AT_ONCE = 8

_RESPONSE = TypeAdapter(TaskResponse)
_TASK = TypeAdapter(VenomTask)
_TASKS = TypeAdapter(list[VenomTask])
_OUTPUT = TypeAdapter(list[OutputChunk])
_ABORT = TypeAdapter(AbortReply)
_STATUS = TypeAdapter(QueueStatus)
_CONTROL = TypeAdapter(QueueReply)
_NODES = TypeAdapter(NodeList)
_NODE = TypeAdapter(NodeReply)
_EXECUTE = TypeAdapter(ExecuteReply)


class RemoteClient:
    """An EngineClient for the engine at `url`. Use it as `async with RemoteClient(url, token) as engine`."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = clean_url(url)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._direct = is_loopback(urlsplit(self.url).hostname or "")
        self._tls = ssl.create_default_context() if self.url.startswith("https:") else None
        # More at once than the pool has connections would only wait inside it, and time out there.
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._http = self._new_http()
        # Of its own, so that a stop never waits behind other calls.
        self._stop_http = self._new_http()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self._http.aclose()
        await self._stop_http.aclose()

    async def submit(self, request: TaskRequest) -> TaskResponse:
        """Take a task. When this returns, the task is on disk."""
        body = request.model_dump_json(exclude_defaults=True).encode()
        return read(await self._post("/api/v1/tasks", body), _RESPONSE)

    async def task(self, task_id: UUID) -> VenomTask:
        """One task with its stage log."""
        return read(await self._get(f"/api/v1/tasks/{task_id}"), _TASK)

    async def tasks(self, query: TaskQuery) -> TaskPage:
        """A page of tasks, newest first."""
        params = query.model_dump(mode="json", exclude_defaults=True)
        response = await self._get("/api/v1/tasks", params)
        tasks = read(response, _TASKS)
        total = response.headers.get("X-Total-Count", "")
        return TaskPage(
            tasks=tasks,
            total=int(total) if total.isdecimal() else len(tasks),
            next_cursor=response.headers.get("X-Next-Cursor"),
        )

    async def output(self, task_id: UUID, *, after: int = 0, limit: int = 1000) -> list[OutputChunk]:
        """What the task printed: the chunks whose `n` is above `after`, in order."""
        return read(
            await self._get(f"/api/v1/tasks/{task_id}/output", {"after": after, "limit": limit}), _OUTPUT
        )

    async def tail(self, task_id: UUID, *, limit: int = 1000) -> list[OutputChunk]:
        """The last chunks of what the task printed, in order."""
        return read(await self._get(f"/api/v1/tasks/{task_id}/output", {"tail": limit}), _OUTPUT)

    async def abort(self, task_id: UUID) -> AbortReply:
        """Stop one task, wherever it runs."""
        return read(await self._post(f"/api/v1/queue/task/{task_id}/abort"), _ABORT)

    async def queue_status(self) -> QueueStatus:
        """How the queue stands."""
        return read(await self._get("/api/v1/queue/status"), _STATUS)

    async def pause(self, *, by: str = "") -> QueueReply:
        """Nothing new starts. Running tasks go on."""
        return await self._control("pause", by)

    async def resume(self, *, by: str = "") -> QueueReply:
        """Ends a pause and an emergency stop."""
        return await self._control("resume", by)

    async def purge(self, *, by: str = "") -> QueueReply:
        """Every PENDING task becomes ABORTED."""
        return await self._control("purge", by)

    async def emergency_stop(self, *, by: str = "") -> QueueReply:
        """Pause, kill every running task on every node, purge what waits."""
        return await self._control("emergency-stop", by)

    async def nodes(self, *, online_only: bool = False) -> NodeList:
        """All nodes, or those online."""
        return read(await self._get("/api/v1/nodes", {"online_only": online_only}), _NODES)

    async def node(self, node_id: str) -> NodeInfo:
        """One node."""
        return read(await self._get(f"/api/v1/nodes/{quote(node_id, safe='')}"), _NODE).node

    async def execute(self, node_id: str, request: ExecuteRequest) -> ExecuteReply:
        """Call a node's skill directly, outside the queue."""
        path = f"/api/v1/nodes/{quote(node_id, safe='')}/execute"
        body = request.model_dump_json().encode()
        seconds = request.timeout + ANSWER_SECONDS
        return read(await self._send(self._http, "POST", path, body, seconds=seconds), _EXECUTE)

    @asynccontextmanager
    async def watch(
        self, *, after: int | None = None, output: bool = False, load: bool = False
    ) -> AsyncIterator[AsyncIterator[Event]]:
        """Listen. The block is entered once the engine has us on its list."""
        from venom_engine.client.listening import listening

        async with listening(
            self.url, self._headers, after=after, output=output, load=load, tls=self._tls, direct=self._direct
        ) as events:
            yield events

    def _new_http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.url,
            headers=self._headers,
            verify=self._tls if self._tls else False,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(
                max_connections=100, max_keepalive_connections=AT_ONCE, keepalive_expiry=KEEP_ALIVE_SECONDS
            ),
            # A proxy from the environment has no business between us and our own machine.
            trust_env=not self._direct,
        )

    async def _control(self, verb: str, by: str) -> QueueReply:
        headers = {ACTOR_HEADER.encode(): by.encode()} if by else {}
        if verb == "emergency-stop":
            response = await self._send(self._stop_http, "POST", f"/api/v1/queue/{verb}", headers=headers)
        else:
            response = await self._post(f"/api/v1/queue/{verb}", headers=headers)
        return read(response, _CONTROL)

    async def _get(self, path: str, params: Params | None = None) -> httpx.Response:
        async with self._turns:
            return await self._send(self._http, "GET", path, params=params)

    async def _post(
        self, path: str, body: bytes = b"", *, headers: Mapping[bytes, bytes] | None = None
    ) -> httpx.Response:
        async with self._turns:
            return await self._send(self._http, "POST", path, body, headers=headers)

    async def _send(
        self,
        http: httpx.AsyncClient,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        params: Params | None = None,
        headers: Mapping[bytes, bytes] | None = None,
        seconds: float = ANSWER_SECONDS,
    ) -> httpx.Response:
        request = http.build_request(
            method,
            path,
            content=body or None,
            params=params,
            headers={**({b"Content-Type": b"application/json"} if body else {}), **(headers or {})},
            timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS, pool=None),
        )
        try:
            return await http.send(request)
        except httpx.TransportError as error:
            gone_meanwhile = isinstance(error, httpx.ReadError | httpx.RemoteProtocolError)
            if method != "GET" or not gone_meanwhile:
                raise _unreachable(self.url, error) from error
        try:
            # The kept connection had ended, as after a restart of the engine: a look may be asked again.
            return await http.send(request)
        except httpx.TransportError as error:
            raise _unreachable(self.url, error) from error


def _unreachable(url: str, error: httpx.TransportError) -> EngineUnreachable:
    why = str(error) or type(error).__name__
    do = "Check that it runs and that the address is right; `venom-engine` starts one on this machine."
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return EngineUnreachable(f"No engine answers at {url}: {why}.", kept="Nothing was sent.", do=do)
    return EngineUnreachable(
        f"The connection to the engine at {url} broke before it answered: {why}.",
        kept="Whether the request was carried out is not known.",
        do=f"{do} Look before you repeat it.",
    )
