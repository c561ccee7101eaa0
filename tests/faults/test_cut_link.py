"""The cable between a Spore and its engine is cut, or goes dead without a word, while tasks run."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pytest

from tests.conftest import EngineStarter
from tests.flow.wire_helpers import Api, wait_until
from tests.processes import EngineProcess, SporeProcess


class Cable:
    """Carries bytes between whoever connects and the engine, until it is cut or goes dead."""

    def __init__(self, engine: EngineProcess) -> None:
        host, port = engine.url.removeprefix("http://").split(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._whole, self._alive, self._ended = threading.Event(), threading.Event(), threading.Event()
        self._whole.set()
        self._alive.set()
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._alive.set()
        # A shutdown, because a close alone does not wake who waits in accept.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    @property
    def url(self) -> str:
        host, port = self._listener.getsockname()
        return f"http://{host}:{port}"

    def cut(self) -> None:
        """End what is connected; what comes is turned away."""
        self._whole.clear()
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Let connections through again."""
        self._whole.set()
        self._alive.set()

    def go_dead(self) -> None:
        """Carry nothing more, but close nothing: nobody is told."""
        self._alive.clear()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if not self._whole.is_set() or not self._alive.is_set():
                    near.close()
                    continue
                self.connections += 1
                far = socket.create_connection(self._target)
                with self._lock:
                    self._open |= {near, far}
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                self._alive.wait()
                other.sendall(data)
        for end in (one, other):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            if {one, other} <= self._open:
                self._open -= {one, other}
                return
        one.close()
        other.close()


@contextmanager
def on_a_cable(engine: EngineProcess, folder: Path) -> Iterator[tuple[Cable, SporeProcess]]:
    """A Spore that reaches the engine only through a cable."""
    with Cable(engine) as cable:
        spore = SporeProcess(folder / "cabled", cable.url, engine.node_token, name="cabled")
        try:
            with Api(engine) as api:
                api.online(spore.name)
            yield cable, spore
        finally:
            spore.end()


def is_dead(alive: Path) -> bool:
    """Whether the file, once taken away, stays away."""
    alive.unlink(missing_ok=True)
    try:
        wait_until(alive.exists, 0.5)
    except AssertionError:
        return True
    return False


COUNT = "!for i in $(seq 1 60); do echo line $i; sleep 0.05; done"
COUNTED = "".join(f"line {n}\n" for n in range(1, 61))


def printed(api: Api, task_id: str) -> str:
    """The whole stdout of a task."""
    chunks = api.http.get(f"/api/v1/tasks/{task_id}/output", params={"limit": 10_000}).json()
    return "".join(chunk["text"] for chunk in chunks if chunk["stream"] == "stdout")


def test_a_task_goes_on_through_cut_cables_with_all_its_output(
    engine_process: EngineStarter, tmp_path: Path
) -> None:
    """Cut and mended again and again: the same attempt ends, every line is there once, in order."""
    engine = engine_process("--no-local-node")
    with Api(engine) as api, on_a_cable(engine, tmp_path) as (cable, spore):
        task_id = api.submit(COUNT)
        for wanted in ("line 3\n", "line 12\n", "line 25\n"):
            wait_until(lambda line=wanted: line in printed(api, task_id), what=wanted)
            cable.cut()
            api.offline(spore.name)
            assert api.task(task_id)["status"] == "PROCESSING"
            cable.mend()
            api.online(spore.name)
        task = api.finished(task_id)

        assert (task["status"], task["attempt"]) == ("COMPLETED", 1), task
        assert printed(api, task_id) == COUNTED
        assert cable.connections >= 4


def test_an_end_that_comes_while_the_cable_is_cut_is_told_later(
    engine_process: EngineStarter, tmp_path: Path
) -> None:
    """The task ends while nobody can be told: its result and output arrive with the next connection."""
    engine = engine_process("--no-local-node")
    go, ended = tmp_path / "go", tmp_path / "ended"
    with Api(engine) as api, on_a_cable(engine, tmp_path) as (cable, spore):
        task_id = api.submit(f"!while [ ! -e {go} ]; do sleep 0.05; done; echo done; touch {ended}")
        api.until(task_id, "PROCESSING")
        cable.cut()
        api.offline(spore.name)
        go.touch()
        wait_until(ended.exists, what="it to end")
        cable.mend()
        task = api.finished(task_id)

        assert (task["status"], task["attempt"]) == ("COMPLETED", 1), task
        assert printed(api, task_id) == "done\n"


def test_an_abort_while_the_cable_is_cut_is_carried_out_later(
    engine_process: EngineStarter, tmp_path: Path
) -> None:
    """ABORTED at once; the node kills the processes as soon as it hears of it."""
    engine, alive = engine_process("--no-local-node"), tmp_path / "alive"
    with Api(engine) as api, on_a_cable(engine, tmp_path) as (cable, spore):
        task_id = api.submit(f"!while :; do touch {alive}; sleep 0.05; done")
        wait_until(alive.exists, what="it to run")
        cable.cut()
        api.offline(spore.name)
        assert api.abort(task_id).status_code == 200
        assert api.task(task_id)["status"] == "ABORTED"
        alive.unlink()
        wait_until(alive.exists, what="a sign that it goes on, unheard")
        cable.mend()
        api.online(spore.name)

        wait_until(lambda: is_dead(alive), 20, "it to be dead")


@pytest.mark.parametrize("control", ["abort", "emergency stop"])
def test_a_stop_reaches_a_node_through_a_cut_cable_and_a_kill_of_the_engine(
    engine_process: EngineStarter, tmp_path: Path, control: str
) -> None:
    """The engine that ordered it is dead before the node could hear of it: the next one tells it."""
    engine, alive = engine_process("--no-local-node"), tmp_path / "alive"
    with Api(engine) as api, on_a_cable(engine, tmp_path) as (cable, spore):
        task_id = api.submit(f"!while :; do touch {alive}; sleep 0.05; done")
        wait_until(alive.exists, what="it to run")
        cable.cut()
        api.offline(spore.name)
        if control == "abort":
            assert api.abort(task_id).status_code == 200
        else:
            assert api.queue("emergency-stop")["cancelled"] == 1
        engine.restart()
        alive.unlink()
        wait_until(alive.exists, what="a sign that it goes on, unheard")
        cable.mend()
        api.online(spore.name)

        wait_until(lambda: is_dead(alive), 20, "it to be dead")
        assert api.task(task_id)["status"] == "ABORTED"


@pytest.mark.slow
def test_a_cable_that_goes_dead_without_a_word_is_noticed(
    engine_process: EngineStarter, tmp_path: Path
) -> None:
    """No end closes, yet the node is marked offline and connects anew, and its task goes on."""
    engine = engine_process("--no-local-node")
    go = tmp_path / "go"
    with Api(engine) as api, on_a_cable(engine, tmp_path) as (cable, spore):
        task_id = api.submit(f"!while [ ! -e {go} ]; do sleep 0.05; done; echo done")
        api.until(task_id, "PROCESSING")
        cable.go_dead()
        api.offline(spore.name, 30)
        cable.cut()
        cable.mend()
        api.online(spore.name)
        go.touch()
        task = api.finished(task_id)

    assert (task["status"], task["attempt"]) == ("COMPLETED", 1), task
