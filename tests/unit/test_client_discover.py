"""Finding an engine and its token; starting one in the background."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import EngineProcess, EngineStarter
from venom_engine.client.discover import (
    answers,
    find_engine,
    resolve,
    start_background,
    stop_background,
    surroundings,
)
from venom_engine.protocol.errors import BadRequest, EngineUnreachable, VenomError
from venom_engine.store.folder import TOKEN, owned_folder, write_private


@pytest.fixture
def announced(state_dir: Path) -> Iterator[Path]:
    """A state folder whose owner, this process, says that it listens; its token is `local`."""
    with owned_folder(state_dir) as folder:
        write_private(state_dir / TOKEN, "local\n")
        folder.announce("http://127.0.0.1:4711")
        yield state_dir


def test_the_engine_of_the_state_folder_is_found_with_its_token(announced: Path) -> None:
    """Nothing has to be said when there is one on this machine."""
    assert resolve(state_dir=announced) == ("http://127.0.0.1:4711", "local")
    found = find_engine(announced)
    assert found is not None
    assert found.pid == os.getpid()


def test_what_is_said_goes_before_what_is_found(
    announced: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Argument, environment, .env, state folder: in this order."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("VENOM_ENGINE=http://from-dotenv:1\nVENOM_TOKEN=dotenv\n")
    assert resolve(state_dir=announced) == ("http://from-dotenv:1", "dotenv")
    monkeypatch.setenv("VENOM_ENGINE", "from-env:2")
    monkeypatch.setenv("VENOM_TOKEN", "env")
    assert resolve(state_dir=announced) == ("http://from-env:2", "env")
    assert resolve("said:3", "said", announced) == ("http://said:3", "said")


def test_the_state_folder_itself_may_come_from_the_environment(
    announced: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VENOM_STATE_DIR."""
    monkeypatch.setenv("VENOM_STATE_DIR", str(announced))
    assert surroundings().state_dir == announced
    assert resolve()[0] == "http://127.0.0.1:4711"


def test_the_local_token_is_not_handed_to_another_machine(announced: Path) -> None:
    """Only the folder's own engine, or one on loopback, gets the token of the folder."""
    assert resolve("http://elsewhere.example:8000", None, announced)[1] is None
    assert resolve("http://localhost:8000", None, announced)[1] == "local"
    assert resolve("http://elsewhere.example:8000", "mine", announced)[1] == "mine"


def test_no_engine_is_said_with_a_way_out(state_dir: Path) -> None:
    """Exit code 3 for commands: EngineUnreachable, also while the owner serves nobody."""
    with pytest.raises(EngineUnreachable, match="venom-engine"):
        resolve(state_dir=state_dir)
    with owned_folder(state_dir), pytest.raises(EngineUnreachable, match=f"pid {os.getpid()}"):
        resolve(state_dir=state_dir)


def test_an_address_that_is_none_is_refused(announced: Path) -> None:
    """Before anything is sent."""
    with pytest.raises(BadRequest):
        resolve("ftp://x", None, announced)


def test_a_background_engine_starts_answers_and_stops(state_dir: Path) -> None:
    """It owns the folder, has a session of its own, is found again, and is gone after a stop."""
    try:
        engine = start_background(state_dir)
        assert engine.url
        assert answers(engine.url)
        assert os.getsid(engine.pid) == engine.pid
        assert start_background(state_dir) == engine
        assert find_engine(state_dir) == engine
    finally:
        stop_background(state_dir)
    assert find_engine(state_dir) is None
    assert not answers(engine.url)
    assert f"ready on {engine.url}" in (state_dir / "engine.log").read_text()
    assert (state_dir / "engine.log").stat().st_mode & 0o077 == 0
    stop_background(state_dir)  # harmless when none runs


def test_an_engine_that_does_not_come_up_says_why(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error holds the end of this start's log, not of an earlier one."""
    monkeypatch.setenv("MAX_CONCURRENT_TASKS", "0")
    state_dir.mkdir()
    (state_dir / "engine.log").write_text("an old line\n")
    with pytest.raises(VenomError) as failed:
        start_background(state_dir)
    assert "MAX_CONCURRENT_TASKS cannot be used" in failed.value.what
    assert "an old line" not in failed.value.what
    assert str(state_dir / "engine.log") in failed.value.do


def test_a_large_log_begins_anew(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one before is kept beside it."""
    monkeypatch.setenv("MAX_CONCURRENT_TASKS", "0")
    state_dir.mkdir()
    with (state_dir / "engine.log").open("wb") as log:
        log.truncate(11 * 1024 * 1024)
    with pytest.raises(VenomError):
        start_background(state_dir)
    assert (state_dir / "engine.log").stat().st_size < 100_000
    assert (state_dir / "engine.log.1").stat().st_size == 11 * 1024 * 1024


def test_a_program_that_is_no_engine_does_not_answer(shared_engine: EngineProcess) -> None:
    """Only `/healthz` of an engine counts."""
    assert answers(shared_engine.url)
    assert not answers(f"{shared_engine.url}/docs")
    assert not answers("http://127.0.0.1:1")


def test_an_engine_killed_leaves_no_trace_of_itself(engine_process: EngineStarter, state_dir: Path) -> None:
    """engine.json is still there, but nobody holds the folder: there is no engine."""
    engine = engine_process()
    assert find_engine(state_dir) is not None
    engine.kill()
    assert (state_dir / "engine.json").exists()
    assert find_engine(state_dir) is None
