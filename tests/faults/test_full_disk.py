"""The disk takes no more: the engine says no, says why, and goes on by itself once there is room.

A limit on the size of the engine's files stands in for the full disk: every write fails, as it would.
"""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.conftest import EngineStarter
from tests.flow.wire_helpers import Api, holds_for, wait_until
from tests.processes import EngineProcess


@contextmanager
def full_disk(engine: EngineProcess) -> Iterator[None]:
    """While the block runs, no file of the engine can be written past its first bytes."""
    before = resource.prlimit(engine.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (512, before[1]))
    try:
        yield
    finally:
        resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, before)


def test_what_cannot_be_stored_is_not_acknowledged(engine_process: EngineStarter) -> None:
    """A submission and every control are refused while the disk is full, and nothing of them is done."""
    engine = engine_process()
    with Api(engine) as api:
        kept = api.submit("before", requirements={"tags": ["nobody"]})
        with full_disk(engine):
            for path in (
                "tasks",
                "queue/pause",
                "queue/purge",
                "queue/emergency-stop",
                f"queue/task/{kept}/abort",
            ):
                answer = api.http.post(
                    f"/api/v1/{path}", json={"content": "never"} if path == "tasks" else None
                )
                assert answer.status_code == 507, f"{path}: {answer.status_code} {answer.text}"
                assert answer.json()["kept"] and answer.json()["do"], answer.text
                assert ".py" not in answer.text and "Traceback" not in answer.text
        assert api.queue()["paused"] is False
        assert [task["id"] for task in api.tasks()] == [kept]
        assert api.task(kept)["status"] == "PENDING"
    engine.restart()
    with Api(engine) as api:
        assert [task["id"] for task in api.tasks()] == [kept]


def test_a_storage_error_is_logged_and_shown_and_goes_away_by_itself(engine_process: EngineStarter) -> None:
    """The log, the health check and the queue status say so; with room again, all is well."""
    engine = engine_process()
    with Api(engine) as api:
        with full_disk(engine):
            assert api.http.post("/api/v1/tasks", json={"content": "never"}).status_code == 507
            health = httpx.get(f"{engine.url}/healthz").json()
            assert health["status"] != "ok" and health["problems"]
            assert api.queue()["problem"]
            wait_until(lambda: "error" in engine.said.lower(), what="a line in the log")
        assert api.run("hello")["result"] == "Processed: hello"
        wait_until(
            lambda: httpx.get(f"{engine.url}/healthz").json()["status"] == "ok", what="health to be ok"
        )
        assert api.queue()["problem"] is None


def test_a_result_that_cannot_be_stored_is_kept_until_it_can(
    engine_process: EngineStarter, tmp_path: Path
) -> None:
    """A task ends while the disk is full: its result and output are stored later, from the same attempt."""
    engine, go, ended = engine_process(), tmp_path / "go", tmp_path / "ended"
    with Api(engine) as api:
        task_id = api.submit(f"!while [ ! -e {go} ]; do sleep 0.05; done; echo treasure; touch {ended}")
        api.until(task_id, "PROCESSING")
        with full_disk(engine):
            go.touch()
            wait_until(ended.exists, what="it to end")
            holds_for(
                1.5, lambda: api.task(task_id)["status"] == "PROCESSING", "nothing is told that is not stored"
            )
        task = api.finished(task_id)
        output = api.http.get(f"/api/v1/tasks/{task_id}/output").json()

    assert (task["status"], task["attempt"]) == ("COMPLETED", 1), task
    assert "treasure" in str(task["result"])
    assert "".join(chunk["text"] for chunk in output if chunk["stream"] == "stdout") == "treasure\n"


def test_tasks_that_waited_run_when_there_is_room_again(engine_process: EngineStarter) -> None:
    """A claim that could not be stored starts nothing; it is made again later."""
    engine = engine_process()
    with Api(engine) as api:
        api.queue("pause")
        ids = [api.submit(f"n {n}") for n in range(20)]
        api.queue("resume")
        with full_disk(engine):
            statuses = [api.task(task_id)["status"] for task_id in ids]
            assert "FAILED" not in statuses
        for n, task_id in enumerate(ids):
            task = api.finished(task_id)
            assert (task["result"], task["attempt"]) == (f"Processed: n {n}", 1)
