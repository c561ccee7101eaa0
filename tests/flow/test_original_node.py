"""A node of the original system, written here from the tables of the node protocol alone.

It knows six message types and their fields, reads and writes plain JSON over a plain WebSocket, and
imports nothing of ours. Such a node must register, report, run skills and answer on this engine.
"""

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from typing import Any
from uuid import UUID, uuid4

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.conftest import EngineStarter
from tests.flow.wire_helpers import Api, Events, Reachable, holds_for, wait_until

ORIGINAL_TYPES = {"HANDSHAKE", "EXECUTE_SKILL", "HEARTBEAT", "RESPONSE", "DISCONNECT", "ERROR"}
REQUEST_FIELDS = {
    "message_type",
    "request_id",
    "node_id",
    "skill_name",
    "method_name",
    "parameters",
    "timeout",
    "timestamp",
}


class OriginalNode:
    """Connects out, shakes hands, reports on a beat, runs shell commands one after another."""

    def __init__(self, url: str, token: str, *, tags: tuple[str, ...] = (), beat: float = 0.2) -> None:
        self.node_id, self.node_name = str(uuid4()), f"original-{uuid4().hex[:8]}"
        self.token, self.tags, self.beat = token, tags, beat
        self.heard: list[dict[str, Any]] = []
        self.may_answer = Event()
        self.may_answer.set()
        self._ending, self._sending = Event(), Lock()
        self._open = ExitStack()
        self._socket = self._open.enter_context(connect(url.replace("http", "ws", 1) + "/ws/nodes"))

    def live(self) -> None:
        """Shake hands, then report from one thread and serve from another."""
        self._send(
            "HANDSHAKE",
            {
                "node_id": self.node_id,
                "node_name": self.node_name,
                "capabilities": {
                    "skills": ["ShellSkill"],
                    "tags": list(self.tags),
                    "cpu_cores": 4,
                    "memory_mb": 4096,
                    "has_gpu": False,
                    "has_docker": False,
                    "platform": "linux",
                },
                "token": self.token,
            },
        )
        self._threads = [Thread(target=self._report, daemon=True), Thread(target=self._serve, daemon=True)]
        for thread in self._threads:
            thread.start()

    def leave(self) -> None:
        """Say goodbye as the original did, and close."""
        self._ending.set()
        self.may_answer.set()
        with suppress(ConnectionClosed):  # the engine may have left first
            self._send("DISCONNECT", {"node_id": self.node_id})
        self._open.close()
        for thread in self._threads:
            thread.join(10)

    @property
    def calls(self) -> list[dict[str, Any]]:
        return [frame["payload"] for frame in tuple(self.heard) if frame["message_type"] == "EXECUTE_SKILL"]

    def _report(self) -> None:
        while not self._ending.wait(self.beat):
            load = {"cpu_usage": 0.25, "memory_usage": 0.5, "active_tasks": 0}
            try:
                self._send("HEARTBEAT", {"node_id": self.node_id, **load})
            except ConnectionClosed:
                return

    def _serve(self) -> None:
        try:
            for text in self._socket:
                frame = json.loads(text)
                self.heard.append(frame)
                if frame["message_type"] == "EXECUTE_SKILL":
                    self._run(frame["payload"])
        except ConnectionClosed:
            return

    def _run(self, request: dict[str, Any]) -> None:
        success, result, error, began = True, None, None, datetime.now(UTC)
        self.may_answer.wait(30)
        if (request["skill_name"], request["method_name"]) == ("ShellSkill", "run"):
            ran = subprocess.run(
                request["parameters"]["command"], shell=True, capture_output=True, text=True, timeout=30
            )
            success, result, error = ran.returncode == 0, ran.stdout, ran.stderr or None
        else:
            success, error = False, f"no skill {request['skill_name']}.{request['method_name']}"
        self._send(
            "RESPONSE",
            {
                "request_id": request["request_id"],
                "node_id": self.node_id,
                "success": success,
                "result": result,
                "error": error,
                "execution_time": (datetime.now(UTC) - began).total_seconds(),
            },
        )

    def _send(self, kind: str, payload: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat()
        with self._sending:
            self._socket.send(
                json.dumps(
                    {
                        "message_type": kind,
                        "payload": {"message_type": kind, **payload, "timestamp": now},
                        "timestamp": now,
                    }
                )
            )


@contextmanager
def an_original_node(engine: Reachable, token: str, *, beat: float = 0.2) -> Iterator[OriginalNode]:
    """Such a node, connected; in the end it must have heard nothing but the six types."""
    node = OriginalNode(engine.url, token, beat=beat)
    node.live()
    try:
        yield node
    finally:
        node.leave()
    heard = {frame["message_type"] for frame in node.heard}
    assert heard <= ORIGINAL_TYPES, f"a node that announced no features was sent {heard - ORIGINAL_TYPES}"


def test_an_original_node_registers_and_its_heartbeats_are_shown(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """It appears with the capabilities it told, and with the load of its heartbeats."""
    with an_original_node(shared_engine, node_token) as node:
        shown = api.online(node.node_name)
        assert shown["node_id"] == node.node_id
        told = {
            "skills": ["ShellSkill"],
            "cpu_cores": 4,
            "memory_mb": 4096,
            "has_gpu": False,
            "platform": "linux",
        }
        assert told.items() <= shown["capabilities"].items()
        wait_until(lambda: api.node(node.node_id)["cpu_usage"] == 0.25, what="the load it reported")
        assert api.node(node.node_id)["memory_usage"] == 0.5
        first = shown["last_heartbeat"]
        wait_until(lambda: api.node(node.node_id)["last_heartbeat"] > first, what="a later heartbeat")


def test_an_original_node_runs_a_task_of_the_queue(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """`!echo` sent to it by requirements.node runs there, and its plain answer is the task's result."""
    with an_original_node(shared_engine, node_token) as node:
        api.online(node.node_name)
        task = api.run("!echo from $((40 + 2))", requirements={"node": node.node_name})

        assert (task["status"], task["result"], task["node_id"]) == ("COMPLETED", "from 42\n", node.node_id)
        assert task["attempt"] == 1
        (call,) = node.calls
        assert REQUEST_FIELDS <= call.keys()
        assert (call["skill_name"], call["method_name"]) == ("ShellSkill", "run")
        assert call["parameters"]["command"] == "echo from $((40 + 2))"
        assert call["node_id"] == node.node_id and UUID(call["request_id"])
        assert isinstance(call["timeout"], (int, float)) and call["timeout"] > 0, (
            "the original needs a number"
        )


def test_an_original_node_answers_a_direct_call(shared_engine: Reachable, api: Api, node_token: str) -> None:
    """POST /nodes/{id}/execute reaches it and hands back what it answered."""
    with an_original_node(shared_engine, node_token) as node:
        api.online(node.node_name)
        answer = api.execute(node.node_id, "ShellSkill", "run", command="echo direct")

        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["success"], body["result"], body["error"]) == (True, "direct\n", None)
        assert body["execution_time"] >= 0


def test_a_failure_on_an_original_node_is_the_task_s_failure(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """Its success=false makes the task FAILED, with its error."""
    with an_original_node(shared_engine, node_token) as node:
        api.online(node.node_name)
        task = api.run("!echo broken >&2; exit 3", requirements={"node": node.node_name})

        assert task["status"] == "FAILED"
        assert "broken" in task["error"]


def test_an_original_node_keeps_its_task_though_it_reports_more_rarely_than_the_lease(
    engine_process: EngineStarter, node_token: str
) -> None:
    """It cannot name what it holds, so every sign of life renews its tasks, as long as it is not silent."""
    engine = engine_process(LEASE_SECONDS="0.5", NEXUS_SHARED_TOKEN=node_token, NEXUS_HEARTBEAT_TIMEOUT="30")
    with Api(engine) as api, an_original_node(engine, node_token, beat=0.8) as node:
        node.may_answer.clear()
        api.online(node.node_name)
        task_id = api.submit("!echo slow", requirements={"node": node.node_name})
        api.until(task_id, "PROCESSING")
        holds_for(2.5, lambda: api.task(task_id)["status"] == "PROCESSING", "the task stays with its node")
        node.may_answer.set()

        task = api.finished(task_id)
        assert (task["status"], task["result"], task["attempt"]) == ("COMPLETED", "slow\n", 1)


def test_an_abort_on_an_original_node_ends_the_task_and_ignores_the_late_answer(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """It knows no word for stop: the task is ABORTED at once, and its later answer changes nothing."""
    with an_original_node(shared_engine, node_token) as node:
        node.may_answer.clear()
        api.online(node.node_name)
        task_id = api.submit("!echo late", requirements={"node": node.node_name})
        wait_until(lambda: node.calls, what="the call")
        assert api.abort(task_id).status_code == 200
        assert api.task(task_id)["status"] == "ABORTED"
        node.may_answer.set()
        api.run("!echo next", requirements={"node": node.node_name})

        task = api.task(task_id)
        assert (task["status"], task["result"]) == ("ABORTED", None)


def test_an_original_node_that_says_goodbye_is_offline_at_once(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """DISCONNECT, one of the six, ends the session; watchers are told."""
    with Events(shared_engine) as events:
        with an_original_node(shared_engine, node_token) as node:
            events.told("NODE_CONNECTED", node_id=node.node_id)
        events.told("NODE_DISCONNECTED", node_id=node.node_id)
    assert api.offline(node.node_name)["is_online"] is False


@pytest.mark.parametrize("missing", ["request_id", "success"])
def test_a_bad_answer_of_an_original_node_harms_nobody(
    shared_engine: Reachable, api: Api, node_token: str, missing: str
) -> None:
    """A RESPONSE that lacks a needed field is refused; the node stays usable."""
    with an_original_node(shared_engine, node_token) as node:
        api.online(node.node_name)
        payload = {"request_id": "x", "node_id": node.node_id, "success": True}
        del payload[missing]
        node._send("RESPONSE", payload)

        assert api.run("!echo well", requirements={"node": node.node_name})["result"] == "well\n"
