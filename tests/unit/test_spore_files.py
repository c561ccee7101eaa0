"""FileSkill: everything inside the workspace, nothing outside of it, whatever the path says."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from spore.skills.file import MAX_FILE_BYTES
from tests.unit.spore_helpers import Bench


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A workspace beside a secret, with every kind of link to it."""
    secret = tmp_path / "outside"
    secret.mkdir()
    (secret / "secret.txt").write_text("the secret")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "note.txt").write_text("a note")
    (workspace / "folder").mkdir()
    (workspace / "link-to-file").symlink_to(secret / "secret.txt")
    (workspace / "link-to-folder").symlink_to(secret)
    (workspace / "link-inside").symlink_to("note.txt")
    return workspace


async def failed(workspace: Path, method: str, **parameters: Any) -> str:
    """Why a call failed; it has to."""
    response = await Bench(workspace).call("FileSkill", method, **parameters)
    assert not response.success, response
    return response.error or ""


async def test_a_file_is_written_read_and_listed(workspace: Path) -> None:
    """Any text, in folders that are made as needed."""
    bench, text = Bench(workspace), "zażółć\r\n\0 \N{GRINNING FACE}"
    written = await bench.call("FileSkill", "write_file", path="deep/er/new.txt", content=text)
    read = await bench.call("FileSkill", "read_file", path="deep//./er/new.txt")
    listed = await bench.call("FileSkill", "list_files", path="deep/er/")

    size = len(text.encode())
    assert written.result == {"path": "deep/er/new.txt", "size": size}
    assert read.result == text
    assert listed.result == [{"name": "new.txt", "kind": "file", "size": size}]


async def test_a_listing_tells_kinds_and_follows_no_link(workspace: Path) -> None:
    """By name; a link is shown as a link."""
    listed = await Bench(workspace).call("FileSkill", "list_files")
    assert isinstance(listed.result, list)
    assert [(entry["name"], entry["kind"]) for entry in listed.result if isinstance(entry, dict)] == [
        ("folder", "folder"),
        ("link-inside", "link"),
        ("link-to-file", "link"),
        ("link-to-folder", "link"),
        ("note.txt", "file"),
    ]


HOSTILE = [
    ("../outside/secret.txt", "'..' is refused"),
    ("folder/../../outside/secret.txt", "'..' is refused"),
    ("{outside}/secret.txt", "is absolute"),
    ("/etc/passwd", "is absolute"),
    ("link-to-file", "symbolic link"),
    ("link-inside", "symbolic link"),
    ("link-to-folder/secret.txt", "symbolic link"),
    ("", "must not be blank"),
    ("   ", "must not be blank"),
    ("note.txt\0.png", "zero byte"),
    ("\ud800", "not a name"),
    ("x" * 300, "too long"),
]


@pytest.mark.parametrize("method", ["read_file", "write_file", "list_files"])
@pytest.mark.parametrize(("path", "said"), HOSTILE)
async def test_a_path_that_leaves_the_workspace_is_refused(
    workspace: Path, tmp_path: Path, method: str, path: str, said: str
) -> None:
    """By `..`, absolute, or by a link anywhere in it; nothing outside is read, made or changed."""
    more = {"content": "gotcha"} if method == "write_file" else {}
    error = await failed(workspace, method, path=path.format(outside=tmp_path / "outside"), **more)

    assert said in error and "the secret" not in error
    assert (tmp_path / "outside/secret.txt").read_text() == "the secret"
    assert sorted(os.listdir(tmp_path / "outside")) == ["secret.txt"]
    assert (workspace / "note.txt").read_text() == "a note"


@pytest.mark.parametrize(
    ("method", "path", "said"),
    [
        ("read_file", "not-there.txt", "No such file"),
        ("read_file", "folder", "is not a file"),
        ("read_file", ".", "is a folder, not a file"),
        ("write_file", "folder", "is not a file"),
        ("write_file", "note.txt/below", "no folder"),
        ("list_files", "note.txt", "no folder"),
        ("list_files", "not-there", "No such file"),
    ],
)
async def test_an_error_names_the_path_and_the_reason(
    workspace: Path, method: str, path: str, said: str
) -> None:
    """Not only a number."""
    more = {"content": "x"} if method == "write_file" else {}
    error = await failed(workspace, method, path=path, **more)
    assert path in error and said in error


async def test_a_pipe_without_a_writer_is_refused_at_once(workspace: Path) -> None:
    """Opening it must not hang the node."""
    os.mkfifo(workspace / "pipe")
    assert "is not a file" in await failed(workspace, "read_file", path="pipe")
    assert "is not a file" in await failed(workspace, "write_file", path="pipe", content="x")


async def test_files_that_are_too_large_or_no_text_are_refused(workspace: Path) -> None:
    """Two megabytes are the limit in either direction."""
    (workspace / "large").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    (workspace / "fits").write_bytes(b"x" * MAX_FILE_BYTES)
    (workspace / "binary").write_bytes(b"\x89PNG\xff")

    assert str(MAX_FILE_BYTES) in await failed(workspace, "read_file", path="large")
    assert "not UTF-8 text (byte 0)" in await failed(workspace, "read_file", path="binary")
    assert str(MAX_FILE_BYTES) in await failed(
        workspace, "write_file", path="new", content="x" * (MAX_FILE_BYTES + 1)
    )
    assert not (workspace / "new").exists()
    assert (await Bench(workspace).call("FileSkill", "read_file", path="fits")).success


async def test_a_rewrite_keeps_the_mode_and_leaves_no_draft(workspace: Path) -> None:
    """Whole or not at all, under the same name."""
    script = workspace / "run.sh"
    script.write_text("old")
    script.chmod(0o750)
    before = sorted(os.listdir(workspace))
    assert (await Bench(workspace).call("FileSkill", "write_file", path="run.sh", content="new")).success

    assert script.read_text() == "new" and script.stat().st_mode & 0o777 == 0o750
    assert sorted(os.listdir(workspace)) == before


async def test_a_hard_link_is_replaced_and_not_written_through(workspace: Path, tmp_path: Path) -> None:
    """A write makes a new file: what else has the old one's name keeps its content."""
    os.link(tmp_path / "outside/secret.txt", workspace / "hard")
    assert (await Bench(workspace).call("FileSkill", "write_file", path="hard", content="mine")).success
    assert (tmp_path / "outside/secret.txt").read_text() == "the secret"


async def test_a_folder_that_is_swapped_for_a_link_while_we_look_leaks_nothing(
    workspace: Path, tmp_path: Path
) -> None:
    """The classic race: thousands of tries, not one byte from outside."""
    inside, spare = workspace / "swap", workspace / "spare"
    inside.mkdir()
    (inside / "secret.txt").write_text("harmless")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            inside.rename(spare)
            inside.symlink_to(tmp_path / "outside")
            inside.unlink()
            spare.rename(inside)

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        bench = Bench(workspace)
        answers = [await bench.call("FileSkill", "read_file", path="swap/secret.txt") for _ in range(1500)]
    finally:
        over.set()
        swapper.join()
    assert {answer.result for answer in answers if answer.success} <= {"harmless"}
    assert all("the secret" not in (answer.error or "") for answer in answers)


async def test_a_workspace_that_is_gone_is_told(tmp_path: Path) -> None:
    """An error of the call, not of the node."""
    gone = tmp_path / "gone"
    assert "No such file" in await failed(gone, "read_file", path="x")
    response = await Bench(gone).shell("echo x")
    assert "workspace" in (response.error or "")
