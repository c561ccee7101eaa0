"""The console as a process on a real terminal, against an engine in another process."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import EngineStarter
from tests.console.terminal import terminal
from tests.processes import REPO, EngineProcess, clean_environment
from venom_engine.client.discover import find_engine, stop_background
from venom_engine.client.remote import RemoteClient
from venom_engine.protocol.task import TaskRequest

CTRL_C, CTRL_L = "\x03", "\x0c"


def opened_on(engine: EngineProcess, *arguments: str) -> list[str]:
    return ["--engine", engine.url, "--state-dir", str(engine.state_dir), *arguments]


async def submit(engine: EngineProcess, *contents: str) -> None:
    async with RemoteClient(engine.url, engine.token) as client:
        for content in contents:
            await client.submit(TaskRequest(content=content))


@contextmanager
def port_8000_taken() -> Iterator[None]:
    """A background engine likes port 8000; a test leaves that to others."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            holder.bind(("127.0.0.1", 8000))
            holder.listen()
        except OSError:
            pass  # Somebody has it already, which is as good.
        yield


async def test_ctrl_l_mends_a_screen_that_something_else_wrote_on(engine_process: EngineStarter) -> None:
    """Whatever another program left on the terminal, a full repaint replaces every cell."""
    engine = engine_process("--no-local-node")
    await submit(engine, *(f"task {n}" for n in range(40)))
    with terminal(*opened_on(engine)) as term:
        term.until("40 waiting")
        term.until_still()
        clean = term.cells()
        term.spoil()

        term.press(CTRL_L)

        term.until(lambda: term.cells() == clean)


async def test_without_utf8_every_byte_is_ascii(engine_process: EngineStarter) -> None:
    """In the C locale glyphs, borders and the text of tasks become ASCII, each cell in its place."""
    engine = engine_process()
    await submit(engine, "żółw 字")
    with terminal(*opened_on(engine), LANG="C", LC_ALL="C") as term:
        term.until("???w ??")
        term.until("> RUNNING")
        term.press("?")
        term.until("Anywhere")
    assert term.sent.isascii()


async def test_no_color_sends_no_colour(engine_process: EngineStarter) -> None:
    """NO_COLOR: attributes only; where the cursor is can still be seen."""
    engine = engine_process()
    await submit(engine, "hello")
    with terminal(*opened_on(engine), NO_COLOR="1") as term:
        term.until("D done")
        term.press("n")
        term.until("New task")
        assert any(cell[4] for row in term.cells() for cell in row)
    assert not re.search(rb"\x1b\[[0-9;]*\b[34]8;[25];", term.sent)


def test_the_first_picture_comes_before_textual(tmp_path: Path) -> None:
    """The skeleton is the first thing that is sent."""
    with terminal("--engine", "http://127.0.0.1:9", "--state-dir", str(tmp_path)) as term:
        term.until(lambda: b"connecting" in term.sent)
        first = term.sent
        assert first.startswith(b"\x1b[?1049h") and b"1 Tasks" in first
        term.until("CONNECTION LOST")


def test_a_small_terminal_is_told_and_recovers(tmp_path: Path) -> None:
    """Also as a process, through the signal of a real resize, and whatever size a shell has exported."""
    address = ["--engine", "http://127.0.0.1:9", "--state-dir", str(tmp_path)]
    with terminal(*address, size=(30, 8), COLUMNS="80", LINES="24") as term:
        term.until("needs 40x10")
        term.resize(100, 30)
        term.until("1 Tasks")


@pytest.mark.parametrize("way", ["q", CTRL_C, "TERM"])
def test_however_it_ends_the_terminal_is_as_before(engine_process: EngineStarter, way: str) -> None:
    """`q`, ctrl+c and a signal: exit code 0, settings, screen and cursor restored, the engine untouched."""
    engine = engine_process()
    with terminal(*opened_on(engine)) as term:
        term.until("RUNNING")
        if way == "TERM":
            term.process.send_signal(signal.SIGTERM)
        else:
            term.press(way)
        assert term.wait() == 0
        assert term.is_restored()
    assert engine.exit_code is None


@pytest.mark.parametrize(("answer", "goes_on"), [("y", True), ("n", False)])
def test_an_engine_that_it_started_goes_on_or_not_as_told(tmp_path: Path, answer: str, goes_on: bool) -> None:
    """Without an engine it starts one in the background, and on the way out asks about it."""
    state = tmp_path / "state"
    with port_8000_taken(), terminal("--state-dir", str(state)) as term:
        try:
            term.until("RUNNING")
            term.press("n")
            term.until("New task")
            term.press("!echo it works\r")
            term.until("D done")
            term.press("q")
            term.until("Does the engine go on?")
            term.until_still()
            term.press(answer)
            assert term.wait() == 0
            assert (find_engine(state) is not None) is goes_on
        finally:
            stop_background(state)


async def test_an_engine_that_went_away_is_said_and_found_again(engine_process: EngineStarter) -> None:
    """Killed under the open console: it says so and how old the picture is, keeps it, and comes back by itself."""
    engine = engine_process()
    await submit(engine, "before the crash")
    with terminal(*opened_on(engine)) as term:
        term.until("before the crash")
        term.until("D done")

        engine.kill()
        term.until("CONNECTION LOST, picture ")
        assert "before the crash" in term.text
        term.press("p")
        term.until("There is no connection to the engine.")

        engine.restart()
        await submit(engine, "after the crash")
        term.until("● live")
        term.until("after the crash")


def without_terminal(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "venom_tui", *arguments],
        cwd=REPO,
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_redirected_it_says_why_and_what_else_there_is() -> None:
    """No terminal: exit code 2 and a sentence, nothing on stdout."""
    done = without_terminal()

    assert done.returncode == 2
    assert "needs a terminal" in done.stderr and done.stdout == ""


def test_an_unknown_flag_is_refused_before_anything_is_painted() -> None:
    """Wrong usage: exit code 2, the flag named."""
    done = without_terminal("--colour")

    assert done.returncode == 2
    assert "--colour" in done.stderr and "\x1b" not in done.stderr
