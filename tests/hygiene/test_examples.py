"""The examples of README and docs run as they stand."""

import re
import shutil
import subprocess
import sys

import httpx
import pytest

from tests.hygiene.tree import REPO, files, name
from tests.processes import EngineProcess, EngineStarter, SporeStarter, clean_environment


def ran(*command: str, **env: str) -> str:
    """What it printed. Fails, with everything it said, when it failed."""
    done = subprocess.run(
        command, env=clean_environment(**env), capture_output=True, text=True, check=False, timeout=50
    )
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def test_python_example_runs_an_engine_of_its_own(tmp_path) -> None:
    """examples/submit_and_wait.py without VENOM_ENGINE: an engine inside the program."""
    printed = ran(
        sys.executable, str(REPO / "examples/submit_and_wait.py"), VENOM_STATE_DIR=str(tmp_path / "state")
    )

    assert "line 1\nline 2\nline 3\n" in printed
    assert "COMPLETED" in printed


def test_python_example_uses_an_engine_that_runs(shared_engine: EngineProcess) -> None:
    """The same program with VENOM_ENGINE; the token is found in the state folder."""
    printed = ran(
        sys.executable,
        str(REPO / "examples/submit_and_wait.py"),
        VENOM_ENGINE=shared_engine.url,
        VENOM_STATE_DIR=str(shared_engine.state_dir),
    )

    assert "line 1\nline 2\nline 3\n" in printed
    assert "COMPLETED" in printed


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_curl_example_submits_follows_and_reads(shared_engine: EngineProcess) -> None:
    """examples/curl.sh against a running engine."""
    printed = ran(
        str(REPO / "examples/curl.sh"), VENOM_ENGINE=shared_engine.url, VENOM_TOKEN=shared_engine.token
    )

    assert "event: task_finished" in printed
    assert "line 1\\nline 2\\nline 3\\n" in printed.replace('"},{', "") or "line 3" in printed


def test_skill_example_is_a_spore_s_skill(engine_process: EngineStarter, spore_process: SporeStarter) -> None:
    """examples/my_skill.py, loaded by a Spore, answers, shows its lines and its progress."""
    engine = engine_process("--no-local-node")
    path = f"{REPO}:{REPO / 'examples'}"
    spore_process(engine, "--skills", "my_skill", PYTHONPATH=path)
    task = {"content": "spell it", "skill": "Words", "method": "spell", "parameters": {"text": "abc"}}

    with httpx.Client(base_url=engine.url, headers={"Authorization": f"Bearer {engine.token}"}) as http:
        task_id = http.post("/api/v1/tasks", json=task).json()["task_id"]
        stream = http.get(f"/api/v1/tasks/{task_id}/stream").text
        output = http.get(f"/api/v1/tasks/{task_id}/output").json()

    assert "event: task_finished" in stream
    assert '"result":"ABC"' in stream
    assert "".join(chunk["text"] for chunk in output) == "a\nb\nc\n"


def test_every_example_is_run_here() -> None:
    """A new example comes with its test."""
    here = (REPO / "tests/hygiene/test_examples.py").read_text(encoding="utf-8")
    run = set(re.findall(r"examples/[\w.]+", here))
    assert {name(path) for path in files(under=("examples",))} <= run
