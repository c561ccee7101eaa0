"""What a task is, and what becomes of it: the fields, the content rules, the five statuses."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.conftest import EngineStarter, SporeStarter
from tests.flow.wire_helpers import Api, Json, a_marker, processes_with, wait_until, with_path

ORIGINAL_FIELDS = {"id", "content", "created_at", "status", "result", "logs"}
FULL_FIELDS = {
    *("skill", "method", "parameters", "priority", "queue", "requirements", "attempt", "max_retries"),
    *("timeout", "node_id", "started_at", "finished_at", "error", "progress", "depends_on", "parent_id"),
    *("run_at", "unique_key"),
}
NOBODY = {"tags": ["a-tag-that-no-node-has"]}


def utc(text: str) -> datetime:
    """An ISO 8601 time that says that it is UTC."""
    told = datetime.fromisoformat(text)
    assert told.utcoffset() == timedelta(0), f"{text} is not UTC"
    return told


def logged(task: Json, word: str) -> list[str]:
    """The lines of the stage log with this word, case ignored."""
    return [line for line in task["logs"] if word.lower() in line.lower()]


def test_a_submission_is_answered_with_an_id_and_pending(api: Api) -> None:
    """201, a UUID, PENDING, and nothing else."""
    answer = api.http.post("/api/v1/tasks", json={"content": "hello"})

    assert answer.status_code == 201
    assert answer.json().keys() == {"task_id", "status"}
    assert answer.json()["status"] == "PENDING"
    assert UUID(answer.json()["task_id"])


def test_every_submission_has_an_id_of_its_own(api: Api) -> None:
    """The same content twenty times is twenty tasks."""
    assert len({api.submit("twins", requirements=NOBODY) for _ in range(20)}) == 20


def test_a_finished_task_shows_every_field_of_the_contract(api: Api) -> None:
    """The six fields of the original and those of the full task, each with its meaning."""
    task = api.run(
        "hello", priority=7, queue="night", max_retries=2, timeout=25, requirements={"local_fallback": True}
    )

    assert ORIGINAL_FIELDS | FULL_FIELDS <= task.keys()
    assert UUID(task["id"]) and task["content"] == "hello"
    assert (task["status"], task["result"], task["error"]) == ("COMPLETED", "Processed: hello", None)
    assert utc(task["created_at"]) <= utc(task["started_at"]) <= utc(task["finished_at"])
    assert (task["skill"], task["method"], task["parameters"]) == ("Echo", "run", {"content": "hello"})
    assert (task["priority"], task["queue"], task["max_retries"], task["timeout"]) == (7, "night", 2, 25)
    assert task["requirements"]["local_fallback"] is True
    assert {"tags", "gpu", "node"} <= task["requirements"].keys()
    assert task["attempt"] == 1
    assert task["node_id"] in {node["node_id"] for node in api.nodes()}
    assert (task["depends_on"], task["parent_id"], task["run_at"], task["unique_key"]) == (
        [],
        None,
        None,
        None,
    )
    assert task["progress"] is None or 0 <= task["progress"] <= 1
    assert task["logs"] and all(isinstance(line, str) for line in task["logs"])


def test_the_stage_log_tells_the_stages_in_order(api: Api) -> None:
    """Accepted, started on which node, finished: one line each, as they happened."""
    task = api.run("hello")
    node = api.node(task["node_id"])

    assert len(task["logs"]) >= 3
    assert "accept" in task["logs"][0].lower()
    started = next(n for n, line in enumerate(task["logs"]) if "start" in line.lower())
    assert node["node_name"] in task["logs"][started] or node["node_id"] in task["logs"][started]
    assert 0 < started < len(task["logs"]) - 1


def test_the_result_is_null_until_the_task_is_done(api: Api, tmp_path: Path) -> None:
    """While it runs there is no result and no end; then there are both."""
    go = tmp_path / "go"
    task_id = api.submit(f"!while [ ! -e {go} ]; do sleep 0.05; done; echo done")
    running = api.until(task_id, "PROCESSING")
    assert (running["result"], running["finished_at"], running["error"]) == (None, None, None)
    assert running["started_at"] and running["node_id"]
    go.touch()

    done = api.finished(task_id)
    assert done["status"] == "COMPLETED" and "done" in json.dumps(done["result"])
    assert done["finished_at"]


def test_a_task_takes_each_of_the_five_statuses(api: Api) -> None:
    """PENDING, PROCESSING, COMPLETED, FAILED and ABORTED, by these words."""
    marker = a_marker()
    waits, runs = api.submit("wait", requirements=NOBODY), api.submit(f"!sleep {marker}")
    assert api.task(waits)["status"] == "PENDING"
    api.until(runs, "PROCESSING")
    assert api.run("hello")["status"] == "COMPLETED"
    assert api.run("!exit 3")["status"] == "FAILED"
    for task_id in (waits, runs):
        assert api.abort(task_id).status_code == 200
        assert api.task(task_id)["status"] == "ABORTED"


def test_content_that_begins_with_an_exclamation_mark_is_a_shell_command(api: Api) -> None:
    """`!` runs ShellSkill.run with the rest as the command."""
    task = api.run("!echo $((6 * 7))")

    assert (task["skill"], task["method"]) == ("ShellSkill", "run")
    assert task["parameters"]["command"] == "echo $((6 * 7))"
    assert task["status"] == "COMPLETED" and "42" in json.dumps(task["result"])


def test_other_content_is_answered_by_the_default_skill(api: Api) -> None:
    """Out of the box that is Echo, which answers `Processed: <content>`, whatever the text."""
    for content in ("hello", "two\nlines", "zażółć gęślą jaźń 🐍", " ! not first"):
        assert api.run(content)["result"] == f"Processed: {content}"


def test_a_named_skill_is_called_with_the_parameters(api: Api) -> None:
    """`skill`, `method` and `parameters` say what to call; the content is only a title then."""
    name = f"note-{uuid4().hex}.txt"
    wrote = api.run(
        "keep a note", skill="FileSkill", method="write_file", parameters={"path": name, "content": "ink"}
    )
    read = api.run("read the note", skill="FileSkill", method="read_file", parameters={"path": name})

    assert wrote["status"] == "COMPLETED", wrote["error"]
    assert (read["content"], read["skill"], read["method"]) == ("read the note", "FileSkill", "read_file")
    assert read["result"] == "ink"


def test_tasks_run_in_the_background_and_the_api_goes_on(api: Api) -> None:
    """While tasks run, submissions and questions are answered."""
    marker = a_marker()
    running = [api.submit(f"!sleep {marker}") for _ in range(4)]
    for task_id in running:
        api.until(task_id, "PROCESSING")
    assert api.run("hello")["status"] == "COMPLETED"
    assert {api.task(task_id)["status"] for task_id in running} == {"PROCESSING"}
    for task_id in running:
        api.abort(task_id)
    wait_until(lambda: not processes_with(marker), what="the sleepers to be gone")


def test_a_failing_command_fails_the_task_and_says_why(api: Api) -> None:
    """FAILED; `error` says the exit status and what stderr said; the stage log has the line."""
    task = api.run("!echo no such tooth >&2; exit 3")

    assert (task["status"], task["result"] is None or "3" in json.dumps(task["result"])) == ("FAILED", True)
    assert "3" in task["error"]
    assert logged(task, "fail")


@pytest.mark.parametrize(
    ("skill", "method", "parameters", "word"),
    [
        ("FileSkill", "read_file", {"path": "not-there.txt"}, "not-there.txt"),
        ("FileSkill", "no_such_method", {}, "no_such_method"),
        ("FileSkill", "read_file", {"path": "x", "wrong": 1}, "wrong"),
        ("FileSkill", "read_file", {}, "path"),
        ("FileSkill", "read_file", {"path": 7}, "path"),
    ],
)
def test_a_call_that_cannot_be_carried_out_fails_the_task(
    api: Api, skill: str, method: str, parameters: Json, word: str
) -> None:
    """The error names what was wrong with the call."""
    task = api.run("do it", skill=skill, method=method, parameters=parameters)

    assert task["status"] == "FAILED"
    assert word in task["error"]


def test_an_exception_in_a_task_says_what_and_where(faulty_api: Api) -> None:
    """FAILED; `error` has the exception, its text and the place; the stage log has the line."""
    task = faulty_api.run("break", skill="Faulty", method="boom")

    assert task["status"] == "FAILED"
    assert "ValueError" in task["error"] and "the tooth is broken" in task["error"]
    assert "faulty_skills" in task["error"] or "boom" in task["error"], "it does not say where"
    assert logged(task, "the tooth is broken") or logged(task, "ValueError")


def test_a_failed_task_is_tried_again_while_retries_are_left(faulty_api: Api, tmp_path: Path) -> None:
    """Two failures with two retries end well, and the stage log tells why each retry came."""
    task = faulty_api.run(
        "try",
        skill="Faulty",
        method="third_time_lucky",
        parameters={"ledger": str(tmp_path / "ledger")},
        max_retries=2,
    )

    assert (task["status"], task["result"], task["attempt"]) == ("COMPLETED", "lucky", 3), task
    assert len(logged(task, "not yet")) == 2, task["logs"]
    assert len(logged(task, "start")) == 3, task["logs"]


def test_a_task_fails_when_its_retries_are_spent(faulty_api: Api) -> None:
    """One retry: two attempts, then FAILED with the last error."""
    task = faulty_api.run("try", skill="Faulty", method="boom", max_retries=1)

    assert (task["status"], task["attempt"]) == ("FAILED", 2)
    assert "the tooth is broken" in task["error"]


def test_a_task_is_not_tried_again_unless_asked(api: Api) -> None:
    """Without max_retries a failure is the end."""
    assert api.run("!exit 1")["attempt"] == 1


def test_a_task_that_takes_longer_than_its_timeout_fails_and_leaves_nothing(api: Api) -> None:
    """FAILED with the word timeout, and every process of it is gone."""
    marker = a_marker()
    task = api.run(f"!sleep {marker} & sleep {marker}", timeout=0.5)

    assert task["status"] == "FAILED"
    assert "time" in task["error"].lower() and "0.5" in task["error"]
    wait_until(lambda: not processes_with(marker), what="its processes to be gone")


def test_higher_priority_runs_first(engine_process: EngineStarter, tmp_path: Path) -> None:
    """Of the tasks that wait, 10 starts before 5 before 0, and of equals the oldest."""
    order = tmp_path / "order"
    wanted = {"low": 0, "first": 5, "second": 5, "high": 10}
    with Api(engine_process(LOCAL_SLOTS="1")) as api:
        api.queue("pause")
        ids = [api.submit(f"!echo {name} >> {order}", priority=wanted[name]) for name in wanted]
        api.queue("resume")
        for task_id in ids:
            assert api.finished(task_id)["status"] == "COMPLETED"

    assert order.read_text().split() == ["high", "first", "second", "low"]


def test_the_default_skill_can_be_configured(
    engine_process: EngineStarter, spore_process: SporeStarter, faulty_skills: Path
) -> None:
    """DEFAULT_SKILL names what content without `!` runs; it is called with `content`."""
    engine = engine_process("--no-local-node", DEFAULT_SKILL="Faulty.shout")
    spore_process(engine, "--skills", "faulty_skills", PYTHONPATH=with_path(faulty_skills))
    with Api(engine) as api:
        task = api.run("hello")

        assert (task["skill"], task["method"], task["result"]) == ("Faulty", "shout", "HELLO")


def test_an_acknowledged_task_survives_a_kill_the_next_instant(engine_process: EngineStarter) -> None:
    """kill -9 right after the 201: after a restart the task is there and runs."""
    engine = engine_process()
    with Api(engine) as api:
        task_id = api.submit("survivor")
    engine.kill()
    engine.restart()
    with Api(engine) as api:
        assert api.finished(task_id)["result"] == "Processed: survivor"
