"""Settings of engine and Spore under their own names, from the environment."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from tests.conftest import EngineStarter, SporeStarter
from tests.flow.wire_helpers import Api, RawNode, Reachable, wait_until
from tests.processes import RunningProcess, clean_environment


def a_free_port() -> int:
    """One that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def spore_by_environment(folder: Path, **settings: str) -> Iterator[RunningProcess]:
    """A Spore without a single argument, configured as the original was: by `SPORE_…` alone."""
    settings.setdefault("SPORE_STATE_DIR", str(folder / "state"))
    settings.setdefault("SPORE_WORKSPACE", str(folder / "workspace"))
    env = clean_environment(HOME=str(folder), XDG_STATE_HOME=str(folder / "xdg"), **settings)
    spore = RunningProcess("spore", folder=folder, env=env)
    try:
        yield spore
    finally:
        spore.end()


def nexus(engine: Reachable, token: str) -> dict[str, str]:
    """Where a Spore finds this engine, in its own settings' names."""
    host, port = engine.url.removeprefix("http://").split(":")
    return {"SPORE_NEXUS_HOST": host, "SPORE_NEXUS_PORT": port, "SPORE_SHARED_TOKEN": token}


def test_a_spore_is_configured_by_its_environment(
    shared_engine: Reachable, api: Api, node_token: str, tmp_path: Path
) -> None:
    """NODE_NAME, NEXUS_HOST, NEXUS_PORT, SHARED_TOKEN and NODE_TAGS (comma-separated)."""
    with spore_by_environment(
        tmp_path,
        SPORE_NODE_NAME="env-spore",
        SPORE_NODE_TAGS="gpu, location:server_room,",
        **nexus(shared_engine, node_token),
    ):
        node = api.online("env-spore")
        assert {"gpu", "location:server_room"} <= set(node["capabilities"]["tags"])
        assert "" not in node["capabilities"]["tags"]
        assert {"Echo", "ShellSkill", "FileSkill"} <= set(node["capabilities"]["skills"])
        assert node["capabilities"]["cpu_cores"] >= 1 and node["capabilities"]["memory_mb"] > 0
        assert node["capabilities"]["platform"] == "linux"
        task = api.run("!echo there", requirements={"node": "env-spore"})
        assert task["node_id"] == node["node_id"] and "there" in str(task["result"])


@pytest.mark.parametrize(("switch", "skill"), [("ENABLE_SHELL", "ShellSkill"), ("ENABLE_FILE", "FileSkill")])
def test_a_spore_s_skill_can_be_switched_off(
    shared_engine: Reachable, api: Api, node_token: str, tmp_path: Path, switch: str, skill: str
) -> None:
    """It is not announced, and a call of it is refused by the node too."""
    name = f"no-{skill}"
    with spore_by_environment(
        tmp_path, **{f"SPORE_{switch}": "false", "SPORE_NODE_NAME": name}, **nexus(shared_engine, node_token)
    ):
        node = api.online(name)
        assert skill not in node["capabilities"]["skills"] and "Echo" in node["capabilities"]["skills"]
        assert api.execute(node["node_id"], skill, "run", command="true").status_code == 400


def test_a_spore_s_heartbeat_interval_can_be_set(engine_process: EngineStarter, tmp_path: Path) -> None:
    """HEARTBEAT_INTERVAL: it reports that often, though the engine would be content with less."""
    engine = engine_process("--no-local-node", NODE_HEARTBEAT_SECONDS="50")
    settings = {"SPORE_NODE_NAME": "fast", "SPORE_HEARTBEAT_INTERVAL": "0.2"}
    with Api(engine) as api, spore_by_environment(tmp_path, **settings, **nexus(engine, engine.node_token)):
        beats = {api.online("fast")["last_heartbeat"]}

        def four() -> bool:
            beats.add(api.online("fast")["last_heartbeat"])
            return len(beats) >= 4

        wait_until(four, 8, "four heartbeats")


def test_a_spore_reports_its_load_and_its_tasks(
    engine_process: EngineStarter, spore_process: SporeStarter
) -> None:
    """cpu_usage and memory_usage between 0 and 1, memory above 0; active_tasks counts what it runs."""
    engine = engine_process("--no-local-node", NODE_HEARTBEAT_SECONDS="0.3")
    spore = spore_process(engine)
    with Api(engine) as api:
        node_id = api.online(spore.name)["node_id"]
        task_id = api.submit("!while :; do :; done")
        wait_until(lambda: api.node(node_id)["active_tasks"] == 1, what="its task to be counted")
        wait_until(lambda: 0 < api.node(node_id)["cpu_usage"] <= 1, what="its CPU")
        assert 0 < api.node(node_id)["memory_usage"] <= 1
        api.abort(task_id)
        wait_until(lambda: api.node(node_id)["active_tasks"] == 0, what="the task to be gone")


def test_a_spore_with_a_wrong_token_says_so(shared_engine: Reachable, api: Api, tmp_path: Path) -> None:
    """On its stderr, without the token itself; and it is not registered."""
    settings = nexus(shared_engine, "wrong-token-of-a-spore")
    with spore_by_environment(tmp_path, SPORE_NODE_NAME="stranger", **settings) as spore:
        spore.hear("(?i)token")
        assert "wrong-token-of-a-spore" not in spore.said
        assert "stranger" not in {node["node_name"] for node in api.nodes()}


def test_a_spore_comes_back_by_itself_when_the_engine_does(
    engine_process: EngineStarter, spore_process: SporeStarter
) -> None:
    """Started before the engine is back, it connects as soon as it can."""
    engine = engine_process("--no-local-node")
    spore = spore_process(engine)
    with Api(engine) as api:
        api.online(spore.name)
        node_id = api.online(spore.name)["node_id"]
        engine.restart(kill=False)
        assert api.online(spore.name, 30)["node_id"] == node_id


def test_a_spore_keeps_its_identity(engine_process: EngineStarter, spore_process: SporeStarter) -> None:
    """The same state folder is the same node, after a restart of the Spore too."""
    engine = engine_process("--no-local-node")
    spore = spore_process(engine)
    with Api(engine) as api:
        node_id = api.online(spore.name)["node_id"]
        spore.stop()
        api.offline(spore.name)
        spore.start()
        assert api.online(spore.name)["node_id"] == node_id
        assert len(api.nodes()) == 1


def test_the_shared_token_of_the_engine_can_be_set(engine_process: EngineStarter) -> None:
    """NEXUS_SHARED_TOKEN is what nodes must present."""
    engine = engine_process(NEXUS_SHARED_TOKEN="a-token-of-my-own")
    with Api(engine) as api, RawNode(engine) as node:
        node.handshake("a-token-of-my-own")
        api.online(node.name)
    with RawNode(engine) as node:
        node.handshake("another")
        assert node.wait_for_close() == 1008


def test_the_operator_token_can_be_set(engine_process: EngineStarter) -> None:
    """VENOM_TOKEN is what operators present; any other is refused."""
    engine = engine_process(VENOM_TOKEN="my-operator-token")
    with Api(engine, token="my-operator-token") as api:
        assert api.queue()["paused"] is False
    assert httpx.get(f"{engine.url}/api/v1/tasks", headers={"Authorization": "Bearer x"}).status_code == 401


def test_the_nexus_can_be_switched_off(engine_process: EngineStarter) -> None:
    """ENABLE_NEXUS=false: no node gets in, while the engine's own node works on."""
    engine = engine_process(ENABLE_NEXUS="false")
    with pytest.raises(InvalidStatus):
        RawNode(engine)
    with Api(engine) as api:
        assert api.run("hello")["status"] == "COMPLETED"
        assert len(api.nodes()) == 1


def test_nodes_may_come_in_by_a_port_of_their_own(engine_process: EngineStarter) -> None:
    """NEXUS_PORT: the engine listens for nodes there too, and its API is not served there."""
    port = a_free_port()
    engine = engine_process(NEXUS_PORT=str(port))
    second = f"http://127.0.0.1:{port}"
    with Api(engine) as api:
        for url in (second, engine.url):
            with RawNode(engine, url=url) as node:
                node.handshake(engine.node_token, skills=("Dance",))
                api.online(node.name)
                task_id = api.submit("x", skill="Dance")
                node.answer(node.asked("Dance"), result=url)
                assert api.finished(task_id)["result"] == url
        headers = {"Authorization": f"Bearer {engine.token}"}
        assert httpx.get(f"{second}/api/v1/tasks", headers=headers).status_code == 404


def test_the_same_port_for_nodes_is_no_second_port(engine_process: EngineStarter) -> None:
    """NEXUS_PORT set to the API's own port, as the originals did it: one listener, both served."""
    port = str(a_free_port())
    engine = engine_process("--port", port, NEXUS_PORT=port)
    with Api(engine) as api, RawNode(engine) as node:
        node.handshake(engine.node_token)
        api.online(node.name)


def test_settings_are_read_from_a_dotenv_file(engine_process: EngineStarter, tmp_path: Path) -> None:
    """A `.env` in the working folder counts; the environment goes before it."""
    (tmp_path / ".env").write_text("MAX_CONCURRENT_TASKS=7\nNEXUS_SHARED_TOKEN=from-the-file\n")
    engine = engine_process(NEXUS_SHARED_TOKEN="from-the-environment")
    with Api(engine) as api, RawNode(engine) as node:
        assert api.queue()["limit"] == 7
        node.handshake("from-the-environment")
        api.online(node.name)


def test_no_secret_is_on_the_command_line(engine_process: EngineStarter, spore_process: SporeStarter) -> None:
    """The tokens stand in no process list and in no log."""
    engine = engine_process()
    spore = spore_process(engine)
    with Api(engine) as api:
        api.online(spore.name)
        api.run("!true")
    secrets = (engine.token, engine.node_token)
    for pid in (engine.pid, spore.pid):
        line = Path(f"/proc/{pid}/cmdline").read_text()
        assert not [secret for secret in secrets if secret in line]
    for said in (engine.said, spore.said):
        assert not [secret for secret in secrets if secret in said]
