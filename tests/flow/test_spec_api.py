"""The front door: who may come in, what each route answers, and what it never tells."""

import sqlite3
from contextlib import closing
from uuid import uuid4

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.conftest import EngineStarter
from tests.flow.wire_helpers import Api, Reachable, a_marker

ID = "00000000-0000-4000-8000-000000000000"
ROUTES = [
    ("POST", "/api/v1/tasks"),
    ("GET", f"/api/v1/tasks/{ID}"),
    ("GET", "/api/v1/tasks"),
    ("GET", f"/api/v1/tasks/{ID}/stream"),
    ("GET", "/api/v1/queue/status"),
    ("POST", "/api/v1/queue/pause"),
    ("POST", "/api/v1/queue/resume"),
    ("POST", "/api/v1/queue/purge"),
    ("POST", "/api/v1/queue/emergency-stop"),
    ("POST", f"/api/v1/queue/task/{ID}/abort"),
    ("GET", "/api/v1/nodes"),
    ("GET", "/api/v1/nodes/some-node"),
    ("POST", "/api/v1/nodes/some-node/execute"),
]
INTERNALS = ("traceback", 'file "', ".py", "sqlite", "no such table", "select ", "/work/", "site-packages")


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_route_asks_for_the_token(shared_engine: Reachable, api: Api, method: str, path: str) -> None:
    """Without a token, with a wrong one and with another scheme: 401, and nothing happens."""
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {shared_engine.token}"},
        {"Authorization": f"Bearer {shared_engine.token}x"},
        {b"Authorization": "Bearer ż".encode()},
    ):
        answer = httpx.request(method, shared_engine.url + path, headers=headers, json={"content": "x"})
        assert answer.status_code == 401, f"{headers}: {answer.status_code} {answer.text}"
        assert shared_engine.token not in answer.text
    assert api.queue()["paused"] is False


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}])
def test_the_event_stream_asks_for_the_token(shared_engine: Reachable, headers: dict[str, str]) -> None:
    """Nobody watches without it: refused before, or closed with 1008 at once, and no event comes out."""
    with (
        pytest.raises((ConnectionClosed, InvalidStatus)) as refused,
        connect(
            shared_engine.url.replace("http", "ws", 1) + "/ws/events", additional_headers=headers
        ) as socket,
    ):
        socket.recv(timeout=10)
    if isinstance(refused.value, InvalidStatus):
        assert refused.value.response.status_code in (401, 403)
    else:
        assert isinstance(refused.value, ConnectionClosed) and refused.value.rcvd
        assert refused.value.rcvd.code == 1008


def test_the_health_check_needs_no_token(shared_engine: Reachable) -> None:
    """200 with status and component, for a load balancer that knows no secret."""
    answer = httpx.get(f"{shared_engine.url}/healthz")

    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["component"] == "venom-engine"


def test_the_queue_status_has_its_fields(api: Api) -> None:
    """paused, pending, active, processing and limit."""
    status = api.queue()

    assert {"paused", "pending", "active", "processing", "limit"} <= status.keys()
    assert status["paused"] is False
    assert all(isinstance(status[count], int) for count in ("pending", "active", "processing"))
    assert status["limit"] is None or status["limit"] > 0


def test_the_queue_status_counts(api: Api) -> None:
    """One that waits and one that runs are counted as such."""
    before, marker = api.queue(), a_marker()
    waits = api.submit("x", requirements={"tags": ["a-tag-that-no-node-has"]})
    runs = api.submit(f"!sleep {marker}")
    api.until(runs, "PROCESSING")
    after = api.queue()
    try:
        assert after["pending"] == before["pending"] + 1
        assert after["processing"] == before["processing"] + 1
        assert after["active"] == before["active"] + 1
    finally:
        api.abort(waits)
        api.abort(runs)


def test_an_abort_says_which_task_it_stopped(api: Api) -> None:
    """200 with success, the id and a message; a second time there is nothing left to stop: 404."""
    task_id = api.submit("x", requirements={"tags": ["a-tag-that-no-node-has"]})
    answer = api.abort(task_id)

    assert answer.status_code == 200
    assert (answer.json()["success"], answer.json()["task_id"]) == (True, task_id)
    assert answer.json()["message"]
    again = api.abort(task_id)
    assert again.status_code == 404 and "ABORTED" in again.text


def test_an_abort_of_a_finished_task_is_a_404(api: Api) -> None:
    """And the task stays as it ended."""
    task_id = str(api.run("hello")["id"])

    assert api.abort(task_id).status_code == 404
    assert api.task(task_id)["status"] == "COMPLETED"


def test_the_nodes_are_listed_with_their_counts(shared_engine: Reachable, api: Api) -> None:
    """status, count, online_count and nodes; each node has every field of NodeInfo."""
    body = api.http.get("/api/v1/nodes").json()

    assert body["status"] == "success"
    assert body["count"] == len(body["nodes"])
    assert body["online_count"] == sum(node["is_online"] for node in body["nodes"]) >= 1
    for node in body["nodes"]:
        assert {
            *("node_id", "node_name", "capabilities", "last_heartbeat", "cpu_usage", "memory_usage"),
            *("active_tasks", "is_online", "registered_at"),
        } <= node.keys()
        assert {
            *("skills", "tags", "cpu_cores", "memory_mb", "has_gpu", "has_docker", "platform"),
        } <= node["capabilities"].keys()
        assert 0 <= node["cpu_usage"] <= 1 and 0 <= node["memory_usage"] <= 1


def test_one_node_is_shown_by_its_id(api: Api) -> None:
    """status and node, the same as in the list."""
    listed = api.nodes(online_only=True)[0]
    body = api.http.get(f"/api/v1/nodes/{listed['node_id']}").json()

    assert body["status"] == "success"
    assert body["node"]["node_id"] == listed["node_id"]
    assert body["node"]["capabilities"] == listed["capabilities"]


def test_a_fault_inside_is_a_plain_5xx_that_shows_no_internals(engine_process: EngineStarter) -> None:
    """The engine's tables are taken away under its feet: the answer says sorry and not how it is built."""
    engine = engine_process()
    with Api(engine) as api:
        task_id = api.submit("hello")
        api.finished(task_id)
        with closing(sqlite3.connect(engine.state_dir / "venom.db", timeout=10)) as database, database:
            tables = database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            ).fetchall()
            database.execute("PRAGMA foreign_keys = OFF")
            for (table,) in tables:
                database.execute(f'DROP TABLE "{table}"')

        for answer in (
            api.http.get("/api/v1/tasks"),
            api.http.get(f"/api/v1/tasks/{uuid4()}"),
            api.http.post("/api/v1/tasks", json={"content": "never stored"}),
        ):
            assert answer.status_code >= 500, answer.text
            assert answer.headers["content-type"].startswith("application/json")
            shown = answer.text.lower()
            assert not [word for word in INTERNALS if word in shown], answer.text
            assert str(engine.state_dir) not in answer.text
