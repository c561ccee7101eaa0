"""ShellSkill: what a command prints is seen while it runs, and nothing of it is left when it ends."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from spore.skills.processes import MARK, Marks
from spore.skills.shell import TAIL_BYTES
from tests.unit.spore_helpers import Bench, a_marker, a_request, processes_with, until_running
from venom_engine.protocol.messages import NodeResponse


def result_of(response: NodeResponse) -> dict[str, Any]:
    assert isinstance(response.result, dict), response
    return response.result


async def test_a_command_line_is_run_by_a_shell_in_the_workspace(tmp_path: Path) -> None:
    """Exit code, stdout and stderr come back; pipes and quotes work."""
    response = await Bench(tmp_path).shell("pwd; echo 'a  b' | tr a-z A-Z; echo oh >&2")
    assert response.success
    assert response.result == {"exit_code": 0, "stdout": f"{tmp_path}\nA  B\n", "stderr": "oh\n"}


async def test_a_list_is_a_program_and_its_arguments_without_a_shell(tmp_path: Path) -> None:
    """Nothing in an argument is interpreted."""
    response = await Bench(tmp_path).shell(["echo", "$HOME; ls", "*"])
    assert result_of(response)["stdout"] == "$HOME; ls *\n"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("  \n", "must not be blank"),
        ([], "must not be blank"),
        (["", "x"], "must not be blank"),
        ("echo a\0b", "zero byte"),
        (["no-such-program-here"], "no-such-program-here cannot be started"),
        ({"rm": "-rf"}, "command: Input should be"),
        ("echo " + "x" * 200_000, "cannot be started: Argument list too long"),
    ],
)
async def test_a_command_that_is_none_says_so(tmp_path: Path, command: Any, said: str) -> None:
    """Before anything has started."""
    response = await Bench(tmp_path).shell(command)
    assert not response.success and said in (response.error or "")


async def test_another_exit_code_than_zero_is_a_failure_with_the_last_words_of_stderr(tmp_path: Path) -> None:
    """The error says what an operator would look for; the result has the rest."""
    response = await Bench(tmp_path).shell("echo out; echo 'no such tooth' >&2; exit 3")
    assert (response.success, response.error) == (False, "exit code 3: no such tooth")
    assert result_of(response) == {"exit_code": 3, "stdout": "out\n", "stderr": "no such tooth\n"}


async def test_a_command_killed_by_a_signal_names_it(tmp_path: Path) -> None:
    """SIGSEGV is more telling than -11."""
    assert (await Bench(tmp_path).shell("kill -SEGV $$")).error == "killed by SIGSEGV"


async def test_lines_are_seen_while_the_command_runs(tmp_path: Path) -> None:
    """The first line is out although the command waits for us before it prints the second."""
    bench, go = Bench(tmp_path), tmp_path / "go"
    os.mkfifo(go)
    request_id = bench.start_shell(f"echo one; read line < {go}; echo $line; echo err >&2")
    await bench.printed(request_id, "one\n")
    await asyncio.to_thread(go.write_text, "two\n")

    assert (await bench.answer(request_id)).success
    assert bench.output(request_id, "stdout") == "one\ntwo\n"
    assert bench.output(request_id, "stderr") == "err\n"
    assert [piece.n for piece in bench.pieces[request_id]] == list(
        range(1, len(bench.pieces[request_id]) + 1)
    )


async def test_a_character_that_comes_in_two_parts_is_put_together(tmp_path: Path) -> None:
    """And bytes that are no UTF-8 become a mark, not an error."""
    bench = Bench(tmp_path)
    request_id = bench.start_shell(
        r"printf '\xc4'; sleep 0.1; printf '\x85\n'; printf 'bad \xff bytes'; printf '\xc4'"
    )
    response = await bench.answer(request_id)
    assert bench.output(request_id) == "ą\nbad \N{REPLACEMENT CHARACTER} bytes\N{REPLACEMENT CHARACTER}"
    assert result_of(response)["stdout"] == bench.output(request_id)


async def test_the_environment_holds_no_secret_and_the_input_is_empty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tokens of the node, and whatever else its owner has set, do not reach a task."""
    for name in ("SPORE_SHARED_TOKEN", "VENOM_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "hunter2")
    monkeypatch.setenv("LC_TIME", "C.UTF-8")
    bench = Bench(tmp_path)
    request = a_request(
        "ShellSkill", parameters={"command": "cat; env; tr '\\0' '\\n' < /proc/$$/environ"}, task_id="t-1"
    )
    response = await bench.answer(bench.start(request))

    stdout = result_of(response)["stdout"]
    assert "hunter2" not in stdout
    names = {line.split("=")[0] for line in stdout.splitlines()}
    assert names >= {"PATH", "TERM", "LC_TIME", "VENOM_TASK_ID", "VENOM_ATTEMPT", MARK}
    assert "VENOM_TASK_ID=t-1\n" in stdout and "VENOM_ATTEMPT=1\n" in stdout


async def test_a_flood_of_output_is_carried_whole_and_only_its_tail_is_kept_as_result(tmp_path: Path) -> None:
    """30 MB go by; the result holds the last 64 KB, the outbox never more than its bound."""
    bench = Bench(tmp_path)
    request_id = bench.start_shell("yes 0123456789abcde | head -c 30000000; echo; echo end")
    response = await bench.answer(request_id)

    assert len(bench.output(request_id)) == 30_000_005
    stdout = result_of(response)["stdout"]
    assert stdout.endswith("\nend\n") and TAIL_BYTES - 4 <= len(stdout) <= TAIL_BYTES


async def test_a_command_over_its_time_is_killed_with_its_children(tmp_path: Path) -> None:
    """The skill's own `timeout` parameter: a failure that names it, and nothing left."""
    marker = a_marker()
    response = await Bench(tmp_path).shell(f"echo before; sleep {marker} & sleep {marker}", timeout=0.3)
    assert (response.success, response.error) == (False, "timed out after 0.3 s")
    assert result_of(response)["stdout"] == "before\n"
    assert processes_with(marker) == []


async def test_a_limit_of_no_seconds_is_refused(tmp_path: Path) -> None:
    """A mistake, not a limit."""
    response = await Bench(tmp_path).shell("echo x", timeout=-1)
    assert not response.success and "above 0" in (response.error or "")


async def test_the_request_s_limit_kills_everything_too(tmp_path: Path) -> None:
    """Also children in sessions of their own."""
    bench, marker = Bench(tmp_path), a_marker()
    request_id = bench.start_shell(f"setsid sleep {marker} & sleep {marker}", timeout=0.3)
    assert (await bench.answer(request_id)).outcome == "timeout"
    assert processes_with(marker) == []


async def test_background_children_that_hold_the_pipes_do_not_hold_the_task(tmp_path: Path) -> None:
    """The task ends with its command; what it left is stopped, and the output says so."""
    bench, marker = Bench(tmp_path), a_marker()
    request_id = bench.start_shell(f"sleep {marker} & echo started")
    response = await bench.answer(request_id)

    assert response.success and result_of(response)["stdout"] == "started\n"
    assert "1 process that the command left behind" in bench.output(request_id, "system")
    assert processes_with(marker) == []


async def test_a_daemon_that_lets_go_of_the_pipes_ends_with_the_task_too(tmp_path: Path) -> None:
    """Its own session, no pipe of ours: found by its mark."""
    bench, marker = Bench(tmp_path), a_marker()
    request_id = bench.start_shell(f"setsid sleep {marker} > /dev/null 2>&1 < /dev/null & echo started")
    assert (await bench.answer(request_id)).success
    assert "left behind" in bench.output(request_id, "system")
    assert processes_with(marker) == []


async def test_a_service_that_drops_the_mark_may_stay(tmp_path: Path) -> None:
    """The documented way to start something that is to outlive its task."""
    bench, marker = Bench(tmp_path), a_marker()
    response = await bench.shell(f"{MARK}= setsid sleep {marker} > /dev/null 2>&1 & sleep 0.1")
    (service,) = processes_with(marker)
    os.kill(service, signal.SIGKILL)
    assert response.success


@pytest.mark.parametrize(
    "command",
    [
        "sleep {m} & sleep {m}",
        "setsid sleep {m} & sleep {m}",
        "(setsid sleep {m} &); sleep {m}",
        "nohup sleep {m} & sleep {m}",
        "env -i setsid sleep {m} & sleep {m}",
        "(env -i setsid sleep {m} &); sleep {m}",
        "trap '' TERM; (trap '' TERM; sleep {m}) & sleep {m}; sleep {m}",
        "set -m; sleep {m} & sleep {m}",
    ],
)
async def test_after_an_abort_no_process_of_the_task_is_left(tmp_path: Path, command: str) -> None:
    """Background, own session, double fork, emptied environment, deaf to TERM, job control: all gone."""
    bench, marker = Bench(tmp_path), a_marker()
    request_id = bench.start_shell(command.format(m=marker))
    await until_running(marker, 2)

    bench.abort(request_id, grace=0.3)

    assert (await bench.answer(request_id)).outcome == "aborted"
    assert processes_with(marker) == []


async def test_a_command_may_clean_up_after_term_and_its_last_words_are_heard(tmp_path: Path) -> None:
    """TERM first, then a grace: KILL is for those who need it."""
    bench = Bench(tmp_path)
    request_id = bench.start_shell("trap 'echo cleaning up; exit 0' TERM; echo ready; sleep 300 & wait")
    await bench.printed(request_id, "ready")
    bench.abort(request_id, grace=5)

    assert (await bench.answer(request_id)).outcome == "aborted"
    assert "cleaning up\n" in bench.output(request_id)


async def test_a_stopped_process_is_ended_too(tmp_path: Path) -> None:
    """SIGSTOP does not shelter it."""
    bench, marker = Bench(tmp_path), a_marker()
    request_id = bench.start_shell(f"sleep {marker} & sleep {marker}")
    await until_running(marker, 2)
    for pid in processes_with(marker):
        os.kill(pid, signal.SIGSTOP)
    bench.abort(request_id)
    await bench.answer(request_id)
    assert processes_with(marker) == []


async def test_a_process_that_forks_on_and_on_is_ended(tmp_path: Path) -> None:
    """Each copy starts the next in a new session and exits: a moving target, but a marked one."""
    hare, track = tmp_path / "hare.py", tmp_path / "track"
    hare.write_text(
        "import os, time\n"
        f"track = os.open({str(track)!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "for _ in range(2000):\n"
        "    os.write(track, b'.')\n"
        "    if os.fork(): os._exit(0)\n"
        "    os.setsid(); time.sleep(0.005)\n"
    )
    bench = Bench(tmp_path)
    request_id = bench.start_shell(f"{sys.executable} {hare} & sleep 300")
    async with asyncio.timeout(20):
        while length(track) < 10:
            await asyncio.sleep(0.005)

    bench.abort(request_id, grace=0.1)
    response = await bench.answer(request_id)

    assert (response.outcome, response.error) == ("aborted", "aborted")
    end = length(track)
    await asyncio.sleep(0.3)  # long enough for a survivor to leave a trace
    assert length(track) == end


def length(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


async def test_an_abort_does_not_touch_the_neighbour(tmp_path: Path) -> None:
    """Two tasks of one node are two trees."""
    bench, mine, other = Bench(tmp_path), a_marker(), a_marker()
    first, second = bench.start_shell(f"sleep {mine}"), bench.start_shell(f"sleep {other}")
    await until_running(mine, 1)
    await until_running(other, 1)

    bench.abort(first)
    await bench.answer(first)

    assert processes_with(mine) == [] and len(processes_with(other)) == 1
    await bench.runner.close(drain=0)
    assert (await bench.answer(second)).outcome == "interrupted"
    assert processes_with(other) == []


async def test_an_abort_gets_through_while_the_engine_stores_nothing(tmp_path: Path) -> None:
    """The skill waits for room in the outbox; that must not keep it from being stopped."""
    bench, marker = Bench(tmp_path), a_marker()
    request_id = bench.start_shell(f"sleep {marker} & yes")
    while not bench.outbox.is_full(request_id):
        await asyncio.sleep(0.005)
    bench.abort(request_id, grace=0.2)
    await bench.runner.close(drain=10)
    assert processes_with(marker) == []
    assert (await bench.answer(request_id)).outcome == "aborted"


async def test_a_sweep_ends_what_an_earlier_run_of_the_node_left_and_nothing_else(tmp_path: Path) -> None:
    """After kill -9 of the agent: its orphans go, those of another node stay, and so do this run's own."""
    mine, other, own = a_marker(), a_marker(), a_marker()
    now = Marks("node/1 é")
    trees = {mine: Marks("node/1 é").new_tree(), other: Marks("node").new_tree(), own: now.new_tree()}
    sleepers = {
        marker: await asyncio.create_subprocess_exec(
            "sleep", marker, env={**os.environ, **tree.environment()}, start_new_session=True
        )
        for marker, tree in trees.items()
    }
    try:
        swept = await now.sweep()
        assert swept.count == 1
        assert await sleepers[mine].wait() == -signal.SIGKILL
        assert len(processes_with(other)) == len(processes_with(own)) == 1
    finally:
        for marker in (other, own):
            await trees[marker].stop(grace=0)
            await sleepers[marker].wait()
