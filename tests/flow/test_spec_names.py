"""The names that users of the original rely on: classes, methods, factories and defaults."""

import asyncio
import inspect
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import ValidationError

from venom_engine.core.engine import Engine
from venom_engine.core.nodes import NodeManager
from venom_engine.core.queue import QueueManager
from venom_engine.embedded import running_local_engine
from venom_engine.links.memory import memory_link
from venom_engine.protocol import messages
from venom_engine.protocol.errors import NodeTimeout
from venom_engine.protocol.messages import (
    HeartbeatMessage,
    Link,
    MessageType,
    NodeHandshake,
    NodeMessage,
    NodeResponse,
    SkillExecutionRequest,
)
from venom_engine.protocol.node import Capabilities
from venom_engine.protocol.task import TaskRequest, TaskStatus
from venom_engine.settings import Settings


def test_the_queue_manager_has_its_methods() -> None:
    """pause, resume, purge, abort_task, emergency_stop and get_status."""
    for name in ("pause", "resume", "purge", "abort_task", "emergency_stop", "get_status"):
        assert callable(getattr(QueueManager, name)), name


def test_the_node_manager_has_its_methods() -> None:
    """The registry, the searches, the choice, the call, the answer and the heartbeat."""
    for name in (
        *("register_node", "unregister_node", "get_node", "list_nodes", "find_nodes_by_skill"),
        *("find_nodes_by_tag", "select_best_node", "execute_skill_on_node", "handle_response"),
        "update_heartbeat",
    ):
        assert callable(getattr(NodeManager, name)), name
    assert inspect.iscoroutinefunction(NodeManager.execute_skill_on_node), "it awaits the answer"
    assert "timeout" in inspect.signature(NodeManager.execute_skill_on_node).parameters


async def joined(engine: Engine, name: str, load: float, **capabilities: tuple[str, ...]) -> Link:
    """A node that says hello over a link in memory and reports its load."""
    ours, theirs = memory_link()
    serving = asyncio.create_task(engine.serve_node(ours, peer="test"), name=name)
    SERVING.add(serving)
    serving.add_done_callback(SERVING.discard)
    has = Capabilities.model_validate(capabilities)
    await theirs.send(NodeHandshake(node_id=name, node_name=name, token=engine.node_token, capabilities=has))
    await theirs.send(HeartbeatMessage(node_id=name, cpu_usage=load, memory_usage=load, active_tasks=0))
    async with asyncio.timeout(20):
        while (node := engine.node_manager.get_node(name)) is None or node.cpu != load:
            await asyncio.sleep(0.01)
    return theirs


SERVING: set[asyncio.Task[None]] = set()


async def test_the_node_manager_finds_chooses_and_calls(tmp_path: Path) -> None:
    """By skill, by tag, the lowest load; a call awaits its answer; who is unregistered is offline."""
    settings = Settings(venom_state_dir=tmp_path / "state")
    async with running_local_engine(settings, local_node=False) as engine:
        manager = engine.node_manager
        busy = await joined(engine, "busy", 0.9, skills=("Dance", "Sing"), tags=("gpu",))
        idle = await joined(engine, "idle", 0.1, skills=("Dance",), tags=("cpu",))

        assert {node.node_id for node in manager.list_nodes()} == {"busy", "idle"}
        assert {node.node_id for node in manager.find_nodes_by_skill("Dance")} == {"busy", "idle"}
        assert [node.node_id for node in manager.find_nodes_by_skill("Sing")] == ["busy"]
        assert [node.node_id for node in manager.find_nodes_by_tag("gpu")] == ["busy"]
        assert manager.find_nodes_by_tag("none") == manager.find_nodes_by_skill("none") == []
        best = manager.select_best_node("Dance")
        assert best is not None and best.node_id == "idle"
        assert manager.select_best_node("none") is None
        found = manager.get_node("busy")
        assert found is not None and found.is_online and manager.get_node("none") is None

        call = asyncio.create_task(manager.execute_skill_on_node("idle", "Dance", "run", {"n": 1}, 10))
        request = await idle.receive()
        assert isinstance(request, SkillExecutionRequest) and request.parameters == {"n": 1}
        answer = NodeResponse(request_id=request.request_id, node_id="idle", success=True, result="danced")
        await manager.handle_response("idle", answer)
        assert (await call).result == "danced"
        with pytest.raises(NodeTimeout):
            await manager.execute_skill_on_node("idle", "Dance", "run", {}, 0.1)

        manager.update_heartbeat(
            "busy", HeartbeatMessage(node_id="busy", cpu_usage=0, memory_usage=0, active_tasks=0)
        )
        best = manager.select_best_node("Dance")
        assert best is not None and best.node_id == "busy"
        await manager.unregister_node("busy")
        assert [node.node_id for node in manager.list_nodes(online_only=True)] == ["idle"]
        assert manager.find_nodes_by_tag("gpu") == []
        for link in (busy, idle):
            await link.close()


def test_the_statuses_are_five() -> None:
    """The four of the original, and ABORTED."""
    assert [status.value for status in TaskStatus] == [
        "PENDING",
        "PROCESSING",
        "COMPLETED",
        "FAILED",
        "ABORTED",
    ]


def test_the_six_message_types_stay() -> None:
    """By these words."""
    six = {"HANDSHAKE", "EXECUTE_SKILL", "HEARTBEAT", "RESPONSE", "DISCONNECT", "ERROR"}
    assert six <= {kind.value for kind in MessageType}


MESSAGES = [
    (
        "from_handshake",
        NodeHandshake(node_name="n", token="t", capabilities=Capabilities(skills=("A",), tags=("gpu",))),
        "HANDSHAKE",
    ),
    (
        "from_execution_request",
        SkillExecutionRequest(node_id="n", skill_name="A", method_name="m", parameters={"x": [1, None]}),
        "EXECUTE_SKILL",
    ),
    (
        "from_heartbeat",
        HeartbeatMessage(node_id="n", cpu_usage=0.5, memory_usage=1, active_tasks=2),
        "HEARTBEAT",
    ),
    ("from_response", NodeResponse(request_id="r", node_id="n", success=True, result={"a": 1}), "RESPONSE"),
]


@pytest.mark.parametrize(("factory", "payload", "kind"), MESSAGES, ids=[kind for _, _, kind in MESSAGES])
def test_each_factory_makes_an_envelope_that_can_be_opened_again(
    factory: str, payload: messages.Payload, kind: str
) -> None:
    """NodeMessage.from_…: type, payload object and ISO time; JSON and back is the same payload."""
    text = getattr(NodeMessage, factory)(payload).model_dump_json()
    plain = json.loads(text)

    assert plain["message_type"] == plain["payload"]["message_type"] == kind
    assert datetime.fromisoformat(plain["timestamp"]).utcoffset() == timedelta(0)
    assert isinstance(plain["payload"]["timestamp"], str)
    assert NodeMessage.model_validate_json(text).opened() == payload


def test_the_payloads_have_the_defaults_of_the_table() -> None:
    """A new node_id and request_id each time; 1 core, 1024 MB, no GPU, no Docker, linux; 30 seconds."""
    handshakes = [NodeHandshake(node_name="n") for _ in range(2)]
    assert UUID(handshakes[0].node_id) != UUID(handshakes[1].node_id)
    assert handshakes[0].message_type == "HANDSHAKE"
    assert handshakes[0].timestamp - datetime.now(UTC) < timedelta(seconds=10)
    has = Capabilities()
    assert (list(has.skills), list(has.tags), has.cpu_cores, has.memory_mb) == ([], [], 1, 1024)
    assert (has.has_gpu, has.has_docker, has.platform) == (False, False, "linux")
    requests = [SkillExecutionRequest(node_id="n", skill_name="A", method_name="m") for _ in range(2)]
    assert UUID(requests[0].request_id) != UUID(requests[1].request_id)
    assert (requests[0].parameters, requests[0].timeout) == ({}, 30)
    answer = NodeResponse(request_id="r", node_id="n", success=True)
    assert (answer.result, answer.error) == (None, None)


@pytest.mark.parametrize("load", [{"cpu_usage": -99}, {"memory_usage": 1.5}, {"active_tasks": -1}])
def test_a_heartbeat_with_an_impossible_load_cannot_be_made(load: dict[str, float]) -> None:
    """cpu_usage and memory_usage are 0.0 to 1.0."""
    with pytest.raises(ValidationError):
        HeartbeatMessage.model_validate(
            {"node_id": "n", "cpu_usage": 0, "memory_usage": 0, "active_tasks": 0} | load
        )


def test_a_task_request_needs_only_content() -> None:
    """Everything else has a default."""
    required = [name for name, field in TaskRequest.model_fields.items() if field.is_required()]
    assert required == ["content"]


def test_the_settings_keep_the_original_s_names_and_values(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """60 s of silence, a look every 30 s, the dump's place; one port for all unless told otherwise."""
    monkeypatch.chdir(str(tmp_path))
    settings = Settings()
    assert settings.nexus_heartbeat_timeout == 60
    assert settings.nexus_health_check_interval == 30
    assert str(settings.state_file_path) == "data/memory/state_dump.json"
    assert (settings.enable_nexus, settings.nexus_port, settings.enable_queue_limits) == (True, None, True)
    assert settings.nexus_shared_token is None
