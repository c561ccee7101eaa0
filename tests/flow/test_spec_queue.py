"""The operator's hands: pause, resume, purge, abort, emergency stop, and the limit on tasks at a time."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import EngineStarter, SporeStarter
from tests.flow.wire_helpers import Api, a_marker, holds_for, processes_with, wait_until

#: How long a test looks for something that must not happen. A claim takes a few milliseconds.
A_LOOK = 0.7


def a_task_until(go: Path) -> str:
    """A command that ends well once the file is there."""
    return f"!while [ ! -e {go} ]; do sleep 0.05; done; echo done"


@pytest.fixture(params=["the engine's own node", "a spore"])
def place(request: pytest.FixtureRequest, queue_api: Api, queue_spore: str) -> dict[str, str]:
    """The requirements that put a task on either kind of node."""
    local = next(node["node_name"] for node in queue_api.nodes() if node["node_name"] != queue_spore)
    return {"node": queue_spore if request.param == "a spore" else local}


def test_a_pause_starts_nothing_new_and_lets_running_tasks_go_on(
    queue_api: Api, place: dict[str, str], tmp_path: Path
) -> None:
    """While paused, the running task ends well and a new one waits; resumed, the new one runs."""
    go = tmp_path / "go"
    running = queue_api.submit(a_task_until(go), requirements=place)
    queue_api.until(running, "PROCESSING")
    said = queue_api.queue("pause")
    assert (said["success"], said["paused"]) == (True, True) and said["message"]
    assert said["active_tasks"] >= 1
    waiting = queue_api.submit("hello", requirements=place)
    go.touch()

    assert queue_api.finished(running)["status"] == "COMPLETED"
    holds_for(A_LOOK, lambda: queue_api.task(waiting)["status"] == "PENDING", "nothing new starts")
    assert queue_api.queue()["paused"] is True
    said = queue_api.queue("resume")
    assert (said["success"], said["paused"]) == (True, False)
    assert said["pending_tasks"] is not None
    assert queue_api.finished(waiting)["status"] == "COMPLETED"


def test_pausing_twice_and_resuming_twice_is_harmless(queue_api: Api) -> None:
    """Each answers with success and the state that it leaves."""
    assert [queue_api.queue("pause")["paused"] for _ in range(2)] == [True, True]
    assert [queue_api.queue("resume")["paused"] for _ in range(2)] == [False, False]


def test_no_task_starts_after_a_pause_was_acknowledged(queue_api: Api, tmp_path: Path) -> None:
    """Under a stream of submissions, what is PENDING when pause answers stays PENDING."""
    for _ in range(5):
        ids = [queue_api.submit("!true") for _ in range(10)]
        queue_api.queue("pause")
        held = {i for i in ids if queue_api.task(i)["status"] == "PENDING"}
        holds_for(0.2, lambda held=held: all(queue_api.task(i)["status"] == "PENDING" for i in held))
        queue_api.queue("resume")
        for task_id in ids:
            assert queue_api.finished(task_id)["status"] == "COMPLETED"


def test_a_pause_survives_a_kill_of_the_engine(engine_process: EngineStarter) -> None:
    """kill -9 while paused: after the restart it is paused, and the waiting task waits until resume."""
    engine = engine_process()
    with Api(engine) as api:
        api.queue("pause")
        waiting = api.submit("hello")
    engine.kill()
    engine.restart()
    with Api(engine) as api:
        assert api.queue()["paused"] is True
        holds_for(A_LOOK, lambda: api.task(waiting)["status"] == "PENDING")
        api.queue("resume")
        assert api.finished(waiting)["status"] == "COMPLETED"


def test_a_purge_aborts_what_waits_and_nothing_else(
    queue_api: Api, place: dict[str, str], tmp_path: Path
) -> None:
    """Every PENDING task becomes ABORTED with a line that says why; the running one ends well."""
    go = tmp_path / "go"
    running = queue_api.submit(a_task_until(go), requirements=place)
    queue_api.until(running, "PROCESSING")
    queue_api.queue("pause")
    waiting = [queue_api.submit("x") for _ in range(7)]
    said = queue_api.queue("purge")
    go.touch()

    assert (said["success"], said["removed"]) == (True, 7) and said["message"]
    for task in map(queue_api.task, waiting):
        assert task["status"] == "ABORTED" and task["finished_at"] and task["error"]
        assert any("purge" in line.lower() for line in task["logs"])
    assert queue_api.finished(running)["status"] == "COMPLETED"
    assert queue_api.queue()["paused"] is True, "a purge neither pauses nor resumes"


def test_a_purge_of_an_empty_queue_removes_nothing(queue_api: Api) -> None:
    """Success, zero."""
    assert queue_api.queue("purge")["removed"] == 0


def test_an_abort_of_a_waiting_task_keeps_it_from_running(queue_api: Api, tmp_path: Path) -> None:
    """ABORTED at once, and it does not run after resume."""
    proof = tmp_path / "ran"
    queue_api.queue("pause")
    doomed, other = queue_api.submit(f"!touch {proof}"), queue_api.submit("hello")
    assert queue_api.abort(doomed).status_code == 200
    queue_api.queue("resume")
    queue_api.finished(other)

    assert queue_api.task(doomed)["status"] == "ABORTED"
    assert queue_api.task(doomed)["attempt"] == 0
    assert not proof.exists()


@pytest.mark.parametrize(
    "command",
    [
        "!sleep {0} & sleep {0}",
        "!(sleep {0} &) ; sleep {0}",
        "!setsid sleep {0} & sleep {0}",
        "!setsid sh -c 'sleep {0} & setsid sleep {0} & wait' & nohup sleep {0}",
        "!trap '' TERM HUP INT; sh -c \"trap '' TERM; while :; do sleep {0}; done\" & while :; do sleep {0}; done",
    ],
    ids=["background", "orphan", "own session", "own sessions deeper", "deaf to TERM"],
)
def test_an_abort_kills_every_process_of_the_task(
    queue_api: Api, place: dict[str, str], command: str
) -> None:
    """ABORTED, and nothing of it is left in /proc: no child, no grandchild, no session of its own."""
    marker, bystander = a_marker(), a_marker()
    other = queue_api.submit(f"!sleep {bystander}", requirements=place)
    doomed = queue_api.submit(command.format(marker), requirements=place)
    wait_until(
        lambda: sum(line.startswith("sleep") for line in processes_with(marker).values()) >= 2,
        what="two sleepers to run",
    )
    wait_until(lambda: processes_with(bystander), what="the bystander to run")
    assert queue_api.abort(doomed).status_code == 200

    task = queue_api.task(doomed)
    assert (task["status"], task["result"]) == ("ABORTED", None)
    assert any("abort" in line.lower() for line in task["logs"])
    wait_until(lambda: not processes_with(marker), 10, f"nothing left of it; left: {processes_with(marker)}")
    assert processes_with(bystander), "another task was hit"
    assert queue_api.task(other)["status"] == "PROCESSING"
    queue_api.abort(other)
    wait_until(lambda: not processes_with(bystander), 10)
    assert queue_api.task(doomed)["status"] == "ABORTED"


def test_an_aborted_task_is_not_tried_again(queue_api: Api, place: dict[str, str]) -> None:
    """Retries are for failures, not for what an operator stopped."""
    marker = a_marker()
    doomed = queue_api.submit(f"!sleep {marker}", requirements=place, max_retries=5)
    wait_until(lambda: processes_with(marker), what="it to run")
    queue_api.abort(doomed)
    wait_until(lambda: not processes_with(marker), 10)

    holds_for(A_LOOK, lambda: queue_api.task(doomed)["status"] == "ABORTED" and not processes_with(marker))


def test_an_emergency_stop_kills_everything_and_stays(
    queue_api: Api, queue_spore: str, tmp_path: Path
) -> None:
    """Running tasks on every node are killed with their children, waiting ones purged, the queue is paused.

    It stays stopped: a new task is taken and waits, until an operator resumes.
    """
    marker = a_marker()
    local = next(n["node_name"] for n in queue_api.nodes(online_only=True) if n["node_name"] != queue_spore)
    running = [
        queue_api.submit(f"!sleep {marker} & sleep {marker}", requirements={"node": node})
        for node in (local, queue_spore, local, queue_spore)
    ]
    wait_until(
        lambda: sum(line.startswith("sleep") for line in processes_with(marker).values()) == 8,
        what="all to run",
    )
    waiting = [queue_api.submit("x", requirements={"tags": ["nobody-has-this"]}) for _ in range(5)]
    said = queue_api.queue("emergency-stop")

    assert (said["success"], said["paused"]) == (True, True) and said["message"]
    assert (said["cancelled"], said["purged"]) == (4, 5)
    for task in map(queue_api.task, running + waiting):
        assert task["status"] == "ABORTED" and task["error"]
        assert any("emergency" in line.lower() for line in task["logs"])
    wait_until(lambda: not processes_with(marker), 10, "nothing left of them")
    status = queue_api.queue()
    assert (status["paused"], status["pending"], status["processing"]) == (True, 0, 0)

    later = queue_api.submit("hello")
    holds_for(A_LOOK, lambda: queue_api.task(later)["status"] == "PENDING")
    queue_api.queue("resume")
    assert queue_api.finished(later)["status"] == "COMPLETED"


def test_an_emergency_stop_ends_direct_calls_too(queue_api: Api, place: dict[str, str]) -> None:
    """Nothing that an operator started on a node goes on."""
    marker, node_id = a_marker(), queue_api.online(place["node"])["node_id"]
    with ThreadPoolExecutor(1) as caller:
        call = caller.submit(
            queue_api.execute, node_id, "ShellSkill", "run", 250, command=f"sleep {marker} & sleep {marker}"
        )
        wait_until(lambda: processes_with(marker), what="it to run")
        queue_api.queue("emergency-stop")
        answer = call.result(20)

    assert answer.status_code != 200 or answer.json()["success"] is False, answer.text
    wait_until(lambda: not processes_with(marker), 10)


def test_an_emergency_stop_survives_a_kill_of_the_engine(engine_process: EngineStarter) -> None:
    """After kill -9 and a restart it is stopped still, and nothing runs until resume."""
    engine = engine_process()
    with Api(engine) as api:
        api.queue("emergency-stop")
        waiting = api.submit("hello")
    engine.kill()
    engine.restart()
    with Api(engine) as api:
        status = api.queue()
        assert status["paused"] is True and status["stopped"] is True
        holds_for(A_LOOK, lambda: api.task(waiting)["status"] == "PENDING")
        api.queue("resume")
        assert api.finished(waiting)["status"] == "COMPLETED"
        assert api.queue()["stopped"] is False


def overlap(lines: list[str]) -> int:
    """The most tasks between `+` and `-` at once."""
    now = most = 0
    for line in lines:
        now += 1 if line == "+" else -1
        most = max(most, now)
    return most


def test_the_limit_holds_under_a_burst(
    engine_process: EngineStarter, spore_process: SporeStarter, tmp_path: Path
) -> None:
    """MAX_CONCURRENT_TASKS=3: of 50 tasks at once never more than three run, over all nodes, and all end."""
    engine, ledger = engine_process(MAX_CONCURRENT_TASKS="3"), tmp_path / "ledger"
    spore_process(engine)
    with Api(engine) as api:
        assert api.queue()["limit"] == 3
        ids = [api.submit(f"!echo + >> {ledger}; sleep 0.02; echo - >> {ledger}") for _ in range(50)]
        most_active = 0

        def all_done() -> bool:
            nonlocal most_active
            status = api.queue()
            most_active = max(most_active, status["active"], status["processing"])
            return status["completed"] == 50

        wait_until(all_done, 60, "all 50 to end")
        assert {api.task(task_id)["status"] for task_id in ids} == {"COMPLETED"}
    lines = ledger.read_text().split()
    assert len(lines) == 100
    assert 2 <= overlap(lines) <= 3 and most_active <= 3


def test_the_limit_counts_only_when_queue_limits_are_enabled(
    engine_process: EngineStarter, tmp_path: Path
) -> None:
    """ENABLE_QUEUE_LIMITS=false: five tasks that wait for each other all run at once in spite of a limit of 1."""
    engine = engine_process(MAX_CONCURRENT_TASKS="1", ENABLE_QUEUE_LIMITS="false", LOCAL_SLOTS="5")
    with Api(engine) as api:
        assert api.queue()["limit"] is None
        meet = f"!touch {tmp_path}/$$; while [ $(ls {tmp_path} | wc -l) -lt 5 ]; do sleep 0.05; done"
        ids = [api.submit(meet) for _ in range(5)]
        assert {api.finished(task_id)["status"] for task_id in ids} == {"COMPLETED"}


def test_tasks_submitted_while_paused_all_run_after_resume(queue_api: Api) -> None:
    """A hundred of them, none lost, none twice."""
    queue_api.queue("pause")
    ids = [queue_api.submit(f"n {n}") for n in range(100)]
    queue_api.queue("resume")
    for n, task_id in enumerate(ids):
        task = queue_api.finished(task_id)
        assert (task["result"], task["attempt"]) == (f"Processed: n {n}", 1)


def test_a_paused_queue_still_takes_lists_and_aborts(queue_api: Api) -> None:
    """Submissions, lists and aborts are answered as always while the queue is paused."""
    queue_api.queue("pause")
    task_id = queue_api.submit("x")
    assert queue_api.tasks(limit=1)[0]["id"] == task_id
    assert queue_api.abort(task_id).status_code == 200
