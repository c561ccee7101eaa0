"""The engine or a node dies while tasks are PROCESSING: each goes on, comes back, or ends with the reason."""

import signal
from pathlib import Path

from tests.conftest import EngineStarter, SporeStarter
from tests.flow.wire_helpers import Api, a_marker, holds_for, processes_with, wait_until

#: A lease so short that a test need not wait long for its end.
SHORT = {"LEASE_SECONDS": "1.5", "NODE_HEARTBEAT_SECONDS": "0.3"}


def a_task_until(go: Path, ledger: Path) -> str:
    """A command that notes its start and ends well once the file is there."""
    return f"!echo started >> {ledger}; while [ ! -e {go} ]; do sleep 0.05; done; echo done"


def test_a_task_that_its_spore_still_runs_goes_on_through_a_kill_of_the_engine(
    engine_process: EngineStarter, spore_process: SporeStarter, tmp_path: Path
) -> None:
    """kill -9 and restart: the same attempt goes on, it is not started twice, and its result is taken."""
    engine, go, ledger = engine_process("--no-local-node"), tmp_path / "go", tmp_path / "ledger"
    spore = spore_process(engine)
    with Api(engine) as api:
        task_id = api.submit(a_task_until(go, ledger))
        wait_until(ledger.exists, what="it to start")
        engine.restart()
        api.online(spore.name)
        assert api.task(task_id)["status"] == "PROCESSING"
        go.touch()
        task = api.finished(task_id)

    assert (task["status"], task["attempt"]) == ("COMPLETED", 1), task
    assert "done" in str(task["result"])
    assert ledger.read_text() == "started\n"


def test_a_result_that_came_while_the_engine_was_away_is_taken(
    engine_process: EngineStarter, spore_process: SporeStarter, tmp_path: Path
) -> None:
    """The task ends while nobody listens: the Spore keeps the answer and the output until the engine is back."""
    engine, go, ledger = engine_process("--no-local-node"), tmp_path / "go", tmp_path / "ledger"
    spore_process(engine)
    marker = tmp_path / "ended"
    with Api(engine) as api:
        task_id = api.submit(a_task_until(go, ledger) + f"; touch {marker}")
        wait_until(ledger.exists, what="it to start")
        engine.kill()
        go.touch()
        wait_until(marker.exists, what="it to end")
        engine.restart()
        task = api.finished(task_id)

    assert (task["status"], task["attempt"]) == ("COMPLETED", 1), task
    assert ledger.read_text() == "started\n"


def test_a_result_survives_a_kill_of_engine_and_spore(
    engine_process: EngineStarter, spore_process: SporeStarter, tmp_path: Path
) -> None:
    """It ended while the engine was away, then the Spore was killed too: the answer on its disk is taken."""
    engine, go, ledger = engine_process("--no-local-node"), tmp_path / "go", tmp_path / "ledger"
    spore = spore_process(engine)
    with Api(engine) as api:
        task_id = api.submit(a_task_until(go, ledger))
        wait_until(ledger.exists, what="it to start")
        engine.kill()
        go.touch()
        outbox = spore.folder / "state" / "outbox"
        wait_until(lambda: list(outbox.glob("*.json")), what="the answer to be on disk")
        spore.kill()
        engine.restart()
        spore.start()
        task = api.finished(task_id)

    assert (task["status"], task["attempt"]) == ("COMPLETED", 1), task
    assert ledger.read_text() == "started\n"


def test_a_task_whose_node_is_gone_goes_back_and_runs_elsewhere(
    engine_process: EngineStarter, spore_process: SporeStarter, tmp_path: Path
) -> None:
    """Engine and Spore die: after the restart the task is PENDING again, then runs as attempt 2."""
    engine, go, ledger = engine_process("--no-local-node", **SHORT), tmp_path / "go", tmp_path / "ledger"
    spore = spore_process(engine)
    with Api(engine) as api:
        task_id = api.submit(a_task_until(go, ledger), max_retries=1)
        wait_until(ledger.exists, what="it to start")
        engine.kill()
        spore.kill()
        engine.restart()
        api.until(task_id, "PENDING")
        go.touch()
        spore_process(engine, name="another")
        task = api.finished(task_id)

    assert (task["status"], task["attempt"]) == ("COMPLETED", 2), task
    assert ledger.read_text() == "started\nstarted\n"
    assert [line for line in task["logs"] if "lost" in line.lower()], task["logs"]


def test_a_task_whose_node_is_gone_fails_when_no_attempt_is_left(
    engine_process: EngineStarter, spore_process: SporeStarter
) -> None:
    """max_retries=0: FAILED, with the reason in the error and in the stage log."""
    engine, marker = engine_process("--no-local-node", **SHORT), a_marker()
    spore = spore_process(engine)
    with Api(engine) as api:
        task_id = api.submit(f"!sleep {marker}", max_retries=0)
        wait_until(lambda: processes_with(marker), what="it to start")
        engine.kill()
        spore.kill()
        engine.restart()
        task = api.finished(task_id)

    assert (task["status"], task["attempt"]) == ("FAILED", 1)
    assert "lost" in task["error"] and "lost" in task["logs"][-1].lower()
    wait_until(lambda: not processes_with(marker), 10, "the killed Spore's processes to be gone")


def test_a_spore_that_is_killed_leaves_no_process_and_its_task_runs_again(
    engine_process: EngineStarter, spore_process: SporeStarter, tmp_path: Path
) -> None:
    """kill -9 of the Spore alone, with children in sessions of their own: none goes on beside the next attempt."""
    engine, marker, tries = engine_process("--no-local-node", **SHORT), a_marker(), tmp_path / "tries"
    spore = spore_process(engine)
    command = (
        f"!echo try >> {tries}; [ $(wc -l < {tries}) -gt 1 ] || {{ setsid sleep {marker} & sleep {marker}; }}"
    )
    with Api(engine) as api:
        task_id = api.submit(command)
        wait_until(
            lambda: sum(line.startswith("sleep") for line in processes_with(marker).values()) == 2,
            what="both",
        )
        spore.kill()
        spore.start()
        task = api.finished(task_id)

    assert (task["status"], task["attempt"]) == ("COMPLETED", 2), task
    wait_until(lambda: not processes_with(marker), 10, "the first attempt's processes to be gone")


def test_a_task_on_the_engine_s_own_node_runs_again_after_a_kill(
    engine_process: EngineStarter, tmp_path: Path
) -> None:
    """The node died with the engine: the task runs again, and nothing of the first attempt goes on beside it."""
    engine, marker, tries = engine_process(**SHORT), a_marker(), tmp_path / "tries"
    command = (
        f"!echo try >> {tries}; [ $(wc -l < {tries}) -gt 1 ] || {{ setsid sleep {marker} & sleep {marker}; }}"
    )
    with Api(engine) as api:
        task_id = api.submit(command)
        wait_until(
            lambda: sum(line.startswith("sleep") for line in processes_with(marker).values()) == 2,
            what="both",
        )
        engine.restart()
        task = api.finished(task_id)

    assert (task["status"], task["attempt"]) == ("COMPLETED", 2), task
    wait_until(lambda: not processes_with(marker), 10, "the first attempt's processes to be gone")


def test_an_abort_after_a_kill_of_the_engine_leaves_nothing(
    engine_process: EngineStarter, spore_process: SporeStarter
) -> None:
    """The engine that comes back can stop what an earlier one started."""
    engine, marker = engine_process("--no-local-node"), a_marker()
    spore = spore_process(engine)
    with Api(engine) as api:
        task_id = api.submit(f"!sleep {marker} & sleep {marker}")
        wait_until(lambda: processes_with(marker), what="it to start")
        engine.restart()
        api.online(spore.name)
        assert api.abort(task_id).status_code == 200
        wait_until(lambda: not processes_with(marker), 10, "nothing left of it")
        assert api.task(task_id)["status"] == "ABORTED"


def test_a_stopping_engine_hands_its_own_tasks_back(engine_process: EngineStarter, tmp_path: Path) -> None:
    """TERM: what its own node runs past the grace goes back to the queue, uncounted, and ends after the restart."""
    engine, marker, tries = engine_process(DRAIN_SECONDS="0.2", **SHORT), a_marker(), tmp_path / "tries"
    command = f"!echo try >> {tries}; [ $(wc -l < {tries}) -gt 1 ] || sleep {marker}"
    with Api(engine) as api:
        task_id = api.submit(command, max_retries=0)
        wait_until(lambda: processes_with(marker), what="it to start")
        assert engine.stop() == 0
        wait_until(lambda: not processes_with(marker), 10, "its processes to be gone")
        engine.restart()
        assert api.finished(task_id)["status"] == "COMPLETED"


def test_a_stopping_spore_hands_its_tasks_back(
    engine_process: EngineStarter, spore_process: SporeStarter, tmp_path: Path
) -> None:
    """TERM of a Spore is no failure of its task: another node runs it, though no retries were asked for."""
    engine, marker, tries = engine_process("--no-local-node"), a_marker(), tmp_path / "tries"
    spore = spore_process(engine)
    command = f"!echo try >> {tries}; [ $(wc -l < {tries}) -gt 1 ] || sleep {marker}"
    with Api(engine) as api:
        task_id = api.submit(command, max_retries=0)
        wait_until(lambda: processes_with(marker), what="it to start")
        spore.signal(signal.SIGTERM)
        spore_process(engine, name="another")
        assert api.finished(task_id, 45)["status"] == "COMPLETED"
        wait_until(lambda: not processes_with(marker), 10, "the first attempt's processes to be gone")


def test_a_frozen_spore_s_late_answer_changes_nothing(
    engine_process: EngineStarter, spore_process: SporeStarter, tmp_path: Path
) -> None:
    """Its lease ended and another node did the task: what it answers when it wakes is ignored."""
    silence = {"NEXUS_HEARTBEAT_TIMEOUT": "1", "NEXUS_HEALTH_CHECK_INTERVAL": "0.2", "LEASE_SECONDS": "4"}
    engine = engine_process("--no-local-node", **{**SHORT, **silence})
    go, ledger = tmp_path / "go", tmp_path / "ledger"
    spore = spore_process(engine)
    with Api(engine) as api:
        task_id = api.submit(
            f"!echo $$ >> {ledger}; while [ ! -e {go} ]; do sleep 0.05; done; wc -l < {ledger}"
        )
        wait_until(ledger.exists, what="it to start")
        spore.signal(signal.SIGSTOP)
        try:
            spore_process(engine, name="another")
            wait_until(lambda: len(ledger.read_text().splitlines()) == 2, 40, "the second attempt to start")
            go.touch()
            done = api.finished(task_id)
        finally:
            spore.signal(signal.SIGCONT)
        api.online(spore.name, 40)
        holds_for(0.5, lambda: api.task(task_id)["result"] == done["result"])

    assert (done["status"], done["attempt"]) == ("COMPLETED", 2)


def test_finished_tasks_settings_and_logs_survive_a_restart(engine_process: EngineStarter) -> None:
    """State is stored on every change: what was seen before is what is seen after."""
    engine = engine_process()
    with Api(engine) as api:
        ids = [api.run(content)["id"] for content in ("hello", "!exit 3", "!echo out")]
        ids.append(api.submit("x", requirements={"tags": ["nobody"]}))
        api.abort(ids[-1])
        before = api.tasks()
    engine.restart()
    with Api(engine) as api:
        assert api.tasks() == before
        assert api.http.get(f"/api/v1/tasks/{ids[2]}").json() == before[1]


def test_the_operator_s_token_survives_a_restart(engine_process: EngineStarter) -> None:
    """It is made once and kept in the state folder, readable by its owner alone."""
    engine = engine_process()
    token = engine.token
    engine.restart()
    assert engine.token == token
    assert (engine.state_dir / "token").stat().st_mode & 0o777 == 0o600
    assert (engine.state_dir / "node-token").stat().st_mode & 0o777 == 0o600
