"""What every test may ask for: folders, engines and Spores as processes, a Redis, and a clean house after.

Nothing of ours may outlive a session: whatever still runs in its folders at the end fails it.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from tests.processes import EngineProcess, EngineStarter, SporeProcess, SporeStarter, configures_us
from tools.redis_server import find_server

__all__ = ["EngineStarter", "SporeStarter"]


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left_running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No process may still work in this session's folders when it ends."""
    base = str(tmp_path_factory.getbasetemp().resolve())
    yield
    we = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    left = [found for found in psutil.process_iter() if found.pid not in we and _works_in(base, found)]
    _, left = psutil.wait_procs(left, timeout=5)
    told = [_describe(process) for process in left]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    if told:
        pytest.fail("still running after the last test: " + "; ".join(told))


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> Iterator[None]:
    """A shell that starts us in the background ignores SIGINT, and what we start would inherit that."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_shell() -> Iterator[None]:
    """What the developer's own shell sets must not reach an engine inside a test."""
    with pytest.MonkeyPatch.context() as patch:
        for name in filter(configures_us, list(os.environ)):
            patch.delenv(name)
        yield


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """An empty state folder that nobody else has. Not made yet."""
    return tmp_path / "state"


@pytest.fixture
def engine_process(tmp_path: Path) -> Iterator[EngineStarter]:
    """Starts engines as processes: each accepts when the call returns, and ends with the test."""
    with ExitStack() as stack:

        def start(*arguments: str, state_dir: Path | str | None = None, **env: str) -> EngineProcess:
            folder = state_dir or tmp_path / "state"
            engine = EngineProcess(folder, *arguments, **env)
            stack.callback(engine.end)
            return engine

        yield start


@pytest.fixture
def spore_process(tmp_path: Path) -> Iterator[SporeStarter]:
    """Starts Spores as processes; they end with the test, before its engines do."""
    with ExitStack() as stack:

        def start(engine: EngineProcess, *arguments: str, name: str = "spore-1", **env: str) -> SporeProcess:
            spore = SporeProcess(tmp_path / name, engine.url, engine.node_token, *arguments, name=name, **env)
            stack.callback(spore.end)
            return spore

        yield start


@pytest.fixture(scope="session")
def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """One engine for all tests that leave it as they found it: no pause, no stop, no settings."""
    engine = EngineProcess(tmp_path_factory.mktemp("shared-engine") / "state")
    try:
        yield engine
    finally:
        engine.end()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Redis server of our own, on a socket nobody else has."""
    folder = tmp_path_factory.mktemp("redis")
    path = folder / "redis.sock"
    arguments = [
        "--port",
        "0",
        "--unixsocket",
        str(path),
        "--dir",
        str(folder),
        "--save",
        "",
        "--daemonize",
        "no",
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [find_server(), *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        _wait_for_redis(server, path, folder / "log")
        yield f"unix://{path}"
    finally:
        server.terminate()
        server.wait(10)


def _wait_for_redis(server: subprocess.Popen[bytes], path: Path, log: Path) -> None:
    """Until it answers. The server makes its socket a moment before it listens."""
    for _ in range(1000):
        if server.poll() is not None:
            break
        with socket.socket(socket.AF_UNIX) as knock, suppress(OSError):
            knock.settimeout(5)
            knock.connect(os.fspath(path))
            knock.sendall(b"PING\r\n")
            if knock.recv(16).startswith(b"+PONG"):
                return
        time.sleep(0.01)
    raise AssertionError(f"the Redis server did not start:\n{log.read_text(errors='replace')}")


def _works_in(base: str, process: psutil.Process) -> bool:
    try:
        return any(place.startswith(base) for place in (process.cwd(), *process.cmdline()))
    except psutil.Error:
        return False


def _describe(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{process.pid} {' '.join(process.cmdline())[:200]!r} in {process.cwd()}"
    return f"{process.pid}, gone since"
