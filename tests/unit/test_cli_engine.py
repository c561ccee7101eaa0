"""The command `venom-engine`: how it starts, refuses to start, and ends."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import EngineStarter, clean_environment


def venom_engine(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """The ended command."""
    return subprocess.run(
        [sys.executable, "-m", "venom_engine", *arguments],
        env=clean_environment(**env),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def a_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for this machine, and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    subprocess.run([*command.split(), names, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def test_ready_is_said_when_it_accepts(engine_process: EngineStarter) -> None:
    """A line of its own; nothing is on stdout; engine.json says the same."""
    engine = engine_process("--no-local-node")
    assert f"\nready on {engine.url}\n" in f"\n{engine.said}"
    announced = json.loads((engine.state_dir / "engine.json").read_text())
    assert (announced["url"], announced["pid"]) == (engine.url, engine.pid)
    assert httpx.get(f"{engine.url}/healthz").status_code == 200


def test_json_log_lines_are_objects_without_tokens(engine_process: EngineStarter) -> None:
    """Every line on stderr parses, also the one that says ready."""
    engine = engine_process("--log-format", "json")
    tokens = engine.token, engine.node_token
    engine.stop()
    lines = [json.loads(line) for line in engine.said.splitlines()]
    assert any(line["message"] == f"ready on {engine.url}" for line in lines)
    assert all({"time", "level", "logger", "message"} <= set(line) for line in lines)
    assert not any(token in engine.said for token in tokens)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0(engine_process: EngineStarter, number: int) -> None:
    """And nobody owns the folder afterwards."""
    engine = engine_process("--no-local-node")
    engine.signal(number)
    assert engine.wait() == 0
    assert not (engine.state_dir / "engine.json").exists()
    assert "Traceback" not in engine.said


def test_a_second_signal_does_not_wait_for_tasks(engine_process: EngineStarter) -> None:
    """The first lets the local node's tasks end; the second cuts that short."""
    engine = engine_process(DRAIN_SECONDS="300")
    body = {"content": "!sleep 300"}
    with httpx.Client(base_url=engine.url, headers={"Authorization": f"Bearer {engine.token}"}) as api:
        task = api.post("/api/v1/tasks", json=body).json()["task_id"]
        deadline = time.monotonic() + 20
        while api.get(f"/api/v1/tasks/{task}").json()["status"] != "PROCESSING":
            assert time.monotonic() < deadline
    engine.signal(signal.SIGTERM)
    engine.hear("stopping: running tasks")
    engine.signal(signal.SIGTERM)
    assert engine.wait(30) == 1


def test_an_engine_that_has_the_folder_is_named(engine_process: EngineStarter) -> None:
    """Also when the second one asks for the same port: which engine it is says more than which port."""
    first = engine_process("--no-local-node")
    port = first.url.rsplit(":", 1)[1]
    for asked in ("0", port):
        second = venom_engine("--port", asked, "--state-dir", str(first.state_dir))
        assert second.returncode == 1
        assert f"pid {first.pid}" in second.stderr
        assert first.url in second.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    """With what to do; nothing is started, nothing left behind."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        refused = venom_engine("--port", str(port), "--state-dir", str(tmp_path / "state"))
        nexus = venom_engine("--port", "0", "--state-dir", str(tmp_path / "state"), NEXUS_PORT=str(port))
    for each in (refused, nexus):
        assert each.returncode == 1
        assert f"Port {port} on 127.0.0.1 is in use." in each.stderr
        assert "--port" in each.stderr
        assert "Traceback" not in each.stderr
    assert not (tmp_path / "state" / "venom.db").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--no-auth", "--host", "0.0.0.0"], 2, "other machines"),
        (["--no-auth", "--host", "example.com"], 2, "other machines"),
        (["--tls-key", "key.pem"], 2, "--tls-cert"),
        (["--port", "70000"], 2, "--port"),
        (["--log-format", "xml"], 2, "--log-format"),
        (["nope"], 2, "nope"),
        (["--tls-cert", "/no/such/file"], 1, "/no/such/file"),
        (["--host", "192.0.2.1"], 1, "192.0.2.1"),
        (["--host", "no.such.host.invalid"], 1, "no.such.host.invalid"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    """Wrong usage is 2, an engine that cannot start is 1; never a traceback."""
    flags = [] if arguments == ["nope"] else ["--port", "0"]
    refused = venom_engine("--state-dir", str(tmp_path / "state"), *flags, *arguments)
    assert refused.returncode == code, refused.stderr
    assert said in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_setting_that_cannot_be_is_named_and_not_repeated(tmp_path: Path) -> None:
    """By its variable; the value might be a secret."""
    refused = venom_engine("--state-dir", str(tmp_path), MAX_CONCURRENT_TASKS="sesame", LEASE_SECONDS="-1")
    assert refused.returncode == 2
    assert "MAX_CONCURRENT_TASKS" in refused.stderr
    assert "LEASE_SECONDS" in refused.stderr
    assert "sesame" not in refused.stderr


def test_without_auth_nobody_needs_a_token(engine_process: EngineStarter) -> None:
    """On loopback only, with a warning; web pages are still kept out."""
    engine = engine_process("--no-auth", "--no-local-node")
    assert "WARNING" in engine.said
    assert httpx.get(f"{engine.url}/api/v1/tasks").status_code == 200
    page = {"Origin": "http://evil.example"}
    assert httpx.post(f"{engine.url}/api/v1/queue/pause", headers=page).status_code == 403
    assert httpx.get(f"{engine.url}/healthz", headers={"Host": "evil.example"}).status_code == 403


def test_a_network_address_without_tls_is_warned_of(engine_process: EngineStarter) -> None:
    """It listens everywhere, answers to any name, and tells local programs a local address."""
    engine = engine_process("--host", "0.0.0.0", "--no-local-node")
    assert "without TLS" in engine.said
    local = json.loads((engine.state_dir / "engine.json").read_text())["url"]
    assert local == engine.url.replace("0.0.0.0", "127.0.0.1")
    assert httpx.get(f"{local}/healthz", headers={"Host": "head.example"}).status_code == 200


def test_tls_serves_http_and_watchers(engine_process: EngineStarter, tmp_path: Path) -> None:
    """The command trusts what SSL_CERT_FILE holds, and nothing else."""
    cert, key = a_certificate(tmp_path / "tls")
    engine = engine_process("--tls-cert", str(cert), "--tls-key", str(key))
    assert engine.url.startswith("https://127.0.0.1:")

    def submit(**env: str) -> Any:
        command = [sys.executable, "-m", "venom_engine.cli", "submit", "--wait", "hello"]
        told = clean_environment(VENOM_STATE_DIR=str(engine.state_dir), **env)
        return subprocess.run(command, env=told, capture_output=True, text=True, timeout=50, check=False)

    assert "Processed: hello" in submit(SSL_CERT_FILE=str(cert)).stdout
    stranger = submit()
    assert stranger.returncode == 3
    assert "certificate" in stranger.stderr.lower()


def test_tokens_are_printed_and_made_once(tmp_path: Path) -> None:
    """Before and after the subcommand --state-dir means the same; settings go before files."""
    folder = str(tmp_path / "state")
    operator = venom_engine("token", "--state-dir", folder)
    node = venom_engine("--state-dir", folder, "token", "--node")
    assert operator.returncode == node.returncode == 0
    assert len({operator.stdout, node.stdout}) == 2
    assert len(operator.stdout.strip()) >= 32
    assert venom_engine("token", "--state-dir", folder).stdout == operator.stdout
    assert venom_engine("token", VENOM_STATE_DIR=folder).stdout == operator.stdout
    assert venom_engine("token", "--state-dir", folder, VENOM_TOKEN="mine").stdout == "mine\n"
    assert venom_engine("token", "--node", "--state-dir", folder, NEXUS_SHARED_TOKEN="x").stdout == "x\n"


def test_the_state_moves_out_and_in(engine_process: EngineStarter, tmp_path: Path) -> None:
    """Not while an engine runs on the folder: that one is named."""
    engine = engine_process("--no-local-node")
    with httpx.Client(base_url=engine.url, headers={"Authorization": f"Bearer {engine.token}"}) as api:
        task_id = api.post("/api/v1/tasks", json={"content": "keep me"}).json()["task_id"]
    dump, old, new = tmp_path / "dump.json", str(engine.state_dir), str(tmp_path / "new")
    busy = venom_engine("export-state", str(dump), "--state-dir", old)
    assert busy.returncode == 1
    assert f"pid {engine.pid}" in busy.stderr
    engine.stop()
    assert venom_engine("export-state", str(dump), "--state-dir", old).returncode == 0
    imported = venom_engine("import-state", "--state-dir", new, STATE_FILE_PATH=str(dump))
    assert imported.returncode == 0
    assert "1 tasks imported" in imported.stderr
    assert json.loads(dump.read_text())["tasks"][task_id]["content"] == "keep me"
    for bad in (tmp_path / "none.json", tmp_path):
        refused = venom_engine("import-state", str(bad), "--state-dir", new)
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("command", ["", "token", "import-state", "export-state"])
def test_every_command_explains_itself_in_80_columns(command: str) -> None:
    """With an example."""
    told = venom_engine(*command.split(), "--help", COLUMNS="80")
    assert told.returncode == 0
    assert "Example:" in told.stdout
    assert "venom-engine" in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 80
