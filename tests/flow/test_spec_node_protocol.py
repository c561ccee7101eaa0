"""The node protocol on the wire: what the engine accepts, refuses and sends, frame by frame."""

import json
from contextlib import suppress
from uuid import UUID, uuid4

import pytest
from websockets.exceptions import ConnectionClosed

from tests.conftest import EngineStarter
from tests.flow.wire_helpers import Api, Events, Json, RawNode, Reachable, holds_for, now_iso, wait_until

ORIGINAL_TYPES = {"HANDSHAKE", "EXECUTE_SKILL", "HEARTBEAT", "RESPONSE", "DISCONNECT", "ERROR"}
POLICY_VIOLATION = 1008
EVERY_FEATURE = ("resume", "cancel", "output")


def a_skill() -> str:
    """The name of a skill that no other node has."""
    return f"Dance-{uuid4().hex[:8]}"


@pytest.mark.parametrize(
    "first",
    [
        json.dumps(
            {"message_type": "HEARTBEAT", "payload": {"node_id": "x", "cpu_usage": 0, "memory_usage": 0}}
        ),
        json.dumps(
            {"message_type": "RESPONSE", "payload": {"request_id": "x", "node_id": "x", "success": True}}
        ),
        json.dumps({"message_type": "HANDSHAKE", "payload": {}}),
        json.dumps({"message_type": "HANDSHAKE"}),
        json.dumps({"message_type": "NEWS", "payload": {}}),
        "[]",
        "not json",
        "",
        b"\x00\xff",
    ],
)
def test_the_first_frame_must_be_a_handshake(shared_engine: Reachable, api: Api, first: str | bytes) -> None:
    """Anything else closes the socket with 1008, and nobody is registered."""
    before = {node["node_id"] for node in api.nodes()}
    with RawNode(shared_engine) as node:
        node.send(first)
        assert node.wait_for_close() == POLICY_VIOLATION
    assert {node["node_id"] for node in api.nodes()} == before


@pytest.mark.parametrize("token", ["", "wrong", "żółw", "x" * 4000])
def test_a_wrong_token_closes_the_socket_with_1008(shared_engine: Reachable, api: Api, token: str) -> None:
    """The node is not registered and hears nothing."""
    with RawNode(shared_engine) as node:
        node.handshake(token)
        assert node.wait_for_close() == POLICY_VIOLATION
        assert "token" in node.close_reason
        assert node.got == []
    assert node.node_id not in {known["node_id"] for known in api.nodes()}


def test_the_operator_s_token_is_no_node_s_token(shared_engine: Reachable, api: Api) -> None:
    """The two secrets open two doors."""
    with RawNode(shared_engine) as node:
        node.handshake(api.token)
        assert node.wait_for_close() == POLICY_VIOLATION


def test_a_handshake_needs_only_a_name_and_the_token(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """node_id is a new UUID, and the capabilities are those of the table."""
    name = f"bare-{uuid4().hex[:8]}"
    with RawNode(shared_engine, name) as node:
        node.send({"message_type": "HANDSHAKE", "payload": {"node_name": name, "token": node_token}})
        shown = api.online(name)

    assert UUID(shown["node_id"])
    told = {
        "skills": [],
        "tags": [],
        "cpu_cores": 1,
        "memory_mb": 1024,
        "has_gpu": False,
        "has_docker": False,
        "platform": "linux",
    }
    assert told.items() <= shown["capabilities"].items()


def test_every_capability_is_shown_as_it_was_told(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """skills, tags, cpu_cores, memory_mb, has_gpu, has_docker and platform."""
    told = {
        "tags": ["gpu", "location:server_room"],
        "cpu_cores": 64,
        "memory_mb": 262144,
        "has_gpu": True,
        "has_docker": True,
        "platform": "darwin",
    }
    with RawNode(shared_engine) as node:
        node.handshake(node_token, skills=("Dance",), capabilities=told)
        shown = api.online(node.name)["capabilities"]
    assert {**told, "skills": ["Dance"]}.items() <= shown.items()


def test_unknown_fields_and_types_are_ignored(shared_engine: Reachable, api: Api, node_token: str) -> None:
    """In the envelope, the payload and the capabilities; and a type from the future is skipped."""
    skill = a_skill()
    with RawNode(shared_engine) as node:
        node.send(
            {
                "message_type": "HANDSHAKE",
                "payload": {
                    "message_type": "HANDSHAKE",
                    "node_id": node.node_id,
                    "node_name": node.name,
                    "token": node_token,
                    "capabilities": {"skills": [skill], "quantum": {"qubits": 7}},
                    "mood": "good",
                },
                "timestamp": now_iso(),
                "trace": [1, 2, 3],
            }
        )
        api.online(node.name)
        node.say("TELEPATHY", thought="hello")
        node.heartbeat(cpu_usage=0.75, mood="better")
        wait_until(lambda: api.node(node.node_id)["cpu_usage"] == 0.75, what="the heartbeat to count")
        task_id = api.submit("x", skill=skill)
        node.say(
            "RESPONSE",
            request_id=node.asked(skill)["request_id"],
            node_id=node.node_id,
            success=True,
            result={"deep": [1, None]},
            mood="best",
        )
        assert api.finished(task_id)["result"] == {"deep": [1, None]}


def test_an_execution_request_has_every_field_of_the_table(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """In an envelope with message_type, payload and timestamp."""
    skill = a_skill()
    with RawNode(shared_engine) as node:
        node.handshake(node_token, skills=(skill,))
        api.online(node.name)
        task_id = api.submit("x", skill=skill, method="waltz", parameters={"turns": 3}, timeout=12)
        request = node.asked(skill, turns=3)

        assert {"message_type", "payload", "timestamp"} <= node.got[-1].keys()
        assert request["message_type"] == "EXECUTE_SKILL"
        assert UUID(request["request_id"]) and request["node_id"] == node.node_id
        assert (request["skill_name"], request["method_name"]) == (skill, "waltz")
        assert (request["parameters"], request["timeout"]) == ({"turns": 3}, 12)
        assert request["timestamp"]
        node.answer(request)
        assert api.finished(task_id)["status"] == "COMPLETED"


def test_a_node_that_announced_nothing_is_sent_nothing_new(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """Through tasks, aborts, heartbeats, late answers, bad frames and direct calls: the six types only."""
    skill = a_skill()
    with RawNode(shared_engine) as node:
        node.handshake(node_token, skills=(skill,))
        api.online(node.name)
        doomed = api.submit("x", skill=skill, parameters={"n": 1})
        request = node.asked(skill, n=1)
        api.abort(doomed)
        node.heartbeat(held=[request["request_id"]])
        node.answer(request)
        node.say("HEARTBEAT", node_id=node.node_id)
        assert api.execute(node.node_id, skill, "run", timeout=0.3).status_code == 504
        done = api.submit("x", skill=skill, parameters={"n": 2})
        node.answer(node.asked(skill, n=2), result=2)
        assert api.finished(done)["result"] == 2

    assert node.types_heard <= ORIGINAL_TYPES


def test_a_node_with_features_is_welcomed(shared_engine: Reachable, api: Api, node_token: str) -> None:
    """It is told its epoch, its lease and how often to report."""
    with RawNode(shared_engine) as node:
        node.handshake(node_token, features=list(EVERY_FEATURE), held=[])
        welcome = node.wait_for(lambda f: f["message_type"] == "WELCOME")["payload"]
    assert {"epoch", "lease_seconds", "heartbeat_seconds"} <= welcome.keys()


def test_each_feature_is_sent_only_to_a_node_that_announced_it(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """A node that can resume but not cancel gets no CANCEL."""
    skill = a_skill()
    with RawNode(shared_engine) as node:
        node.handshake(node_token, skills=(skill,), features=["resume"], held=[])
        api.online(node.name)
        task_id = api.submit("x", skill=skill)
        request = node.asked(skill)
        node.say("ACCEPTED", request_id=request["request_id"])
        assert api.abort(task_id).status_code == 200
        node.heartbeat(held=[request["request_id"]])
        node.answer(request)
        node.wait_for(lambda f: f["message_type"] == "STORED", what="its answer to be stored")
        assert "CANCEL" not in node.types_heard


def test_heartbeats_show_the_load(shared_engine: Reachable, api: Api, node_token: str) -> None:
    """cpu_usage, memory_usage and active_tasks appear in the node's info; 0.0 and 1.0 are valid."""
    with RawNode(shared_engine) as node:
        node.handshake(node_token)
        api.online(node.name)
        for cpu, memory, active in ((0.5, 0.25, 3), (1.0, 1.0, 0), (0.0, 0.0, 1_000)):
            node.heartbeat(cpu_usage=cpu, memory_usage=memory, active_tasks=active)
            wait_until(
                lambda told=(cpu, memory, active): (
                    tuple(
                        api.node(node.node_id)[key] for key in ("cpu_usage", "memory_usage", "active_tasks")
                    )
                    == told
                ),
                what="the load",
            )


@pytest.mark.parametrize(
    "lie",
    [
        {"cpu_usage": -99},
        {"cpu_usage": 1.01},
        {"memory_usage": -0.1},
        {"memory_usage": 1e308},
        {"cpu_usage": "NaN"},
        {"cpu_usage": float("nan")},
        {"cpu_usage": float("inf")},
        {"cpu_usage": None},
        {"active_tasks": -1},
        {"active_tasks": 10**30},
    ],
    ids=str,
)
def test_an_impossible_load_is_refused_without_harm(
    shared_engine: Reachable, api: Api, node_token: str, lie: Json
) -> None:
    """The last true numbers stand, the node stays, and its next heartbeat counts."""
    with RawNode(shared_engine) as node:
        node.handshake(node_token)
        api.online(node.name)
        node.heartbeat(cpu_usage=0.5, memory_usage=0.25, active_tasks=3)
        wait_until(lambda: api.node(node.node_id)["cpu_usage"] == 0.5, what="the true load")
        node.heartbeat(**lie)
        node.wait_for(lambda f: f["message_type"] == "ERROR", what="to be told that this is no heartbeat")
        shown = api.node(node.node_id)
        assert shown["is_online"]
        assert (shown["cpu_usage"], shown["memory_usage"], shown["active_tasks"]) == (0.5, 0.25, 3)
        node.heartbeat(cpu_usage=0.125)
        wait_until(lambda: api.node(node.node_id)["cpu_usage"] == 0.125, what="the next true load")


def test_a_silent_node_is_marked_offline_and_gets_no_more_tasks(engine_process: EngineStarter) -> None:
    """Its socket stays open, but no frame comes: offline, NODE_DISCONNECTED, and its task goes elsewhere."""
    engine = engine_process(
        "--no-local-node",
        NEXUS_HEARTBEAT_TIMEOUT="0.8",
        NEXUS_HEALTH_CHECK_INTERVAL="0.1",
        NODE_HEARTBEAT_SECONDS="0.2",
    )
    with Api(engine) as api, Events(engine) as events, RawNode(engine, "silent") as silent:
        silent.handshake(engine.node_token, skills=("Dance",))
        api.online("silent")
        told = events.told("NODE_DISCONNECTED", node_id=silent.node_id)
        assert told["data"]["node_id"] == silent.node_id
        assert api.node(silent.node_id)["is_online"] is False
        body = api.http.get("/api/v1/nodes", params={"online_only": True}).json()
        assert (body["count"], body["online_count"], body["nodes"]) == (0, 0, [])
        task_id = api.submit("x", skill="Dance")
        holds_for(0.5, lambda: api.task(task_id)["status"] == "PENDING", "a node that is gone gets no task")
        assert "EXECUTE_SKILL" not in silent.types_heard
        with RawNode(engine, "lively") as lively:
            lively.handshake(engine.node_token, skills=("Dance",))
            lively.answer(lively.asked("Dance"), result="danced")
            assert api.finished(task_id)["node_id"] == lively.node_id


def test_a_node_that_reports_is_not_marked_offline(engine_process: EngineStarter) -> None:
    """Heartbeats within the timeout keep it online, however long it has nothing to do."""
    engine = engine_process(NEXUS_HEARTBEAT_TIMEOUT="0.6", NEXUS_HEALTH_CHECK_INTERVAL="0.1")
    with Api(engine) as api, RawNode(engine) as node:
        node.handshake(engine.node_token)
        api.online(node.name)

        def alive() -> bool:
            node.heartbeat()
            return bool(api.node(node.node_id)["is_online"])

        holds_for(1.5, alive, "it is online while it reports")


def test_a_node_whose_cable_is_cut_is_offline_at_once(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """A socket that ends without a goodbye is noticed without waiting for the timeout."""
    with Events(shared_engine) as events:
        with RawNode(shared_engine) as node:
            node.handshake(node_token)
            api.online(node.name)
        events.told("NODE_DISCONNECTED", 10, node_id=node.node_id)


def test_a_frame_that_is_too_large_ends_the_session_and_nothing_else(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """64 MiB from a node: it is cut off, the engine goes on."""
    with RawNode(shared_engine) as node:
        node.handshake(node_token)
        api.online(node.name)
        with suppress(ConnectionClosed, OSError):  # it may be cut off before we have said it all
            node.send('{"message_type": "HEARTBEAT", "payload": {"x": "' + "v" * (64 << 20) + '"}}')
        node.wait_for_close()
    assert api.run("hello")["status"] == "COMPLETED"


@pytest.mark.parametrize("name", ["two words", "", "x" * 121, "esc\x1b[2J", "new\nline"])
def test_a_name_that_could_harm_a_screen_is_refused(
    shared_engine: Reachable, node_token: str, name: str
) -> None:
    """Names are short and printable, so the handshake does not count."""
    with RawNode(shared_engine) as node:
        node.name = name
        node.handshake(node_token)
        assert node.wait_for_close() == POLICY_VIOLATION
