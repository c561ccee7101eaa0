"""The front door over a real port: bodies, refusals, the document, streams, the second port."""

import asyncio
import json
import re
import socket
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.processes import EngineProcess, EngineStarter

PARAMETERS = '{{"content": "x", "skill": "Echo", "parameters": {{"content": {}}}}}'


def bearer(engine: EngineProcess) -> dict[str, str]:
    return {"Authorization": f"Bearer {engine.token}"}


def http(engine: EngineProcess) -> httpx.Client:
    return httpx.Client(base_url=engine.url, headers=bearer(engine), timeout=30)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"null",
        b"[]",
        b'"text"',
        b'{"content": "x"',
        b'{"content": "\xff"}',
        b'{"content": "\\ud800"}',
        b'{"content": "x", "priority": 5.5}',
        b'{"content": "x", "priority": ' + b"9" * 6000 + b"}",
        b'{"content": "x", "timeout": NaN}',
        b'{"content": "x", "no_such_field": 1}',
        b'{"content": "x", "\\ud800": 1}',
        b'{"content": "x", "parameters": ' + b"[" * 100_000 + b"}",
        PARAMETERS.format("NaN").encode(),
        PARAMETERS.format('[{"deep": -Infinity}]').encode(),
        PARAMETERS.format("1e999").encode(),
    ],
)
def test_a_bad_body_is_a_422_that_names_place_and_reason(shared_engine: EngineProcess, body: bytes) -> None:
    """Never a 500, and never the body sent back."""
    with http(shared_engine) as client:
        before = client.get("/api/v1/tasks").headers["X-Total-Count"]
        answer = client.post("/api/v1/tasks", content=body)
        assert answer.status_code == 422, answer.text
        problem = answer.json()
        assert problem["code"] == "bad_request"
        assert problem["kept"] == "Nothing was stored."
        assert problem["what"] and problem["do"]
        for field in problem["detail"]:
            assert field["loc"][0] == "body"
            assert field["msg"]
            assert set(field) == {"loc", "msg", "type"}
        assert len(answer.content) < 5000
        assert client.get("/api/v1/tasks").headers["X-Total-Count"] == before


def test_a_refusal_does_not_repeat_what_was_sent(shared_engine: EngineProcess) -> None:
    """The value may be a secret; the name of the field is enough."""
    with http(shared_engine) as client:
        answer = client.post(
            "/api/v1/tasks", json={"content": "x", "priority": "sesame", "n" * 9000: "sesame"}
        )
    assert answer.status_code == 422
    assert "sesame" not in answer.text
    assert len(answer.content) < 2000


def test_numbers_that_json_has_pass(shared_engine: EngineProcess) -> None:
    """Large ones too: what was asked is what is stored."""
    with http(shared_engine) as client:
        for number in ("1e3", "1e-999", "12345678901234567890", "1.5E+100"):
            answer = client.post("/api/v1/tasks", content=PARAMETERS.format(number).encode())
            assert answer.status_code == 201, answer.text
            task = client.get(f"/api/v1/tasks/{answer.json()['task_id']}").json()
            assert task["parameters"] == {"content": json.loads(number)}


@pytest.mark.parametrize("path", ["/api/v1/tasks", "/api/v1/nodes/any/execute"])
def test_a_body_of_more_than_4_mib_is_a_413(shared_engine: EngineProcess, path: str) -> None:
    """Whether it says its size before or only comes in pieces."""
    large = b'{"content": "' + b"x" * (4 * 1024 * 1024) + b'"}'

    def in_pieces() -> Any:
        for at in range(0, len(large), 65536):
            yield large[at : at + 65536]

    with http(shared_engine) as client:
        for body in (large, in_pieces()):
            answer = client.post(path, content=body)
            assert answer.status_code == 413, answer.text
            assert answer.json()["kept"] == "Nothing was stored."


def test_a_caller_who_hangs_up_while_sending_is_no_incident(engine_process: EngineStarter) -> None:
    """The engine goes on, and its log stays quiet."""
    engine = engine_process()
    host, port = engine.url.removeprefix("http://").split(":")
    head = f"POST /api/v1/tasks HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {engine.token}\r\n"
    with socket.create_connection((host, int(port))) as caller:
        caller.sendall(f"{head}Content-Length: 1000\r\n\r\n{{".encode())
    with http(engine) as client:
        assert client.get("/healthz").status_code == 200
    assert engine.stop() == 0
    assert "incident" not in engine.said
    assert "Traceback" not in engine.said


def test_unknown_addresses_and_methods_have_the_same_shape(shared_engine: EngineProcess) -> None:
    """404 and 405 are problems like all others; 405 says what is allowed."""
    with http(shared_engine) as client:
        for answer, status in ((client.get("/nope"), 404), (client.put("/api/v1/tasks"), 405)):
            assert answer.status_code == status
            assert set(answer.json()) == {"detail", "code", "what", "kept", "do"}
        assert "allow" in client.put("/api/v1/tasks").headers


def test_the_document_is_whole(shared_engine: EngineProcess) -> None:
    """Every reference leads somewhere, every route says how it refuses, the token is part of it."""
    with http(shared_engine) as client:
        document = client.get("/openapi.json").json()
    text = json.dumps(document)
    for name in set(re.findall(r"#/components/schemas/([^\"]+)", text)):
        assert name in document["components"]["schemas"], name
    assert document["security"] == [{"token": []}]
    routes = {
        (verb, path): route for path, verbs in document["paths"].items() for verb, route in verbs.items()
    }
    assert len(routes) == 15
    for (_, path), route in routes.items():
        wanted = {"200"} if path == "/healthz" else {"401", "403", "500"}
        assert wanted <= set(route["responses"]), path
    submit = routes["post", "/api/v1/tasks"]
    assert {"201", "413", "422", "507"} <= set(submit["responses"])
    assert submit["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("TaskRequest")
    assert {"400", "404", "504"} <= set(routes["post", "/api/v1/nodes/{node_id}/execute"]["responses"])


def test_the_last_pieces_of_output_can_be_asked_for(shared_engine: EngineProcess) -> None:
    """`tail` gives the end, `after` goes on from a number; both at once is a mistake."""
    with http(shared_engine) as client:
        body = {"content": "!for i in 1 2 3; do echo line $i; sleep 0.3; done"}
        task = client.post("/api/v1/tasks", json=body).json()["task_id"]
        with client.stream("GET", f"/api/v1/tasks/{task}/stream") as stream:
            assert "task_finished" in stream.read().decode()
        output = f"/api/v1/tasks/{task}/output"
        chunks = client.get(output).json()
        assert "".join(chunk["text"] for chunk in chunks) == "line 1\nline 2\nline 3\n"
        assert client.get(output, params={"tail": 1}).json() == chunks[-1:]
        assert client.get(output, params={"after": chunks[0]["n"], "limit": 1}).json() == chunks[1:2]
        for bad in ({"tail": 1, "after": 1}, {"tail": 0}, {"after": -1}, {"limit": 0}):
            assert client.get(output, params=bad).status_code == 422


def test_who_did_it_comes_from_a_header(engine_process: EngineStarter) -> None:
    """A name that is missing, too long or not printable is `operator`."""
    engine = engine_process("--no-local-node")
    with http(engine) as client:
        for sent, kept in (
            ("Zoë".encode(), "Zoë"),
            (b"", "operator"),
            (b"x" * 61, "operator"),
            (b"\xff\xfe", "operator"),
            ("a\u202eb".encode(), "operator"),
        ):
            assert client.post("/api/v1/queue/pause", headers={b"X-Venom-Actor": sent}).status_code == 200
            assert client.get("/api/v1/queue/status").json()["paused_by"] == kept
            client.post("/api/v1/queue/resume")


@pytest.mark.parametrize("query", ["?after=x", "?after=-1", "?nope=1", "?output=perhaps"])
async def test_a_watcher_is_told_what_it_asked_wrongly(shared_engine: EngineProcess, query: str) -> None:
    """By an HTTP answer before the socket opens, in the usual shape."""
    url = f"{shared_engine.url.replace('http', 'ws')}/ws/events{query}"
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers=bearer(shared_engine))
    assert refused.value.response.status_code == 422
    assert json.loads(refused.value.response.body or b"")["code"] == "bad_request"


async def test_a_watcher_without_the_token_is_refused_before_the_socket_opens(
    shared_engine: EngineProcess,
) -> None:
    """401, and no complaint in the engine's log."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{shared_engine.url.replace('http', 'ws')}/ws/events")
    assert refused.value.response.status_code == 401
    assert "handshake" not in shared_engine.said


async def test_open_streams_do_not_hold_a_stopping_engine_back(engine_process: EngineStarter) -> None:
    """Watchers are told that it goes away, SSE streams end, and the engine exits 0 at once."""
    engine = engine_process("--no-local-node")
    async with httpx.AsyncClient(base_url=engine.url, headers=bearer(engine)) as client:
        task = (await client.post("/api/v1/tasks", json={"content": "waits for a node"})).json()["task_id"]
        url = f"{engine.url.replace('http', 'ws')}/ws/events"
        async with (
            connect(url, additional_headers=bearer(engine)) as watcher,
            client.stream("GET", f"/api/v1/tasks/{task}/stream") as stream,
        ):
            pieces = stream.aiter_text()
            assert "task_update" in await anext(pieces)
            stopping = asyncio.create_task(asyncio.to_thread(engine.stop, 10))
            assert [piece async for piece in pieces] == []
            with pytest.raises(ConnectionClosed):
                await _heard_out(watcher)
            assert watcher.close_code == 1001
            assert await stopping == 0


def test_a_second_port_serves_nodes_and_nothing_else(engine_process: EngineStarter) -> None:
    """NEXUS_PORT: `/ws/nodes` and `/healthz`; the API is not there."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    engine = engine_process("--no-local-node", NEXUS_PORT=str(port))
    nexus = f"http://127.0.0.1:{port}"
    assert httpx.get(f"{nexus}/healthz").json()["component"] == "venom-engine"
    assert httpx.get(f"{nexus}/api/v1/tasks", headers=bearer(engine)).status_code == 404
    assert httpx.get(f"{nexus}/openapi.json", headers=bearer(engine)).status_code == 404
    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(_knock(f"ws://127.0.0.1:{port}/ws/events", engine))
    assert refused.value.response.status_code in (403, 404)
    asyncio.run(_knock(f"ws://127.0.0.1:{port}/ws/nodes", engine))


def test_nodes_can_be_kept_out(engine_process: EngineStarter) -> None:
    """ENABLE_NEXUS=false: `/ws/nodes` refuses with a readable reason; the engine's own node works."""
    engine = engine_process(ENABLE_NEXUS="false")
    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(_knock(f"{engine.url.replace('http', 'ws')}/ws/nodes", engine))
    assert refused.value.response.status_code == 404
    assert b"ENABLE_NEXUS" in (refused.value.response.body or b"")
    with http(engine) as client:
        assert client.get("/api/v1/nodes").json()["online_count"] == 1


async def _heard_out(watcher: ClientConnection) -> None:
    while True:
        await watcher.recv()


async def _knock(url: str, engine: EngineProcess) -> None:
    async with connect(url, additional_headers=bearer(engine)):
        pass
