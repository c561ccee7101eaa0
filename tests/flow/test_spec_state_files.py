"""The state folder: damaged, newer, read-only, taken; the port in use; and the original's JSON dump."""

import ctypes
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.conftest import EngineStarter
from tests.flow.wire_helpers import Api, Json
from tests.processes import EngineProcess, clean_environment

DROP_FROM_BOUNDING_SET, DAC_OVERRIDE, DAC_READ_SEARCH = 24, 1, 2


def as_a_plain_user() -> None:
    """For root: give up, in the child, the power to write what may not be written."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in (DAC_OVERRIDE, DAC_READ_SEARCH):
        if os.geteuid() == 0 and libc.prctl(DROP_FROM_BOUNDING_SET, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "cannot drop a capability")


def engine_command(*arguments: str, plain_user: bool = False, **env: str) -> tuple[int, str]:
    """Exit code and everything said by a `venom-engine` that is expected to end by itself."""
    ran = subprocess.run(
        [sys.executable, "-m", "venom_engine", *arguments],
        env=clean_environment(**env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=40,
        preexec_fn=as_a_plain_user if plain_user else None,
    )
    return ran.returncode, ran.stdout + ran.stderr


def assert_refused(answer: tuple[int, str], *words: str) -> None:
    """It did not start, and said why in words for a person."""
    code, said = answer
    assert code not in (0, None) and code > 0, f"exit code {code}: {said}"
    assert "Traceback" not in said and 'File "' not in said, said
    for word in words:
        assert word.lower() in said.lower(), f"{word!r} is not in: {said}"


@pytest.fixture(scope="module")
def _template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    engine = EngineProcess(tmp_path_factory.mktemp("template") / "state")
    try:
        with Api(engine) as api:
            task_id = str(api.run("precious")["id"])
        assert engine.stop() == 0
    finally:
        engine.end()
    return engine.state_dir, task_id


@pytest.fixture
def stopped(_template: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    """The state folder of an engine that was stopped, and the id of the one task in it."""
    folder, task_id = _template
    return Path(shutil.copytree(folder, tmp_path / "state")), task_id


# -- damage


@pytest.mark.parametrize("damage", ["garbage", "cut in half", "one page overwritten", "text"])
def test_a_damaged_state_file_is_set_aside_and_the_engine_starts_empty(
    engine_process: EngineStarter, stopped: tuple[Path, str], damage: str
) -> None:
    """Under a name with the date, nothing deleted; said in the log and in the health check; it works on."""
    folder, task_id = stopped
    file = folder / "venom.db"
    whole = file.read_bytes()
    bad = {
        "garbage": os.urandom(len(whole)),
        "cut in half": whole[: len(whole) // 2],
        "one page overwritten": whole[:4096] + b"\xa5" * 4096 + whole[8192:],
        "text": b"this is a diary\n" * 500,
    }[damage]
    file.write_bytes(bad)
    engine = engine_process(state_dir=folder)

    (aside,) = [found for found in folder.iterdir() if re.search(r"venom\.db.*20\d{6}T\d{6}Z$", found.name)]
    assert aside.read_bytes() == bad
    assert "damaged" in engine.said.lower() and aside.name in engine.said
    health = httpx.get(f"{engine.url}/healthz")
    assert health.status_code == 200 and health.json()["component"] == "venom-engine"
    assert health.json()["status"] != "ok" and "damaged" in health.text and aside.name in health.text
    with Api(engine) as api:
        assert api.tasks() == []
        assert api.http.get(f"/api/v1/tasks/{task_id}").status_code == 404
        assert api.run("hello")["status"] == "COMPLETED"


def test_a_second_damage_does_not_overwrite_the_first(
    engine_process: EngineStarter, stopped: tuple[Path, str]
) -> None:
    """Two damaged files in one minute: both are kept."""
    folder, _ = stopped
    for text in (b"first " * 2000, b"second " * 2000):
        (folder / "venom.db").write_bytes(text)
        engine_process(state_dir=folder).stop()
    kept = [found.read_bytes() for found in folder.glob("venom.db*") if found.name != "venom.db"]
    assert b"first " * 2000 in kept and b"second " * 2000 in kept


def test_damaged_secrets_do_not_open_the_door(
    engine_process: EngineStarter, stopped: tuple[Path, str]
) -> None:
    """An emptied token file gets a new token: an empty one is never accepted."""
    folder, _ = stopped
    (folder / "token").write_text("")
    engine = engine_process(state_dir=folder)
    assert len(engine.token) > 20
    for headers in ({}, {"Authorization": "Bearer"}):
        assert httpx.get(f"{engine.url}/api/v1/tasks", headers=headers).status_code == 401


# -- what cannot be used as it is


def test_a_state_file_of_a_newer_schema_is_refused(stopped: tuple[Path, str]) -> None:
    """The engine does not start, says that a newer version wrote it, and changes nothing."""
    folder, _ = stopped
    file = folder / "venom.db"
    with closing(sqlite3.connect(file)) as database:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        database.execute(f"PRAGMA user_version = {version + 100}")
        database.commit()
    before = file.read_bytes()

    assert_refused(
        engine_command("--port", "0", "--state-dir", str(folder)), str(file), "newer", "--state-dir"
    )
    assert file.read_bytes() == before
    assert [found.name for found in folder.glob("*damaged*")] == []


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    """It is neither used nor set aside."""
    folder = tmp_path / "state"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "venom.db")) as database:
        database.executescript("PRAGMA application_id = 252006673; CREATE TABLE fossil (x);")
    before = (folder / "venom.db").read_bytes()

    assert_refused(engine_command("--port", "0", "--state-dir", str(folder)), "another program")
    assert (folder / "venom.db").read_bytes() == before


def test_a_read_only_state_file_is_refused(stopped: tuple[Path, str]) -> None:
    """Said at the start, with the file and what to do, not at the first submission."""
    folder, _ = stopped
    (folder / "venom.db").chmod(0o400)
    before = (folder / "venom.db").read_bytes()

    said = engine_command("--port", "0", "--state-dir", str(folder), plain_user=True)
    assert_refused(said, str(folder / "venom.db"), "writ")
    assert (folder / "venom.db").read_bytes() == before
    assert [found.name for found in folder.glob("*damaged*")] == []


def test_a_read_only_state_folder_is_refused(stopped: tuple[Path, str]) -> None:
    """Whether it holds a state or is empty."""
    folder, _ = stopped
    empty = folder.parent / "empty"
    empty.mkdir()
    for place in (folder, empty):
        place.chmod(0o500)
        try:
            said = engine_command("--port", "0", "--state-dir", str(place), plain_user=True)
            assert_refused(said, str(place), "--state-dir")
        finally:
            place.chmod(0o700)


def test_a_state_folder_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """Its place is taken by a file."""
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        assert_refused(engine_command("--port", "0", "--state-dir", str(place)), str(place), "--state-dir")


def test_a_second_engine_on_the_same_folder_is_refused(engine_process: EngineStarter) -> None:
    """It names the first by pid and address, which goes on undisturbed."""
    first = engine_process()
    said = engine_command("--port", "0", "--state-dir", str(first.state_dir))

    assert_refused(said, str(first.state_dir), str(first.pid), first.url)
    with Api(first) as api:
        assert api.run("hello")["status"] == "COMPLETED"


def test_the_folder_of_a_killed_engine_is_free_again(engine_process: EngineStarter) -> None:
    """No lock file has to be deleted by hand."""
    engine = engine_process()
    engine.kill()
    assert (engine.state_dir / "engine.json").exists(), "a kill leaves it behind"
    engine_process(state_dir=engine.state_dir)


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    """It says which, and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        said = engine_command("--port", port, "--state-dir", str(tmp_path / "state"))

    assert_refused(said, port, "use", "--port")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("MAX_CONCURRENT_TASKS", "0"), ("MAX_CONCURRENT_TASKS", "many"), ("NEXUS_HEARTBEAT_TIMEOUT", "-1")],
)
def test_a_bad_setting_is_refused_by_its_name(tmp_path: Path, variable: str, value: str) -> None:
    """The engine does not guess."""
    settings: Any = {variable: value}
    said = engine_command("--port", "0", "--state-dir", str(tmp_path / "state"), **settings)
    assert_refused(said, variable)


# -- the original's dump


def exported(folder: Path, file: Path) -> Json:
    code, said = engine_command("export-state", "--state-dir", str(folder), STATE_FILE_PATH=str(file))
    assert code == 0, said
    return dict(json.loads(file.read_text()))


def test_the_state_is_exported_and_imported(engine_process: EngineStarter, tmp_path: Path) -> None:
    """Into another folder, with ids, contents, results and statuses; what waited runs there."""
    engine = engine_process()
    with Api(engine) as api:
        done, failed = api.run("hello"), api.run("!echo no >&2; exit 3")
        api.queue("pause")
        waiting = api.submit("later")
    engine.stop()
    dump = tmp_path / "dump.json"
    exported(engine.state_dir, dump)

    other = tmp_path / "other"
    code, said = engine_command("import-state", "--state-dir", str(other), STATE_FILE_PATH=str(dump))
    assert code == 0 and "3" in said, said
    with Api(engine_process(state_dir=other)) as api:
        for old in (done, failed):
            new = api.task(old["id"])
            for field in ("id", "content", "created_at", "status", "result", "error", "skill", "attempt"):
                assert new[field] == old[field], field
        assert api.finished(waiting)["result"] == "Processed: later"


def test_a_dump_of_the_original_is_imported(engine_process: EngineStarter, tmp_path: Path) -> None:
    """Tasks with only the original's six fields, as an object by id or as a list; times without a zone are UTC."""
    done, waiting, running = (str(uuid4()) for _ in range(3))

    def old(task_id: str, status: str, result: str | None) -> Json:
        created = "2024-11-02T10:00:00.123456"
        return {
            "id": task_id,
            "content": f"task {status}",
            "created_at": created,
            "status": status,
            "result": result,
            "logs": ["Zadanie utworzone", "Rozpoczęto"],
        }

    tasks = [
        old(done, "COMPLETED", "Przetworzono"),
        old(waiting, "PENDING", None),
        old(running, "PROCESSING", None),
    ]
    for name, shape in (("object", {task["id"]: task for task in tasks}), ("list", tasks)):
        dump, folder = tmp_path / f"{name}.json", tmp_path / name
        dump.write_text(json.dumps({"tasks": shape}, ensure_ascii=False))
        code, said = engine_command("import-state", "--state-dir", str(folder), STATE_FILE_PATH=str(dump))
        assert code == 0, said
        with Api(engine_process(state_dir=folder)) as api:
            task = api.task(done)
            assert (task["status"], task["result"]) == ("COMPLETED", "Przetworzono")
            assert task["created_at"].startswith("2024-11-02T10:00:00.123")
            assert [line for line in task["logs"] if "Rozpoczęto" in line], (
                "the original's log lines are lost"
            )
            for task_id in (waiting, running):
                assert api.finished(task_id)["status"] == "COMPLETED"


def test_an_import_twice_adds_nothing_twice(stopped: tuple[Path, str], tmp_path: Path) -> None:
    """Tasks that are there already stay as they are."""
    folder, task_id = stopped
    dump = tmp_path / "dump.json"
    first = exported(folder, dump)
    for _ in range(2):
        code, said = engine_command("import-state", "--state-dir", str(folder), STATE_FILE_PATH=str(dump))
        assert code == 0, said
    assert exported(folder, dump)["tasks"] == first["tasks"]
    assert task_id in first["tasks"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"tasks": 7}', '{"tasks": [{"id": "x"}]}', '{"tasks": [null]}']
)
def test_a_file_that_is_no_dump_is_refused(tmp_path: Path, content: str) -> None:
    """All or nothing; the message names the file."""
    dump = tmp_path / "dump.json"
    dump.write_text(content)
    said = engine_command("import-state", "--state-dir", str(tmp_path / "state"), STATE_FILE_PATH=str(dump))
    assert_refused(said, str(dump))


def test_a_dump_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The default place is the original's: data/memory/state_dump.json."""
    ran = subprocess.run(
        [sys.executable, "-m", "venom_engine", "import-state", "--state-dir", str(tmp_path / "state")],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert ran.returncode > 0
    assert "data/memory/state_dump.json" in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


def test_no_dump_is_made_while_an_engine_runs_on_the_folder(
    engine_process: EngineStarter, tmp_path: Path
) -> None:
    """Refused, naming the engine."""
    engine = engine_process()
    for command in ("export-state", "import-state"):
        dump = tmp_path / f"{command}.json"
        dump.write_text('{"tasks": {}}')
        said = engine_command(command, "--state-dir", str(engine.state_dir), STATE_FILE_PATH=str(dump))
        assert_refused(said, str(engine.pid))
