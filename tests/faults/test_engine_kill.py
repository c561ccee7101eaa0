"""The engine is killed as by a power cut, again and again, under a stream of submissions.

The ledger of what was acknowledged is kept here, outside of the engine: what it says yes to must be
there in the end, and must have ended.
"""

import os
import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.flow.wire_helpers import Api, Json, wait_until
from tests.processes import EngineProcess

ROUNDS = int(os.environ.get("VENOM_FAULT_ROUNDS", "50"))
CLIENTS = 3
#: A guard against an engine that hangs. What we want is 2 s, and it is measured and printed.
READY_GUARD = 20.0
#: Between two submissions of one client: a stream that the engine can finish, not a flood.
BREATH = 0.01


class Stream:
    """Clients that submit without end and write down what was acknowledged."""

    def __init__(self, engine: EngineProcess) -> None:
        self.ledger: dict[str, str] = {}
        self.refused: list[str] = []
        self._engine, self._token = engine, engine.token
        self._ending = threading.Event()
        self._threads = [threading.Thread(target=self._submit, daemon=True) for _ in range(CLIENTS)]

    @contextmanager
    def running(self) -> Iterator["Stream"]:
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._ending.set()
            for thread in self._threads:
                thread.join(30)

    def _submit(self) -> None:
        chance = random.Random()
        with httpx.Client(headers={"Authorization": f"Bearer {self._token}"}, timeout=10) as http:
            while not self._ending.wait(BREATH):
                name = uuid4().hex
                content = f"!sleep 0.0{chance.randrange(10)}; echo {name}" if chance.random() < 0.05 else name
                try:
                    answer = http.post(f"{self._engine.url}/api/v1/tasks", json={"content": content})
                except httpx.TransportError:
                    continue  # killed in between: nothing was acknowledged, so nothing was promised
                if answer.status_code == 201:
                    self.ledger[answer.json()["task_id"]] = content
                else:
                    self.refused.append(f"{answer.status_code} {answer.text}")


def ready_after_start(engine: EngineProcess) -> float:
    """Start it again on its port; the seconds until /healthz answers."""
    engine.command[engine.command.index("--port") + 1] = engine.url.rsplit(":", 1)[1]
    began = time.monotonic()
    engine.start()

    def answers() -> bool:
        try:
            return httpx.get(f"{engine.url}/healthz", timeout=2).status_code == 200
        except httpx.TransportError:
            return False

    wait_until(answers, READY_GUARD, f"/healthz to answer; it said: {engine.said}")
    return time.monotonic() - began


def every_task(api: Api) -> Iterator[Json]:
    """All tasks that the engine knows."""
    query: dict[str, str] = {"limit": "1000", "logs": "false"}
    while True:
        answer = api.http.get("/api/v1/tasks", params=query)
        assert answer.status_code == 200, answer.text
        yield from answer.json()
        if (cursor := answer.headers.get("X-Next-Cursor")) is None:
            return
        query["cursor"] = cursor


@pytest.mark.slow
@pytest.mark.timeout(60 + 12 * ROUNDS)
def test_no_acknowledged_task_is_lost_when_the_engine_is_killed(
    tmp_path: Path, record_property: pytest.FixtureRequest
) -> None:
    """kill -9 at random moments: every acknowledged task is there, as submitted, and reaches a final status."""
    seed = int(os.environ.get("VENOM_FAULT_SEED", str(random.randrange(10**6))))
    chance, took = random.Random(seed), []
    engine = EngineProcess(tmp_path / "state")
    try:
        with Stream(engine).running() as stream:
            for _ in range(ROUNDS):
                already, wanted = len(stream.ledger), chance.randrange(1, 25)
                wait_until(
                    lambda enough=already + wanted: len(stream.ledger) >= enough,
                    READY_GUARD,
                    f"{wanted} more acknowledgements (seed {seed}); refused: {stream.refused[-3:]}",
                )
                engine.kill()
                took.append(ready_after_start(engine))
        assert not stream.refused, f"seed {seed}: {stream.refused[:3]}"
        with Api(engine) as api:
            wait_until(
                lambda: api.queue()["pending"] + api.queue()["processing"] == 0, 60, "every task to end"
            )
            known = {task["id"]: task for task in every_task(api)}
            health = api.http.get("/healthz").json()
    finally:
        engine.end()

    figures = (
        f"{ROUNDS} kills, {len(stream.ledger)} acknowledged, seed {seed}; ready again after "
        f"{statistics.median(took):.2f} s (median), {max(took):.2f} s (worst)"
    )
    print(figures)
    record_property("figures", figures)  # type: ignore[operator]
    lost = stream.ledger.keys() - known.keys()
    assert not lost, f"seed {seed}: {len(lost)} acknowledged tasks are lost, such as {sorted(lost)[:3]}"
    changed = [i for i, content in stream.ledger.items() if known[i]["content"] != content]
    assert not changed, f"seed {seed}: {changed[:3]}"
    statuses = {known[i]["status"] for i in stream.ledger}
    assert statuses <= {"COMPLETED", "FAILED"}, f"seed {seed}: {statuses}"
    unexplained = [t for t in known.values() if t["status"] == "FAILED" and not t["error"]]
    assert not unexplained, f"seed {seed}: {unexplained[:3]}"
    plain = [t for t in known.values() if t["status"] == "COMPLETED" and not t["content"].startswith("!")]
    assert all(task["result"] == f"Processed: {task['content']}" for task in plain)
    assert health["status"] == "ok", health


def test_a_pause_and_an_abort_that_were_acknowledged_survive_a_kill(tmp_path: Path) -> None:
    """The next instant's kill -9 undoes no control that was answered."""
    engine = EngineProcess(tmp_path / "state")
    try:
        for _ in range(2):
            with Api(engine) as api:
                api.queue("pause")
                aborted, kept = api.submit("x"), api.submit("y")
                assert api.abort(aborted).status_code == 200
            engine.restart()
            with Api(engine) as api:
                assert api.queue()["paused"] is True
                assert api.task(aborted)["status"] == "ABORTED"
                assert api.task(kept)["status"] == "PENDING"
                assert api.queue("purge")["removed"] == 1
            engine.restart()
            with Api(engine) as api:
                assert api.task(kept)["status"] == "ABORTED"
                api.queue("resume")
    finally:
        engine.end()
