"""What the words of `protocol.messages.Link` mean. One body, for a link in memory and for one over a WebSocket."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect

from spore.link_nexus import connect_nexus, nexus_url
from venom_engine.api.node_socket import SocketLink
from venom_engine.links.memory import memory_link
from venom_engine.protocol.messages import (
    MAX_FRAME_BYTES,
    Cancel,
    Disconnect,
    HeartbeatMessage,
    HeldTask,
    Link,
    LinkClosed,
    NodeHandshake,
    NodeMessage,
    NodeResponse,
    OutputMessage,
    OutputPiece,
    Payload,
    SkillExecutionRequest,
    Stored,
    Verdicts,
    Welcome,
)
from venom_engine.protocol.node import Capabilities

SECONDS = 20


@dataclass
class Ends:
    """Both ends of one link, whichever carries it."""

    engine: Link
    node: Link

    def pair(self, direction: str) -> tuple[Link, Link]:
        """(who sends, who receives)"""
        return (self.engine, self.node) if direction == "to the node" else (self.node, self.engine)


class Door:
    """A small server with nothing but a node's door. Hands over the engine's end of each link."""

    def __init__(self) -> None:
        self.url = ""
        self.links: asyncio.Queue[SocketLink] = asyncio.Queue()
        self.closing = asyncio.Event()
        self.app = FastAPI()
        self.app.add_api_websocket_route("/ws/nodes", self._nodes)

    async def _nodes(self, socket: WebSocket) -> None:
        await socket.accept()
        await self.links.put(SocketLink(socket))
        await self.closing.wait()


@asynccontextmanager
async def a_door() -> AsyncIterator[Door]:
    door = Door()
    server = uvicorn.Server(
        uvicorn.Config(
            door.app,
            log_level="warning",
            ws="websockets-sansio",
            ws_max_size=MAX_FRAME_BYTES,
            lifespan="off",
        )
    )
    listener = socket.create_server(
        ("127.0.0.1", 0)
    )  # it listens already: who connects before the start waits
    serving = asyncio.create_task(server.serve([listener]))
    host, port = listener.getsockname()
    door.url = nexus_url(f"http://{host}:{port}")
    try:
        yield door
    finally:
        door.closing.set()
        server.should_exit = True
        await serving


@asynccontextmanager
async def in_memory() -> AsyncIterator[Ends]:
    engine, node = memory_link()
    yield Ends(engine, node)


@asynccontextmanager
async def over_websocket() -> AsyncIterator[Ends]:
    async with a_door() as door, asyncio.timeout(SECONDS):
        node = await connect_nexus(door.url)
        engine = await door.links.get()
        try:
            yield Ends(engine, node)
        finally:
            await node.close()
            await engine.close()


Linked = Callable[[], AbstractAsyncContextManager[Ends]]
both_ways = pytest.mark.parametrize("direction", ["to the node", "to the engine"])


@pytest.fixture(params=[in_memory, over_websocket], ids=["memory", "websocket"])
def linked(request: pytest.FixtureRequest) -> Linked:
    """Makes a link."""
    made: Linked = request.param
    return made


def beat(n: int) -> HeartbeatMessage:
    return HeartbeatMessage(node_id="n", cpu_usage=0, memory_usage=0, active_tasks=n)


EVERY_KIND: list[Payload] = [
    NodeHandshake(
        node_name="zażółć",
        token="t",
        features=("resume",),
        capabilities=Capabilities(skills=("A",), tags=("gpu",)),
        held=(HeldTask(request_id="r", task_id="t", attempt=2),),
    ),
    Welcome(epoch=7, lease_seconds=30, heartbeat_seconds=5),
    SkillExecutionRequest(
        node_id="n",
        skill_name="S",
        method_name="m",
        parameters={"deep": [1, 2.5, None, {"ż": "\x00"}]},
        timeout=None,
    ),
    beat(3),
    NodeResponse(
        request_id="r", node_id="n", success=False, result={"a": []}, error="why", outcome="aborted"
    ),
    OutputMessage(request_id="r", pieces=(OutputPiece(n=0, stream="stderr", text="x\n", at=1.5),)),
    Stored(responses=("r",), output={"r": 4}),
    Cancel(request_id="r", reason="aborted", grace_seconds=1),
    Verdicts(abort=("a",), lost=("b", "c")),
    Disconnect(node_id="n", reason="bye"),
]


@both_ways
async def test_what_is_sent_arrives_as_it_was_in_order(linked: Linked, direction: str) -> None:
    """Every kind of payload, equal to what was sent."""
    async with linked() as ends, asyncio.timeout(SECONDS):
        sender, receiver = ends.pair(direction)
        for payload in EVERY_KIND:
            await sender.send(payload)
        assert [await receiver.receive() for _ in EVERY_KIND] == EVERY_KIND


async def test_both_ends_may_talk_at_once(linked: Linked) -> None:
    """A thousand each way, none lost, none in another order."""
    wanted = list(range(1000))

    async def talk(link: Link) -> None:
        for n in wanted:
            await link.send(beat(n))

    async def listen(link: Link) -> list[int]:
        heard = [await link.receive() for _ in wanted]
        return [payload.active_tasks for payload in heard if isinstance(payload, HeartbeatMessage)]

    async with linked() as ends, asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
        group.create_task(talk(ends.engine))
        group.create_task(talk(ends.node))
        heard = [group.create_task(listen(link)) for link in (ends.engine, ends.node)]
    assert [task.result() for task in heard] == [wanted, wanted]


@both_ways
async def test_a_sender_waits_while_the_other_end_is_slow(linked: Linked, direction: str) -> None:
    """What nobody reads is not heaped up without end; once read, all of it is there."""
    piece = OutputMessage(request_id="r", pieces=(OutputPiece(n=0, text="x" * 100_000, at=0),))
    many = 1500

    async def talk(link: Link) -> None:
        for _ in range(many):
            await link.send(piece)

    async with linked() as ends, asyncio.timeout(SECONDS * 2):
        sender, receiver = ends.pair(direction)
        talking = asyncio.create_task(talk(sender))
        await asyncio.wait({talking}, timeout=0.5)
        assert not talking.done(), f"{many} messages were taken though nobody read one"
        for _ in range(many):
            assert await receiver.receive() == piece
        await talking


@both_ways
async def test_after_a_close_what_was_sent_before_is_still_received(linked: Linked, direction: str) -> None:
    """Then LinkClosed, again and again; the other end may not send any more either."""
    async with linked() as ends, asyncio.timeout(SECONDS):
        sender, receiver = ends.pair(direction)
        sent = [beat(n) for n in range(3)]
        for payload in sent:
            await sender.send(payload)
        await sender.close(1000, "enough")
        assert [await receiver.receive() for _ in sent] == sent
        for _ in range(2):
            with pytest.raises(LinkClosed):
                await receiver.receive()
        with pytest.raises(LinkClosed):
            await receiver.send(beat(0))


@both_ways
async def test_who_closed_may_neither_send_nor_receive(linked: Linked, direction: str) -> None:
    """LinkClosed for both; closing again is harmless, at either end."""
    async with linked() as ends, asyncio.timeout(SECONDS):
        closer, other = ends.pair(direction)
        await closer.close()
        with pytest.raises(LinkClosed):
            await closer.send(beat(0))
        with pytest.raises(LinkClosed):
            await closer.receive()
        for link in (closer, other, other, closer):
            await link.close(1008, "ż" * 500)


@both_ways
async def test_a_close_wakes_who_waits(linked: Linked, direction: str) -> None:
    """A receive that waits for the other end ends with LinkClosed."""
    async with linked() as ends, asyncio.timeout(SECONDS):
        closer, other = ends.pair(direction)
        waiting = asyncio.create_task(other.receive())
        await asyncio.sleep(0)
        await closer.close()
        with pytest.raises(LinkClosed):
            await waiting


@both_ways
async def test_a_receive_that_is_given_up_loses_nothing(linked: Linked, direction: str) -> None:
    """Cancelled while it waits: the next receive gets what comes."""
    async with linked() as ends, asyncio.timeout(SECONDS):
        sender, receiver = ends.pair(direction)
        for n in range(20):
            waiting = asyncio.create_task(receiver.receive())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
            assert waiting.cancelled()
            sent = beat(n)
            await sender.send(sent)
            assert await receiver.receive() == sent


# -- what only frames can do


@pytest.mark.parametrize(
    "frame",
    [
        "not json",
        "[]",
        "{}",
        '{"message_type": "HEARTBEAT", "payload": []}',
        '{"message_type": "HEARTBEAT", "payload": {"node_id": "n", "cpu_usage": -99}}',
        b"\x00\xff",
    ],
)
async def test_a_bad_frame_is_a_value_error_and_the_link_goes_on(frame: str | bytes) -> None:
    """The next good frame is received; the error does not repeat what was sent."""
    async with a_door() as door, connect(door.url) as node, asyncio.timeout(SECONDS):
        engine = await door.links.get()
        await node.send(frame)
        with pytest.raises(ValueError) as bad:
            await engine.receive()
        assert not isinstance(bad.value, LinkClosed) and "-99" not in str(bad.value)
        await node.send(NodeMessage.around(beat(1)).model_dump_json())
        received = await engine.receive()
        assert isinstance(received, HeartbeatMessage) and received.active_tasks == 1


async def test_a_type_that_is_not_known_here_is_skipped() -> None:
    """A message of a newer version is no error."""
    async with a_door() as door, connect(door.url) as node, asyncio.timeout(SECONDS):
        engine = await door.links.get()
        await node.send('{"message_type": "TELEPATHY", "payload": {"thought": 1}}')
        await node.send(NodeMessage.around(beat(1)).model_dump_json())
        assert isinstance(await engine.receive(), HeartbeatMessage)


async def test_no_link_is_had_where_nobody_listens() -> None:
    """LinkClosed, which says where."""
    with pytest.raises(LinkClosed, match=re.escape("127.0.0.1:9")):
        await connect_nexus(nexus_url("http://127.0.0.1:9"))
