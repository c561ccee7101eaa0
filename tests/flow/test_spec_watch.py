"""Watching: one task by server-sent events, everything by the event stream."""

import json
import subprocess
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest

from tests.conftest import EngineStarter
from tests.flow.wire_helpers import Api, Events, Json, RawNode, Reachable, a_marker, server_sent

NOBODY = {"tags": ["a-tag-that-no-node-has"]}


def stream_of(api: Api, task_id: str) -> list[tuple[str, Json]]:
    """The whole stream of a task, to its end."""
    with server_sent(api, f"/api/v1/tasks/{task_id}/stream") as events:
        return list(events)


def test_the_stream_follows_one_task_to_its_end(api: Api, tmp_path: Path) -> None:
    """task_update as it moves, then task_finished with the final task, then the end of the stream."""
    go = tmp_path / "go"
    task_id = api.submit(f"!while [ ! -e {go} ]; do sleep 0.05; done; echo done")
    with server_sent(api, f"/api/v1/tasks/{task_id}/stream") as events:
        name, first = next(events)
        assert name == "task_update" and task_id in json.dumps(first)
        heard = [(name, first)]
        while "PROCESSING" not in json.dumps(heard[-1][1]):
            heard.append(next(events))
        go.touch()
        heard += list(events)

    assert {name for name, _ in heard} <= {"task_update", "heartbeat", "task_finished"}
    assert [name for name, _ in heard].count("task_finished") == 1
    name, last = heard[-1]
    assert name == "task_finished" and "COMPLETED" in json.dumps(last)


def test_the_stream_of_a_finished_task_ends_at_once(api: Api) -> None:
    """Whoever comes late is told the end and sent home."""
    task = api.run("hello")
    name, last = stream_of(api, task["id"])[-1]

    assert name == "task_finished"
    assert "COMPLETED" in json.dumps(last) and "Processed: hello" in json.dumps(last)


@pytest.mark.slow
def test_the_stream_shows_a_sign_of_life_while_nothing_happens(api: Api) -> None:
    """A task that waits still has a heartbeat, so that a dead connection is noticed."""
    task_id = api.submit("x", requirements=NOBODY)
    with server_sent(api, f"/api/v1/tasks/{task_id}/stream") as events:
        assert next(name for name, _ in events if name != "task_update") == "heartbeat"
    api.abort(task_id)


def test_an_abort_ends_the_stream(api: Api) -> None:
    """task_finished says ABORTED."""
    task_id = api.submit("x", requirements=NOBODY)
    with server_sent(api, f"/api/v1/tasks/{task_id}/stream") as events:
        next(events)
        api.abort(task_id)
        name, last = list(events)[-1]
    assert name == "task_finished" and "ABORTED" in json.dumps(last)


def test_curl_follows_a_task(api: Api) -> None:
    """`curl -N` prints the events of one task and ends with it."""
    task_id = api.submit("!sleep 0.3; echo done")
    said = subprocess.run(
        [
            "curl",
            "-sN",
            "-H",
            f"Authorization: Bearer {api.token}",
            f"{api.url}/api/v1/tasks/{task_id}/stream",
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout

    assert "event: task_finished" in said.replace("event:task", "event: task")


def test_the_stream_of_many_watchers_is_told_to_each(api: Api) -> None:
    """Three watchers of one task each hear its end."""
    task_id = api.submit("x", requirements=NOBODY)
    path = f"/api/v1/tasks/{task_id}/stream"
    with server_sent(api, path) as one, server_sent(api, path) as two, server_sent(api, path) as three:
        for events in (one, two, three):
            next(events)
        api.abort(task_id)
        for events in (one, two, three):
            assert list(events)[-1][0] == "task_finished"


def test_every_event_has_type_message_timestamp_and_data(shared_engine: Reachable, api: Api) -> None:
    """One JSON object an event."""
    with Events(shared_engine) as events:
        task_id = str(api.run("hello")["id"])
        events.told("TASK_COMPLETED", task_id=task_id)
    for event in events.got:
        assert {"type", "message", "timestamp", "data"} <= event.keys()
        assert isinstance(event["data"], dict) and isinstance(event["message"], str)
        assert datetime.fromisoformat(event["timestamp"]).tzinfo


def test_the_events_of_a_task_are_told_in_order(shared_engine: Reachable, api: Api) -> None:
    """Created, started on a node, and each of the three ends, with the data of a task."""
    marker = a_marker()
    with Events(shared_engine) as events:
        ends = {
            "TASK_COMPLETED": api.submit("hello"),
            "TASK_FAILED": api.submit("!exit 1"),
            "TASK_ABORTED": api.submit(f"!sleep {marker}"),
        }
        events.told("TASK_STARTED", task_id=ends["TASK_ABORTED"])
        api.abort(ends["TASK_ABORTED"])
        for kind, task_id in ends.items():
            told = events.told(kind, task_id=task_id)
            assert told["data"]["status"] == kind.removeprefix("TASK_")
            order = [e["type"] for e in events.got if e["data"].get("task_id") == task_id]
            moves = [kind for kind in order if kind not in ("TASK_NOTE", "TASK_OUTPUT")]
            assert moves == ["TASK_CREATED", "TASK_STARTED", kind]


def test_what_was_told_is_already_true(shared_engine: Reachable, api: Api) -> None:
    """Stored first, then told: whoever asks after an event finds what it said."""
    with Events(shared_engine) as events:
        task_id = api.submit("hello")
        events.told("TASK_COMPLETED", task_id=task_id)
        assert api.task(task_id)["status"] == "COMPLETED"


def test_the_queue_controls_are_told(queue_engine: Reachable, queue_api: Api) -> None:
    """QUEUE_PAUSED, QUEUE_PURGED, QUEUE_RESUMED and EMERGENCY_STOP, with their counts."""
    with Events(queue_engine) as events:
        queue_api.queue("pause")
        events.told("QUEUE_PAUSED")
        queue_api.submit("x")
        queue_api.submit("x")
        queue_api.queue("purge")
        assert events.told("QUEUE_PURGED")["data"]["purged"] == 2
        queue_api.queue("resume")
        events.told("QUEUE_RESUMED")
        queue_api.queue("emergency-stop")
        assert {"cancelled", "purged"} <= events.told("EMERGENCY_STOP")["data"].keys()


def test_a_node_that_comes_and_goes_is_told(shared_engine: Reachable, node_token: str) -> None:
    """NODE_CONNECTED with id, name, skills and tags; NODE_DISCONNECTED with the id."""
    with Events(shared_engine) as events:
        with RawNode(shared_engine) as node:
            node.handshake(node_token, skills=("Sing", "Dance"), capabilities={"tags": ["gpu"]})
            told = events.told("NODE_CONNECTED", node_id=node.node_id)["data"]
            assert (told["node_name"], told["skills"], told["tags"]) == (
                node.name,
                ["Sing", "Dance"],
                ["gpu"],
            )
        events.told("NODE_DISCONNECTED", node_id=node.node_id)


def test_the_operator_is_told_what_he_should_know(engine_process: EngineStarter) -> None:
    """SYSTEM_LOG carries the engine's own news, such as a damaged state file at the start."""
    engine = engine_process()
    engine.stop()
    (engine.state_dir / "venom.db").write_bytes(b"not a database at all" * 1000)
    engine.restart()
    with Events(engine, "?after=0") as events:
        told = events.told("SYSTEM_LOG")
    assert told["data"]["level"] in ("warning", "error")
    assert "damaged" in told["message"].lower()


def test_a_watcher_that_was_away_misses_nothing(shared_engine: Reachable, api: Api) -> None:
    """Events have a number that only grows; `after` replays what came since."""
    with Events(shared_engine) as events:
        first = str(api.run("before")["id"])
        last_seen = events.told("TASK_COMPLETED", task_id=first)["seq"]
    away = str(api.run("while away")["id"])
    with Events(shared_engine, f"?after={last_seen}") as events:
        events.told("TASK_COMPLETED", task_id=away)
        numbers = [event["seq"] for event in events.got if event.get("seq") is not None]
    assert numbers == sorted(set(numbers)) and numbers[0] == last_seen + 1


def test_a_watcher_who_talks_or_vanishes_disturbs_nobody(shared_engine: Reachable, api: Api) -> None:
    """What a watcher sends is ignored; the others go on hearing."""
    with Events(shared_engine) as steady:
        with Events(shared_engine) as chatty:
            chatty.send("rubbish")
            chatty.send(b"\x00\xff")
            chatty.send({"type": "EMERGENCY_STOP"})
        task_id = str(api.run(f"hello {uuid4()}")["id"])
        steady.told("TASK_COMPLETED", task_id=task_id)
    assert api.queue()["paused"] is False
