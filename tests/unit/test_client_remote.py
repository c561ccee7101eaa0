"""The remote client: what the engine raises is what it raises, and a lost engine is EngineUnreachable."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import pytest

from tests.builders import a_task_request
from tests.processes import EngineProcess, EngineStarter
from venom_engine.client.remote import RemoteClient
from venom_engine.client.wait import wait_for
from venom_engine.protocol.errors import (
    BadRequest,
    EngineUnreachable,
    NodeTimeout,
    NotAllowed,
    NotFound,
    VenomError,
)
from venom_engine.protocol.event import Event
from venom_engine.protocol.node import ExecuteRequest
from venom_engine.protocol.task import TaskQuery


class Stranger(BaseHTTPRequestHandler):
    """A web server that is no engine."""

    def do_GET(self) -> None:
        status = int(self.path.rsplit("/", 1)[1]) if self.path.startswith("/api/v1/nodes/") else 200
        body = b"<html>Hello, I am a wiki.</html>"
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def stranger() -> Iterator[str]:
    """Its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


async def test_errors_come_as_the_engine_raised_them(shared_engine: EngineProcess) -> None:
    """By class, with all three parts."""
    async with RemoteClient(shared_engine.url, shared_engine.token) as engine:
        node = (await engine.nodes()).nodes[0].node_id
        slow = ExecuteRequest(
            skill_name="ShellSkill", method_name="run", parameters={"command": "sleep 9"}, timeout=0.2
        )
        for kind, call in (
            (NotFound, engine.task(uuid4())),
            (NotFound, engine.node("no such/node?")),
            (NotFound, engine.abort(uuid4())),
            (BadRequest, engine.submit(a_task_request("!"))),
            (BadRequest, engine.tasks(TaskQuery(cursor="none of yours"))),
            (NodeTimeout, engine.execute(node, slow)),
        ):
            with pytest.raises(kind) as raised:
                await call
            assert type(raised.value) is kind
            assert raised.value.what and raised.value.kept and raised.value.do


@pytest.mark.parametrize("token", [None, "wrong"])
async def test_without_the_token_everything_is_refused(
    shared_engine: EngineProcess, token: str | None
) -> None:
    """Calls and watching alike."""
    async with RemoteClient(shared_engine.url, token) as engine:
        with pytest.raises(NotAllowed, match="venom-engine token"):
            await engine.queue_status()
        with pytest.raises(NotAllowed, match="venom-engine token"):
            await engine.watch().__aenter__()


async def test_no_engine_there_is_said_with_the_address() -> None:
    """Nothing was sent, and that is part of the error."""
    async with RemoteClient("127.0.0.1:1") as engine:
        for call in (engine.queue_status(), engine.submit(a_task_request()), engine.watch().__aenter__()):
            with pytest.raises(EngineUnreachable, match=r"http://127\.0\.0\.1:1\b"):
                await call


async def test_another_program_at_the_address_is_told_from_an_engine(stranger: str) -> None:
    """A 200 that is none of ours, and errors without our explanation."""
    async with RemoteClient(stranger) as engine:
        with pytest.raises(EngineUnreachable, match="does not speak as a Venom engine"):
            await engine.queue_status()
        for status, kind in ((404, NotFound), (401, NotAllowed), (503, EngineUnreachable), (500, VenomError)):
            with pytest.raises(kind, match=str(status)):
                await engine.node(str(status))
        with pytest.raises(VenomError):
            await engine.watch().__aenter__()


async def test_an_engine_that_came_back_is_used_again(engine_process: EngineStarter) -> None:
    """The kept connections are of the engine before: the first look after a restart works all the same."""
    process = engine_process("--no-local-node")
    async with RemoteClient(process.url, process.token) as engine:
        await asyncio.gather(*(engine.queue_status() for _ in range(5)))
        process.restart()
        assert (await engine.queue_status()).pending == 0


async def test_a_watch_is_left_at_once_though_much_is_unread(shared_engine: EngineProcess) -> None:
    """Nobody waits for a farewell behind thousands of events."""
    async with RemoteClient(shared_engine.url, shared_engine.token) as engine:
        await asyncio.gather(*(engine.submit(a_task_request()) for _ in range(150)))
        begun = time.monotonic()
        async with asyncio.timeout(30):
            for _ in range(20):
                async with engine.watch(after=0, output=True):
                    pass
        # A farewell would take 2 s each.
        assert time.monotonic() - begun < 20


async def _heard_out(events: AsyncIterator[Event], *, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while True:
            await anext(events)


async def test_a_wait_can_be_given_up_and_taken_up_again(shared_engine: EngineProcess) -> None:
    """A reader with a time limit of its own loses no event by it."""
    async with (
        RemoteClient(shared_engine.url, shared_engine.token) as engine,
        engine.watch() as events,
    ):
        with pytest.raises(TimeoutError):
            await _heard_out(events, seconds=0.05)
        task_id = (await engine.submit(a_task_request())).task_id
        while (event := await anext(events)).data.get("task_id") != str(task_id):
            pass
        assert event.type == "TASK_CREATED"


async def test_hundreds_of_calls_at_once_all_get_their_answer(shared_engine: EngineProcess) -> None:
    """They take turns; none times out while it waits for a connection."""
    async with RemoteClient(shared_engine.url, shared_engine.token) as engine:
        answers = await asyncio.gather(*(engine.submit(a_task_request(f"n {n}")) for n in range(300)))
        assert len({answer.task_id for answer in answers}) == 300
        assert (await wait_for(engine, answers[-1].task_id)).result == "Processed: n 299"
