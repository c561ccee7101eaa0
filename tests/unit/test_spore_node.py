"""What a node knows about itself: its machine, its identity, its settings, and the way to its engine."""

import os
import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from spore.capabilities import LoadMeter, node_capabilities
from spore.errors import NodeIdentityHeld
from spore.identity import ID_FILE, owned_identity
from spore.link_nexus import is_loopback, nexus_url
from spore.parcel import Parcel
from spore.settings import SporeSettings
from spore.shelf import Shelf, shelved
from venom_engine import __version__
from venom_engine.protocol.errors import BadRequest, StateUnusable
from venom_engine.protocol.messages import NodeResponse


def test_capabilities_tell_what_the_machine_has() -> None:
    """Cores, memory, platform, and what the node was told: skills, tags once each, slots."""
    found = node_capabilities(["Echo"], tags=["gpu", "lab", "gpu"], slots=3)
    assert (found.skills, found.tags, found.slots) == (("Echo",), ("gpu", "lab"), 3)
    assert found.cpu_cores == os.cpu_count() and found.memory_mb > 100
    assert (found.platform, found.version) == ("linux", __version__)


def test_docker_and_gpu_are_found_by_their_tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A `docker` and an `nvidia-smi` on PATH are enough."""
    for tool in ("docker", "nvidia-smi"):
        (tmp_path / tool).write_text("#!/bin/sh\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = node_capabilities(["Echo"])
    assert found.has_docker and found.has_gpu


def test_load_is_a_share_of_the_whole_machine() -> None:
    """0.0 to 1.0, also when asked twice in a row."""
    meter = LoadMeter()
    for cpu, memory in (meter.read(), meter.read()):
        assert 0.0 <= cpu <= 1.0 and 0.0 < memory <= 1.0


def test_the_node_id_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """A node that starts again is the same node."""
    folder = tmp_path / "state"
    with owned_identity(folder) as first:
        pass
    with owned_identity(folder) as second:
        assert first == second
    assert stat.S_IMODE((folder / ID_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_two_spores_do_not_share_a_state_folder(tmp_path: Path) -> None:
    """They would end each other's sessions and tasks; the message says what to do."""
    with (
        owned_identity(tmp_path),
        pytest.raises(NodeIdentityHeld, match="--state-dir"),
        owned_identity(tmp_path),
    ):
        pass


def test_a_damaged_identity_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    """A new identity would orphan tasks, so the operator decides."""
    (tmp_path / ID_FILE).write_text("two words\n")
    with pytest.raises(StateUnusable, match="no node id"), owned_identity(tmp_path):
        pass
    assert (tmp_path / ID_FILE).read_text() == "two words\n"


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """With the reason, and the option that helps."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnusable, match="--state-dir"), owned_identity(tmp_path / "file" / "state"):
        pass


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("ws://engine:8000", "ws://engine:8000/ws/nodes"),
        ("wss://engine/", "wss://engine/ws/nodes"),
        ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/ws/nodes"),
        ("https://host/venom/", "wss://host/venom/ws/nodes"),
        ("http://host/ws/nodes", "ws://host/ws/nodes"),
        ("ws://host:1/other/door", "ws://host:1/other/door"),
        ("http://[::1]:8000", "ws://[::1]:8000/ws/nodes"),
    ],
)
def test_an_address_of_the_engine_leads_to_its_nodes_door(given: str, url: str) -> None:
    """ws, wss, or what a browser would be given."""
    assert nexus_url(given) == url


@pytest.mark.parametrize(
    "given", ["", "engine:8000", "ftp://engine", "ws://", "ws://[::1", "ws://h:99999", "ws://h:0"]
)
def test_what_is_no_address_is_refused(given: str) -> None:
    """With the form that it should have."""
    with pytest.raises(BadRequest, match="ws://HOST:PORT"):
        nexus_url(given)


@pytest.mark.parametrize(
    "given", ["ws://:secret@engine", "ws://me@engine", "ws://engine/?token=t", "ws://engine#t"]
)
def test_a_secret_in_the_address_is_refused(given: str) -> None:
    """It would stand in the process list and in logs."""
    with pytest.raises(BadRequest, match="SPORE_SHARED_TOKEN"):
        nexus_url(given)


def test_only_this_machine_is_loopback() -> None:
    """The engine's own token file is read for it alone."""
    assert (
        is_loopback("ws://localhost:1/") and is_loopback("ws://127.0.0.2/") and is_loopback("ws://[::1]:1/")
    )
    assert not is_loopback("ws://engine.lan/") and not is_loopback("ws://127.evil.example/")


def test_settings_come_from_the_environment_and_a_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under the names that they always had; lists are separated by commas; secrets are not shown."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("SPORE_SHARED_TOKEN=from-file\nSPORE_NODE_NAME=file-name\nOTHER=1\n")
    monkeypatch.setenv("SPORE_NODE_NAME", "env-name")
    monkeypatch.setenv("SPORE_NODE_TAGS", "gpu, location:server_room,,")
    monkeypatch.setenv("SPORE_ENABLE_SHELL", "false")
    monkeypatch.setenv("SPORE_SKILLS", "")
    settings = SporeSettings()

    assert (settings.node_name, settings.node_tags) == ("env-name", ("gpu", "location:server_room"))
    assert settings.shared_token and settings.shared_token.get_secret_value() == "from-file"
    assert "from-file" not in repr(settings)
    assert (settings.enable_shell, settings.enable_file, settings.skills) == (False, True, ())
    assert (settings.nexus_port, settings.heartbeat_interval) == (8000, 30)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SPORE_NODE_NAME", "two words"),
        ("SPORE_NODE_TAGS", "a b"),
        ("SPORE_NEXUS_PORT", "0"),
        ("SPORE_SLOTS", "0"),
        ("SPORE_HEARTBEAT_INTERVAL", "0"),
    ],
)
def test_a_setting_out_of_range_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started."""
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        SporeSettings()


def a_parcel(**answer: object) -> Parcel:
    parcel = Parcel("r/../1", "t1", 2)
    parcel.add("stdout", "one", 1.0)
    parcel.seal()
    parcel.add("stderr", "two", 2.0)
    if answer:
        parcel.finish(NodeResponse(request_id="r/../1", node_id="n", success=True, result=answer), 10)
    return parcel


def test_an_answer_on_the_shelf_comes_back_as_it_was(tmp_path: Path) -> None:
    """With its output and its numbers, in a private file whose name the engine cannot choose."""
    shelf, parcel = Shelf(tmp_path), a_parcel(pages=3)
    answer = shelved(parcel)
    assert answer is not None
    shelf.write(answer)

    (back,) = Shelf(tmp_path).read()
    assert (back.request_id, back.task_id, back.attempt) == ("r/../1", "t1", 2)
    assert back.pieces == parcel.pieces and back.response == parcel.response
    back.add("stdout", "three", 3.0)
    assert [piece.n for piece in back.pieces] == [1, 2, 3]
    (file,) = (tmp_path / "outbox").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    shelf.remove("r/../1")
    shelf.remove("r/../1")
    assert shelf.read() == []


def test_only_an_answer_to_a_task_is_worth_a_file() -> None:
    """A call that runs has no answer, and nobody waits for a direct call after a restart."""
    direct = Parcel("r2", None, 0)
    direct.finish(NodeResponse(request_id="r2", node_id="n", success=True), 5)
    assert shelved(a_parcel()) is None and shelved(direct) is None


def test_a_damaged_file_on_the_shelf_does_not_stop_the_node(tmp_path: Path) -> None:
    """It is left out; the others are offered."""
    shelf, answer = Shelf(tmp_path), shelved(a_parcel(ok=True))
    assert answer is not None
    shelf.write(answer)
    (tmp_path / "outbox" / "0.json").write_bytes(b"\0\0\0")
    assert [parcel.request_id for parcel in shelf.read()] == ["r/../1"]
