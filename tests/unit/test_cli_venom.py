"""The command `venom` as people and scripts use it: real processes, a real engine."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.processes import EngineProcess, EngineStarter, clean_environment

Command = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = [sys.executable, "-m", "venom_engine.cli"]
EVERY = [
    "submit",
    "tasks",
    "show",
    "logs",
    "abort",
    "nodes",
    "queue",
    "queue status",
    "queue pause",
    "queue resume",
    "queue purge",
    "queue stop",
    "watch",
]


def venom(engine: EngineProcess | None, *arguments: str, **run: Any) -> subprocess.CompletedProcess[str]:
    """The ended command; it finds the engine by its state folder."""
    extra = {"VENOM_STATE_DIR": str(engine.state_dir)} if engine else {}
    env = clean_environment(**extra, **run.pop("env", {}))
    return subprocess.run(
        [*COMMAND, *arguments], env=env, capture_output=True, text=True, timeout=50, check=False, **run
    )


@contextmanager
def running(engine: EngineProcess, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command while it runs, with a stdout to read from."""
    env = clean_environment(VENOM_STATE_DIR=str(engine.state_dir))
    with subprocess.Popen(
        [*COMMAND, *arguments], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as command:
        try:
            yield command
        finally:
            command.kill()


def on_a_terminal(engine: EngineProcess, typed: bytes, *arguments: str) -> tuple[int, str]:
    """Exit code and screen of a command whose stdin, stdout and stderr are a terminal."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(
            COMMAND[0], [*COMMAND, *arguments], clean_environment(VENOM_STATE_DIR=str(engine.state_dir))
        )
    os.write(terminal, typed)
    screen = b""
    while select.select([terminal], [], [], 40)[0]:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # How Linux says that the other end is closed.
            break
        screen += piece
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), screen.decode()


def test_submit_prints_the_id_and_nothing_else(shared_engine: EngineProcess) -> None:
    """So that a script can keep it."""
    done = venom(shared_engine, "submit", "hello")
    assert (done.returncode, done.stderr) == (0, "")
    assert UUID(done.stdout.strip())
    as_json = json.loads(venom(shared_engine, "submit", "--json", "hello").stdout)
    assert as_json["status"] == "PENDING"
    assert UUID(as_json["task_id"])


def test_submit_waits_and_ends_as_the_task_does(shared_engine: EngineProcess) -> None:
    """The id, then the result; 0 for COMPLETED, 1 for anything else, with the reason on stderr."""
    done = venom(shared_engine, "submit", "--wait", "hello")
    task_id, result = done.stdout.splitlines()
    assert (done.returncode, result) == (0, "Processed: hello")
    assert f"COMPLETED {task_id}" in done.stderr
    failed = venom(shared_engine, "submit", "--wait", "--json", "!exit 3")
    assert failed.returncode == 1
    assert json.loads(failed.stdout)["status"] == "FAILED"
    assert "exit code 3" in failed.stderr


def test_submit_reads_content_from_stdin(shared_engine: EngineProcess) -> None:
    """`-`; the line end that `echo` adds is not part of it."""
    done = venom(shared_engine, "submit", "--wait", "-", input="two\nlines\n")
    assert done.stdout.splitlines()[1:] == ["Processed: two", "lines"]


def test_submit_passes_everything_on(shared_engine: EngineProcess) -> None:
    """Every flag arrives in the task."""
    flags = [
        "--skill",
        "Echo",
        "--method",
        "run",
        "--param",
        "content=[1]",
        "--priority",
        "9",
        "--queue",
        "q",
    ]
    flags += ["--tag", "a", "--tag", "b", "--node", "n", "--gpu", "--local-fallback", "--retries", "2"]
    task_id = venom(shared_engine, "submit", "x", *flags, "--timeout", "1.5").stdout.strip()
    task = json.loads(venom(shared_engine, "show", task_id, "--json").stdout)
    venom(shared_engine, "abort", task_id)
    assert (task["skill"], task["method"], task["parameters"]) == ("Echo", "run", {"content": [1]})
    assert (task["priority"], task["queue"], task["max_retries"], task["timeout"]) == (9, "q", 2, 1.5)
    needs = {"tags": ["a", "b"], "gpu": True, "node": "n", "local_fallback": True}
    assert task["requirements"] == needs


def test_followed_output_is_stdout_and_comes_live(shared_engine: EngineProcess) -> None:
    """stdout to stdout, stderr to stderr, before the task has ended."""
    gate = shared_engine.state_dir / f"gate-{uuid4().hex}"
    content = f"!echo first; echo oops >&2; while [ ! -e {gate} ]; do sleep 0.05; done; printf last"
    with running(shared_engine, "submit", "--follow", content) as command:
        assert command.stdout
        assert command.stdout.readline() == "first\n"
        gate.touch()
        rest, talk = command.communicate(timeout=30)
    assert (command.returncode, rest) == (0, "last")
    assert "oops" in talk
    assert "COMPLETED" in talk


def test_ctrl_c_ends_the_following_and_not_the_task(shared_engine: EngineProcess) -> None:
    """It says so, and how to abort; the task is still there."""
    with running(shared_engine, "submit", "--follow", "!echo begun; sleep 300") as command:
        assert command.stdout
        assert command.stdout.readline() == "begun\n"
        command.send_signal(signal.SIGINT)
        _, talk = command.communicate(timeout=30)
    assert command.returncode == 130
    found = re.search(r"Task (\S+) goes on\. To stop it: venom abort \1", talk)
    assert found, talk
    assert "Traceback" not in talk
    assert json.loads(venom(shared_engine, "show", found[1], "--json").stdout)["status"] == "PROCESSING"
    assert venom(shared_engine, "abort", found[1]).returncode == 0
    again = venom(shared_engine, "abort", found[1])
    assert (again.returncode, again.stdout) == (1, "")


def test_logs_show_what_was_printed(shared_engine: EngineProcess) -> None:
    """Whole, the end of it, followed, as JSON, or the stages in its place."""
    submitted = venom(shared_engine, "submit", "--wait", "!echo one; sleep 0.3; echo two; echo oops >&2")
    task_id = submitted.stdout.split()[0]
    for flags in ([], ["-f"]):
        printed = venom(shared_engine, "logs", task_id, *flags)
        assert printed.stdout == "one\ntwo\n"
        assert "oops\n" in printed.stderr
        assert printed.returncode == 0
    chunks = [
        json.loads(line) for line in venom(shared_engine, "logs", task_id, "--json").stdout.splitlines()
    ]
    assert "".join(chunk["text"] for chunk in chunks if chunk["stream"] == "stdout") == "one\ntwo\n"
    assert venom(shared_engine, "logs", task_id, "--tail", "1", "--json").stdout.count("\n") == 1
    stages = venom(shared_engine, "logs", task_id, "--stages").stdout.splitlines()
    assert len(stages) == 3
    assert venom(shared_engine, "logs", task_id, "-f", "--stages").returncode == 2
    assert venom(shared_engine, "logs", str(uuid4())).returncode == 1


def test_tasks_are_listed_in_80_columns_and_page_by_page(shared_engine: EngineProcess) -> None:
    """A pipe gets no colour and no line longer than 80; the next page's cursor is on stderr."""
    marker = uuid4().hex
    for _ in range(3):
        venom(shared_engine, "submit", f"{marker} {'long ' * 40}")
    listed = venom(shared_engine, "tasks", "--text", marker, "--limit", "2")
    lines = listed.stdout.splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in listed.stdout
    cursor = re.search(r"--cursor (\S+)", listed.stderr)
    assert cursor, listed.stderr
    rest = venom(shared_engine, "tasks", "--text", marker, "--cursor", cursor[1], "--json")
    assert len(json.loads(rest.stdout)) == 1
    none = venom(
        shared_engine, "tasks", "--text", marker, "--status", "FAILED", "--status", "ABORTED", "--json"
    )
    assert json.loads(none.stdout) == []


def test_a_piece_of_an_id_is_enough_when_it_is_unique(shared_engine: EngineProcess) -> None:
    """Its beginning or its end; one that fits several is refused with some of them."""
    first, second = (venom(shared_engine, "submit", "hello").stdout.strip() for _ in range(2))
    assert json.loads(venom(shared_engine, "show", first[-12:], "--json").stdout)["id"] == first
    assert first[:4] == second[:4], "ids begin with the time"
    ambiguous = venom(shared_engine, "show", first[:4])
    assert ambiguous.returncode == 1
    assert "could be any of" in ambiguous.stderr
    for nothing in ("zzzz", "abc", "ffff-ffff"):
        assert venom(shared_engine, "show", nothing).returncode == 1


def test_nodes_are_listed(shared_engine: EngineProcess) -> None:
    """As a table, and as JSON."""
    assert re.search(r"^local +online ", venom(shared_engine, "nodes").stdout, re.MULTILINE)
    nodes = json.loads(venom(shared_engine, "nodes", "--online", "--json").stdout)
    assert [node["is_online"] for node in nodes] == [True] * len(nodes)


def test_the_queue_is_controlled(engine_process: EngineStarter) -> None:
    """pause, resume, purge and stop, with what they did; the dangerous two need --yes without a terminal."""
    engine = engine_process("--no-local-node")
    assert venom(engine, "queue", "pause").returncode == 0
    paused = json.loads(venom(engine, "queue", "--json").stdout)
    assert paused["paused"] is True
    assert paused["paused_by"]
    venom(engine, "submit", "a")
    for dangerous in ("purge", "stop"):
        refused = venom(engine, "queue", dangerous, stdin=subprocess.DEVNULL)
        assert refused.returncode == 2
        assert "--yes" in refused.stderr
    assert json.loads(venom(engine, "queue", "status", "--json").stdout)["pending"] == 1
    assert json.loads(venom(engine, "queue", "purge", "--yes", "--json").stdout)["purged"] == 1
    venom(engine, "submit", "b")
    stopped = json.loads(venom(engine, "queue", "stop", "--yes", "--json").stdout)
    assert (stopped["purged"], stopped["paused"]) == (1, True)
    assert "STOPPED" in venom(engine, "queue").stdout
    assert json.loads(venom(engine, "queue", "resume", "--json").stdout)["paused"] is False


def test_on_a_terminal_the_dangerous_ones_ask(engine_process: EngineStarter) -> None:
    """They name how many; Enter alone means no; `y` means yes."""
    engine = engine_process("--no-local-node")
    venom(engine, "submit", "a")
    code, screen = on_a_terminal(engine, b"\n", "queue", "purge")
    assert code == 1
    assert "Abort the 1 task now waiting? [y/N]" in screen
    assert "Nothing was changed." in screen
    assert json.loads(venom(engine, "queue", "--json").stdout)["pending"] == 1
    code, screen = on_a_terminal(engine, b"y\n", "queue", "stop")
    assert code == 0, screen
    assert "abort 1 waiting? [y/N]" in screen
    assert json.loads(venom(engine, "queue", "--json").stdout)["stopped"] is True


def test_a_terminal_gets_harmless_text_and_a_pipe_the_true_bytes(shared_engine: EngineProcess) -> None:
    """What a task prints cannot steer the reader's terminal, and is not changed on its way into a file."""
    content = r"!printf 'a\033[2Jb\033]0;title\007c\n'"
    task_id = venom(shared_engine, "submit", "--wait", content).stdout.split()[0]
    assert venom(shared_engine, "logs", task_id).stdout == "a\x1b[2Jb\x1b]0;title\x07c\n"
    _, screen = on_a_terminal(shared_engine, b"", "logs", task_id)
    assert "abc" in screen
    assert "\x1b" not in screen


def test_watch_goes_on_across_a_restart(engine_process: EngineStarter) -> None:
    """No stored event is missed or told twice; it says that it lost and found the engine."""
    engine = engine_process("--no-local-node")
    with running(engine, "watch", "--json", "--after", "0") as command:
        assert command.stdout
        seen: list[dict[str, Any]] = []

        def until(task_id: str) -> None:
            assert command.stdout
            while not seen or seen[-1]["data"].get("task_id") != task_id:
                seen.append(json.loads(command.stdout.readline()))

        until(venom(engine, "submit", "before").stdout.strip())
        engine.restart()
        until(venom(engine, "submit", "after").stdout.strip())
        command.send_signal(signal.SIGINT)
        _, talk = command.communicate(timeout=30)
    numbers = [event["seq"] for event in seen]
    assert numbers == list(range(1, len(numbers) + 1))
    assert "went away" in talk
    assert "Connected again." in talk
    assert command.returncode == 130


def test_no_engine_is_exit_code_3(tmp_path: Path, shared_engine: EngineProcess) -> None:
    """Whatever the command; with what to do. A wrong token is a no: 1."""
    for arguments in (
        ["tasks"],
        ["submit", "x"],
        ["queue", "stop", "--yes"],
        ["watch"],
        ["show", str(uuid4())],
    ):
        there = venom(None, *arguments, "--engine", "http://127.0.0.1:1")
        assert (there.returncode, there.stdout) == (3, "")
        assert "venom-engine" in there.stderr
    nowhere = venom(None, "nodes", "--state-dir", str(tmp_path / "none"))
    assert nowhere.returncode == 3
    assert venom(shared_engine, "nodes", env={"VENOM_TOKEN": "wrong"}).returncode == 1


def test_an_engine_is_found_by_flag_and_by_environment(shared_engine: EngineProcess) -> None:
    """--engine and --token, VENOM_ENGINE and VENOM_TOKEN."""
    flags = ["--engine", shared_engine.url, "--token", shared_engine.token]
    assert venom(None, "queue", *flags).returncode == 0
    told = {"VENOM_ENGINE": shared_engine.url, "VENOM_TOKEN": shared_engine.token}
    assert venom(None, "queue", env=told).returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["submit"],
        ["submit", " "],
        ["submit", "x", "--priority", "11"],
        ["tasks", "--status", "NOPE"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    """Found before anything is sent."""
    misused = venom(None, *arguments)
    assert (misused.returncode, misused.stdout) == (2, "")
    assert misused.stderr


def test_a_reader_that_leaves_early_is_no_error(shared_engine: EngineProcess) -> None:
    """`venom tasks | head -1`."""
    venom(shared_engine, "submit", "hello")
    command = f"'{COMMAND[0]}' -m venom_engine.cli watch --after 0 | head -n 1"
    env = clean_environment(VENOM_STATE_DIR=str(shared_engine.state_dir))
    with subprocess.Popen(command, shell=True, env=env, text=True, stdout=-1, stderr=-1) as pipe:
        deadline = time.monotonic() + 40
        while pipe.poll() is None and time.monotonic() < deadline:
            venom(shared_engine, "submit", "hello")
        out, talk = pipe.communicate(timeout=10)
    assert len(out.splitlines()) == 1
    assert "Traceback" not in talk
    assert "BrokenPipe" not in talk


@pytest.mark.parametrize("command", EVERY)
def test_every_command_explains_itself_in_80_columns(command: str) -> None:
    """With an example."""
    told = venom(None, *command.split(), "--help", env={"COLUMNS": "80"})
    assert told.returncode == 0
    assert "Example:" in told.stdout
    assert f"venom {command.split()[0]}" in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 80
    assert "\x1b" not in told.stdout
