"""The engines that the black-box tests share, and an operator at each of them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.wire_helpers import Api, with_path
from tests.processes import EngineProcess, SporeProcess


@pytest.fixture(scope="session")
def _operator(shared_engine: EngineProcess) -> Iterator[Api]:
    with Api(shared_engine) as api:
        yield api


@pytest.fixture
def api(_operator: Api) -> Api:
    """An operator at the shared engine, which has one node: its own."""
    return _operator


@pytest.fixture
def node_token(shared_engine: EngineProcess) -> str:
    """What nodes present to the shared engine."""
    return shared_engine.node_token


@pytest.fixture(scope="session")
def queue_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """An engine whose queue the tests pause, purge and stop."""
    engine = EngineProcess(tmp_path_factory.mktemp("queue-engine") / "state")
    try:
        yield engine
    finally:
        engine.end()


@pytest.fixture
def queue_api(queue_engine: EngineProcess) -> Iterator[Api]:
    """An operator at that engine. Its queue runs and is empty before and after."""
    with Api(queue_engine) as api:
        yield api
        api.queue("emergency-stop")
        api.queue("resume")


@pytest.fixture(scope="session")
def queue_spore(queue_engine: EngineProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a Spore on that engine."""
    folder = tmp_path_factory.mktemp("queue-spore")
    spore = SporeProcess(
        folder, queue_engine.url, queue_engine.node_token, "--slots", "20", name="queue-spore"
    )
    try:
        with Api(queue_engine) as api:
            api.online(spore.name)
        yield spore.name
    finally:
        spore.end()


FAULTY = '''
"""Skills as a user would write them."""

from pathlib import Path

from venom_engine import skill


@skill("Faulty.boom")
def boom() -> None:
    raise ValueError("the tooth is broken")


@skill("Faulty.third_time_lucky")
def third_time_lucky(ledger: str) -> str:
    path = Path(ledger)
    tries = int(path.read_text()) if path.exists() else 0
    path.write_text(str(tries + 1))
    if tries < 2:
        raise RuntimeError("not yet")
    return "lucky"


@skill("Faulty.shout")
async def shout(content: str) -> str:
    return content.upper()


@skill
def double(number: int) -> int:
    return 2 * number
'''


@pytest.fixture(scope="session")
def faulty_skills(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a module `faulty_skills`."""
    folder = tmp_path_factory.mktemp("user-skills")
    (folder / "faulty_skills.py").write_text(FAULTY)
    return folder


@pytest.fixture(scope="session")
def _faulty(tmp_path_factory: pytest.TempPathFactory, faulty_skills: Path) -> Iterator[Api]:
    base = tmp_path_factory.mktemp("faulty")
    engine = EngineProcess(base / "state", "--no-local-node")
    try:
        spore = SporeProcess(
            base / "spore",
            engine.url,
            engine.node_token,
            "--skills",
            "faulty_skills",
            PYTHONPATH=with_path(faulty_skills),
        )
        try:
            with Api(engine) as api:
                api.online(spore.name)
                yield api
        finally:
            spore.end()
    finally:
        engine.end()


@pytest.fixture
def faulty_api(_faulty: Api) -> Api:
    """An operator at an engine whose only node is a Spore with the skills of a user."""
    return _faulty
