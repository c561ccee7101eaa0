"""The command `venom-spore` as its user has it: a process, its words, its exit code, and what it leaves."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.flow.nexus_helpers import Nexus
from tests.processes import clean_environment
from tests.unit.spore_helpers import a_marker, processes_with, until_running
from venom_engine.protocol.messages import Disconnect, NodeHandshake, NodeResponse, Stored

TOKEN = "a-secret-token"


class Spore:
    """A running `python -m spore`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def ended(self) -> tuple[int | None, str]:
        """Exit code and stderr, once it has ended by itself."""
        async with asyncio.timeout(30):
            _, said = await self.process.communicate()
        return self.process.returncode, said.decode()


@asynccontextmanager
async def a_spore(folder: Path, *arguments: str, **env: str) -> AsyncIterator[Spore]:
    """A Spore with folders of its own; gone when the block ends."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    values = {"HOME": str(folder), "XDG_STATE_HOME": str(folder / "xdg"), **env}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "spore", "--state-dir", str(folder / "state"), *arguments),
        cwd=folder,
        env=clean_environment(**values),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Spore(process)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.communicate()


def arguments_of(pid: int) -> bytes:
    """What everybody on the machine can see."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()


@pytest.fixture
async def nexus() -> AsyncIterator[Nexus]:
    nexus = Nexus()
    await nexus.up()
    yield nexus
    await nexus.down()


async def test_help_shows_an_example_and_the_safe_ways_to_give_the_token() -> None:
    """A newcomer needs nothing else."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "spore", "--help", stdout=asyncio.subprocess.PIPE, env=clean_environment()
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    for word in (b"example:", b"--nexus URL", b"SPORE_SHARED_TOKEN", b"@FILE", b"process list"):
        assert word in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--nexus", "ftp://engine"], "'ftp://engine' is no address of an engine"),
        (["--nexus", "ws://engine.example:8000"], "No token. Set SPORE_SHARED_TOKEN"),
        (["--slots", "0"], "SPORE_SLOTS (or its option): Input should be greater"),
        (["--slots", "many"], "SPORE_SLOTS (or its option)"),
        (["--tag", "two words"], "SPORE_NODE_TAGS (or its option)"),
        (["--skills", "not_there"], "'not_there' cannot be imported"),
        (["--token", "@not-there"], "not-there cannot be read"),
        (["--what"], "unrecognized arguments"),
    ],
)
async def test_wrong_usage_is_told_in_a_line_with_exit_code_2(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    """No traceback, and the token of --token is never repeated."""
    async with a_spore(tmp_path / "spore", *arguments) as spore:
        code, stderr = await spore.ended()
    assert (code, said in stderr, "Traceback" in stderr) == (2, True, False), stderr


async def test_a_wrong_token_ends_the_node_with_advice(nexus: Nexus, tmp_path: Path) -> None:
    """Exit 1 after one try; the token is in no line of the log."""
    async with a_spore(tmp_path / "spore", "--nexus", nexus.url, SPORE_SHARED_TOKEN=TOKEN) as spore:
        visit = await nexus.visit()
        await visit.hear(NodeHandshake)
        await visit.leave(1008, "wrong token")
        code, said = await spore.ended()
    assert code == 1 and "refused this node: wrong token" in said and "NEXUS_SHARED_TOKEN" in said
    assert TOKEN not in said and "Traceback" not in said


@pytest.mark.parametrize("way", ["environment", "option", "file", "state folder", ".env"])
async def test_the_token_is_found_where_it_may_be_given(nexus: Nexus, tmp_path: Path, way: str) -> None:
    """All ways but one keep it out of the process list."""
    folder, arguments, env = tmp_path / "spore", [], {}
    folder.mkdir()
    match way:
        case "environment":
            env["SPORE_SHARED_TOKEN"] = TOKEN
        case "option":
            arguments += ["--token", TOKEN]
        case "file":
            (folder / "token").write_text(TOKEN + "\n")
            arguments += ["--token", "@token"]
        case "state folder":
            (tmp_path / "node-token").write_text(TOKEN + "\n")
            env["VENOM_STATE_DIR"] = str(tmp_path)
        case ".env":
            (folder / ".env").write_text(f"SPORE_SHARED_TOKEN={TOKEN}\n")
    async with a_spore(folder, "--nexus", nexus.url, *arguments, **env) as spore:
        visit = await nexus.visit()
        handshake = await visit.welcome()
        cmdline = arguments_of(spore.process.pid)
    assert handshake.token == TOKEN
    assert (TOKEN.encode() in cmdline) == (way == "option")


async def test_options_reach_the_handshake_and_an_engine_s_http_address_will_do(
    nexus: Nexus, tmp_path: Path
) -> None:
    """Name, tags, slots, skills of the folder where it was started."""
    folder = tmp_path / "spore"
    folder.mkdir()
    (folder / "mine.py").write_text("from venom_engine import skill\n@skill\ndef double(n): return 2 * n\n")
    url = f"http://127.0.0.1:{nexus.port}"
    options = ["--name", "gpu-1", "--tag", "gpu", "--tag", "lab", "--slots", "3", "--skills", "mine"]
    async with a_spore(folder, "--nexus", url, *options, SPORE_SHARED_TOKEN=TOKEN):
        visit = await nexus.visit()
        handshake = await visit.welcome()
        assert visit.socket.request is not None and visit.socket.request.path == "/ws/nodes"
    found = handshake.capabilities
    assert (handshake.node_name, found.tags, found.slots) == ("gpu-1", ("gpu", "lab"), 3)
    assert found.skills == ("Echo", "ShellSkill", "FileSkill", "double")


async def test_two_spores_on_one_state_folder_are_one_too_many(nexus: Nexus, tmp_path: Path) -> None:
    """The second is told, and the first is not disturbed."""
    args = ("--nexus", nexus.url)
    async with a_spore(tmp_path / "spore", *args, SPORE_SHARED_TOKEN=TOKEN) as first:
        await (await nexus.visit()).welcome()
        async with a_spore(tmp_path / "spore", *args, SPORE_SHARED_TOKEN=TOKEN) as second:
            code, said = await second.ended()
        assert code == 1 and "Another Spore" in said and "--state-dir" in said
        assert first.process.returncode is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_well(nexus: Nexus, tmp_path: Path, number: signal.Signals) -> None:
    """Processes killed, the task interrupted, DISCONNECT said, exit code 0."""
    marker = a_marker()
    async with a_spore(tmp_path / "spore", "--nexus", nexus.url, SPORE_SHARED_TOKEN=TOKEN) as spore:
        visit = await nexus.visit()
        await visit.welcome()
        request_id = await visit.shell(f"setsid sleep {marker} & sleep {marker}")
        await until_running(marker, 2)
        spore.process.send_signal(number)
        response = await visit.hear(NodeResponse)
        assert processes_with(marker) == []
        await visit.say(Stored(responses=(request_id,)))
        await visit.hear(Disconnect)
        code, said = await spore.ended()
    assert response.outcome == "interrupted"
    assert code == 0 and "Traceback" not in said, said


async def test_a_second_signal_does_not_wait_for_the_drain(nexus: Nexus, tmp_path: Path) -> None:
    """An operator in a hurry presses Ctrl-C twice."""
    settings = {"SPORE_SHARED_TOKEN": TOKEN, "SPORE_DRAIN_SECONDS": "300"}
    async with a_spore(tmp_path / "spore", "--nexus", nexus.url, **settings) as spore:
        visit = await nexus.visit()
        await visit.welcome()
        request_id = await visit.shell("sleep 300")
        for _ in range(2):
            spore.process.send_signal(signal.SIGINT)
            await asyncio.sleep(0.1)  # two signals at once are one
        assert (await visit.hear(NodeResponse)).outcome == "interrupted"
        await visit.say(Stored(responses=(request_id,)))
        assert (await spore.ended())[0] == 0


async def test_a_killed_spore_s_processes_end_and_its_last_answers_are_offered_at_the_next_start(
    nexus: Nexus, tmp_path: Path
) -> None:
    """kill -9 while the engine is away: the answer is on disk, and no orphan outlives the next start."""
    marker, args = a_marker(), ("--nexus", nexus.url)
    shelf = tmp_path / "spore/state/outbox"
    async with a_spore(tmp_path / "spore", *args, SPORE_SHARED_TOKEN=TOKEN) as first:
        visit = await nexus.visit()
        node_id = (await visit.welcome()).node_id
        await visit.shell(f"setsid sleep {marker} & sleep {marker}")
        ends = await visit.shell(f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo done")
        await until_running(marker, 2)
        await nexus.down()
        (tmp_path / "go").touch()
        async with asyncio.timeout(20):
            while not list(shelf.glob("*.json")):
                await asyncio.sleep(0.01)
        first.process.kill()
        await first.process.wait()
    await nexus.up()
    async with a_spore(tmp_path / "spore", *args, SPORE_SHARED_TOKEN=TOKEN):
        again = await nexus.visit()
        handshake = await again.welcome()
        assert processes_with(marker) == []
        response = await again.hear(NodeResponse)
        await again.say(Stored(responses=(ends,)))
    assert handshake.node_id == node_id
    assert [held.request_id for held in handshake.held] == [ends]
    assert (response.request_id, response.success, again.text()) == (ends, True, "done\n")
    assert list(shelf.iterdir()) == []


async def test_it_waits_for_an_engine_that_starts_later_and_logs_json_if_asked(
    nexus: Nexus, tmp_path: Path
) -> None:
    """Every line of stderr is an object; the tries are told without a flood."""
    await nexus.down()
    args = ("--nexus", nexus.url, "--log-format", "json")
    async with a_spore(tmp_path / "spore", *args, SPORE_SHARED_TOKEN=TOKEN) as spore:
        assert spore.process.stderr is not None
        lines: list[dict[str, str]] = []
        async with asyncio.timeout(20):
            while not lines or "Trying again" not in lines[-1]["message"]:
                lines.append(json.loads(await spore.process.stderr.readline()))
        await nexus.up()
        await (await nexus.visit()).welcome()
        spore.process.terminate()
        _, said = await spore.ended()
    lines += [json.loads(line) for line in said.splitlines()]
    assert {"timestamp", "level", "logger", "message"} <= lines[0].keys()
    assert sum("Trying again" in line["message"] for line in lines) == 1
