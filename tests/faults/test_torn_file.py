"""A power cut tears the last write: the engine starts on what is whole, and does not call it damage."""

import os
import shutil
from pathlib import Path

import httpx
import pytest

from tests.conftest import EngineStarter
from tests.flow.wire_helpers import Api
from tests.processes import EngineProcess

LOG = "venom.db-wal"


@pytest.fixture(scope="module")
def _template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    engine = EngineProcess(tmp_path_factory.mktemp("template") / "state")
    try:
        with Api(engine) as api:
            api.queue("pause")
            ids = [api.submit(f"n {n}") for n in range(30)]
        engine.kill()
    finally:
        engine.end()
    return engine.state_dir, ids


@pytest.fixture
def killed(_template: tuple[Path, list[str]], tmp_path: Path) -> tuple[Path, list[str]]:
    """The state folder of an engine that was killed with changes in its write-ahead log; its tasks, oldest first."""
    folder, ids = _template
    assert (folder / LOG).stat().st_size > 10_000
    return Path(shutil.copytree(folder, tmp_path / "state")), ids


@pytest.mark.parametrize(
    "tear", ["cut short", "cut in the middle of a page", "rubbish at the end", "zeros at the end"]
)
def test_a_torn_log_costs_at_most_what_was_torn(
    engine_process: EngineStarter, killed: tuple[Path, list[str]], tear: str
) -> None:
    """The tasks before the tear are there, in order, without a hole, and run."""
    folder, ids = killed
    log = folder / LOG
    data = log.read_bytes()
    torn = {
        "cut short": data[:-4120],
        "cut in the middle of a page": data[:-1000],
        "rubbish at the end": data[:-500] + os.urandom(500),
        "zeros at the end": data[:-500] + bytes(500),
    }[tear]
    log.write_bytes(torn)
    engine = engine_process(state_dir=folder)

    health = httpx.get(f"{engine.url}/healthz").json()
    assert health["status"] == "ok", health
    with Api(engine) as api:
        api.queue("resume")
        there = [task["id"] for task in api.tasks(limit=100)][::-1]
        assert there == ids[: len(there)] and len(there) >= len(ids) - 2
        for task_id in there:
            assert api.finished(task_id)["status"] == "COMPLETED"


def test_rubbish_at_the_end_of_a_log_loses_nothing(
    engine_process: EngineStarter, killed: tuple[Path, list[str]]
) -> None:
    """What was written after the last whole commit is not part of the state."""
    folder, ids = killed
    log = folder / LOG
    with log.open("ab") as file:
        file.write(os.urandom(5000))
    engine = engine_process(state_dir=folder)
    with Api(engine) as api:
        assert [task["id"] for task in api.tasks(limit=100)][::-1] == ids
