"""The engine with a node of the test's own on a link in memory: what is said, and what comes of it."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.core_helpers import TestNode, a_heartbeat, an_engine, drained, submitted, until
from venom_engine.protocol.errors import BadRequest, NodeOffline, NodeTimeout
from venom_engine.protocol.event import EventType
from venom_engine.protocol.messages import (
    Accepted,
    Cancel,
    HeldTask,
    LinkClosed,
    OutputMessage,
    OutputPiece,
    Refused,
    SkillExecutionRequest,
    Stored,
    Verdicts,
)
from venom_engine.protocol.node import ExecuteRequest
from venom_engine.protocol.task import TaskStatus


async def test_a_broken_connection_loses_nothing(tmp_path: Path) -> None:
    """The node comes back with the task in hand, and its answer counts."""
    async with an_engine(tmp_path) as engine, engine.watch() as events:
        node = TestNode(engine, "rack")
        await node.connect()
        task = await submitted(engine)
        request = await node.hear(SkillExecutionRequest)
        await node.say(Accepted(request_id=request.request_id))
        await node.cut()
        await until(events, EventType.NODE_DISCONNECTED)
        await node.connect(HeldTask(request_id=request.request_id, task_id=str(task.id), attempt=1))
        await node.answer(request)
        await until(events, EventType.TASK_COMPLETED)
        ended = await engine.task(task.id)

        assert (ended.attempt, ended.result) == (1, "done")
        assert (await node.hear(Stored)).responses == (request.request_id,)


async def test_a_node_that_comes_back_without_the_task_has_lost_it(tmp_path: Path) -> None:
    """It goes to the queue at once, and the next attempt has another name."""
    async with an_engine(tmp_path) as engine:
        node = TestNode(engine, "rack")
        await node.connect()
        task = await submitted(engine)
        first = await node.hear(SkillExecutionRequest)
        await node.say(Accepted(request_id=first.request_id))
        await node.cut()
        await node.connect()
        second = await node.hear(SkillExecutionRequest)

        assert (second.task_id, second.attempt) == (str(task.id), 2)
        assert second.request_id != first.request_id


async def test_a_late_answer_of_an_old_attempt_is_acknowledged_and_ignored(tmp_path: Path) -> None:
    """At most one attempt's result counts."""
    async with an_engine(tmp_path) as engine:
        node, other = TestNode(engine, "rack"), TestNode(engine, "other")
        await node.connect()
        task = await submitted(engine, max_retries=3)
        first = await node.hear(SkillExecutionRequest)
        await node.answer(first, success=False, error="boom")
        second = await node.hear(SkillExecutionRequest)
        await other.connect()
        await other.answer(second, result="forged")  # not its task
        await node.answer(first, result="late")
        assert (await node.hear(Stored)).responses == (first.request_id,)
        assert (await engine.task(task.id)).status is TaskStatus.PROCESSING
        async with engine.watch() as events:
            await node.answer(second, result="mine")
            await until(events, EventType.TASK_COMPLETED)

        assert (await engine.task(task.id)).result == "mine"


async def test_a_lease_that_nobody_renews_puts_the_task_back(tmp_path: Path) -> None:
    """The node is still connected but silent: another attempt, elsewhere, and nothing more for this one."""
    async with an_engine(tmp_path, lease_seconds=1.0) as engine, engine.watch() as events:
        silent, other = TestNode(engine, "a-silent"), TestNode(engine, "b-other")
        await silent.connect()
        task = await submitted(engine)
        request = await silent.hear(SkillExecutionRequest)
        await silent.say(Accepted(request_id=request.request_id))
        retried = await until(events, EventType.TASK_RETRIED)
        await other.connect()
        again = await other.hear(SkillExecutionRequest)
        await silent.say(a_heartbeat(silent, request.request_id))
        verdicts = await silent.hear(Verdicts)

        assert "did not renew its lease" in retried.message
        assert again.task_id == str(task.id)
        assert (verdicts.lost, verdicts.abort) == ((request.request_id,), ())


async def test_heartbeats_renew_the_lease(tmp_path: Path) -> None:
    """A task that runs for longer than a lease stays where it is."""
    async with an_engine(tmp_path, lease_seconds=1.0) as engine, engine.watch() as events:
        node = TestNode(engine, "rack")
        await node.connect()
        task = await submitted(engine)
        request = await node.hear(SkillExecutionRequest)
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            await node.say(a_heartbeat(node, request.request_id))
            await asyncio.sleep(0.2)  # the time that passes is what is tested
        await node.answer(request)
        await until(events, EventType.TASK_COMPLETED)

        assert (await engine.task(task.id)).attempt == 1


async def test_an_engine_that_was_asleep_declares_nobody_lost(tmp_path: Path) -> None:
    """Leases are put off by as long as the process did not run."""
    async with an_engine(tmp_path, lease_seconds=4.0) as engine:
        node = TestNode(engine, "rack")
        await node.connect()
        task = await submitted(engine)
        request = await node.hear(SkillExecutionRequest)
        await asyncio.sleep(1.1)  # one tick of the janitor, so that it knows the time
        time.sleep(6)  # noqa: ASYNC251 - stands for SIGSTOP: nothing of this process runs
        await asyncio.sleep(1.5)
        await node.say(a_heartbeat(node, request.request_id))

        assert (await engine.task(task.id)).status is TaskStatus.PROCESSING
        assert (await engine.task(task.id)).attempt == 1


async def test_an_abort_tells_the_node_until_it_obeys(tmp_path: Path) -> None:
    """A CANCEL at once; when that was lost, every heartbeat is answered with the verdict."""
    async with an_engine(tmp_path) as engine, engine.watch() as events:
        node = TestNode(engine, "rack")
        await node.connect()
        task = await submitted(engine)
        request = await node.hear(SkillExecutionRequest)
        await node.say(Accepted(request_id=request.request_id))
        await engine.abort(task.id)
        assert (await node.hear(Cancel)).request_id == request.request_id
        await node.say(a_heartbeat(node, request.request_id))
        assert (await node.hear(Verdicts)).abort == (request.request_id,)
        await node.answer(request, success=False, outcome="aborted")
        await until(events, EventType.TASK_NOTE)
        ended = await engine.task(task.id)

        assert ended.status is TaskStatus.ABORTED
        assert "has stopped it" in ended.logs[-1]
        assert (await engine.queue_status()).active == 0


async def test_a_refusal_and_an_interruption_cost_no_attempt(tmp_path: Path) -> None:
    """The node's reasons are not the task's fault."""
    async with an_engine(tmp_path) as engine, engine.watch() as events:
        node = TestNode(engine, "rack")
        await node.connect()
        task = await submitted(engine, max_retries=0)
        first = await node.hear(SkillExecutionRequest)
        await node.say(Refused(request_id=first.request_id, reason="all slots are taken"))
        second = await node.hear(SkillExecutionRequest)
        await node.answer(second, success=False, outcome="interrupted")
        third = await node.hear(SkillExecutionRequest)
        await node.answer(third)
        await until(events, EventType.TASK_COMPLETED)
        ended = await engine.task(task.id)

        assert (ended.status, ended.attempt) == (TaskStatus.COMPLETED, 3)
        assert any("refused it: all slots are taken" in line for line in ended.logs)


async def test_output_is_stored_before_it_is_acknowledged(tmp_path: Path) -> None:
    """And told to those who listen; a piece sent twice is kept once."""
    async with an_engine(tmp_path) as engine, engine.watch(output=True) as events:
        node = TestNode(engine, "rack")
        await node.connect()
        task = await submitted(engine)
        request = await node.hear(SkillExecutionRequest)
        piece = OutputPiece(n=1, text="line\n", at=time.time())
        for _ in range(2):
            await node.say(OutputMessage(request_id=request.request_id, pieces=(piece,)))
            assert (await node.hear(Stored)).output == {request.request_id: 1}
        told = await until(events, EventType.TASK_OUTPUT)

        assert told.data["text"] == "line\n"
        assert [chunk.text for chunk in await engine.output(task.id)] == ["line\n"]


async def test_an_original_node_that_leaves_loses_its_tasks_at_once(tmp_path: Path) -> None:
    """It cannot resume, so nobody waits for it; and it is never sent a word that it does not know."""
    async with an_engine(tmp_path) as engine, engine.watch() as events:
        node = TestNode(engine, "old", original=True, slots=1)
        await node.connect()
        task = await submitted(engine, max_retries=0)
        request = await node.hear(SkillExecutionRequest)
        assert request.timeout is not None
        await node.cut()
        await until(events, EventType.TASK_FAILED)
        ended = await engine.task(task.id)

        assert ended.error is not None
        assert "old is gone" in ended.error


async def test_a_newer_session_ends_the_older_and_outlives_its_clean_up(tmp_path: Path) -> None:
    """The old socket's end removes only its own epoch."""
    async with an_engine(tmp_path) as engine:
        node = TestNode(engine, "rack")
        await node.connect()
        old_link, old_serving = node.link, node.serving
        await node.connect()
        await old_serving
        with pytest.raises(LinkClosed):
            await drained(old_link)

        assert (await engine.node("rack")).is_online


async def test_a_direct_call_is_answered_times_out_or_ends_with_its_node(tmp_path: Path) -> None:
    """Never a hang."""
    call = ExecuteRequest(skill_name="Echo", method_name="run", timeout=0.2)
    async with an_engine(tmp_path) as engine:
        node = TestNode(engine, "rack")
        await node.connect()
        with pytest.raises(NodeTimeout):
            await engine.execute("rack", call)
        request = await node.hear(SkillExecutionRequest)
        assert (await node.hear(Cancel)).request_id == request.request_id

        calling = asyncio.create_task(engine.execute("rack", call.model_copy(update={"timeout": 30})))
        await node.hear(SkillExecutionRequest)
        await node.cut()
        with pytest.raises(NodeOffline):
            await calling


async def test_a_watcher_that_was_away_misses_nothing(tmp_path: Path) -> None:
    """Replay and live events join without a gap or a repeat."""
    async with an_engine(tmp_path) as engine:
        for _ in range(5):
            await submitted(engine)
        async with engine.watch(after=2) as events:
            seen = [await anext(events) for _ in range(2)]
            for _ in range(3):
                await submitted(engine)
            seen += [await anext(events) for _ in range(4)]

        assert [event.seq for event in seen] == [3, 4, 5, 6, 7, 8]


async def test_a_limit_on_tasks_at_a_time_holds(tmp_path: Path) -> None:
    """Whatever the slots allow; the next starts when one ends."""
    async with an_engine(tmp_path, max_concurrent_tasks=2) as engine:
        node = TestNode(engine, "rack", slots=10)
        await node.connect()
        for _ in range(5):
            await submitted(engine)
        running = [await node.hear(SkillExecutionRequest) for _ in range(2)]
        assert (await engine.queue_status()).processing == 2
        for _ in range(3):
            await node.answer(running.pop(0))
            running.append(await node.hear(SkillExecutionRequest))
            assert (await engine.queue_status()).processing <= 2


async def test_tasks_submitted_while_paused_start_after_the_resume(tmp_path: Path) -> None:
    """All of them."""
    async with an_engine(tmp_path) as engine:
        node = TestNode(engine, "rack", slots=10)
        await node.connect()
        await engine.pause(by="night")
        tasks = {str((await submitted(engine)).id) for _ in range(5)}
        assert (await engine.queue_status()).paused_by == "night"
        await engine.resume()
        started = {(await node.hear(SkillExecutionRequest)).task_id for _ in range(5)}

        assert started == tasks


async def test_progress_is_shown_while_the_task_runs(tmp_path: Path) -> None:
    """What the skill said last, and told to those who follow the output."""
    async with an_engine(tmp_path) as engine, engine.watch(output=True) as events:
        node = TestNode(engine, "rack")
        await node.connect()
        task = await submitted(engine)
        request = await node.hear(SkillExecutionRequest)
        await node.say(OutputMessage(request_id=request.request_id, pieces=(), progress=0.4))
        told = await until(events, EventType.TASK_PROGRESS)
        assert told.data["progress"] == (await engine.task(task.id)).progress == 0.4
        await node.answer(request)
        await until(events, EventType.TASK_COMPLETED)

        assert (await engine.task(task.id)).progress is None


async def test_a_submission_whose_caller_was_cancelled_still_runs(tmp_path: Path) -> None:
    """It may have been stored: then it is not left waiting."""
    async with an_engine(tmp_path) as engine:
        node = TestNode(engine, "rack")
        await node.connect()
        caller = asyncio.create_task(submitted(engine))
        await asyncio.sleep(0)  # it has asked the store
        caller.cancel()
        request = await node.hear(SkillExecutionRequest)

        assert request.task_id is not None


async def test_a_stop_whose_caller_was_cancelled_is_still_a_stop(tmp_path: Path) -> None:
    """The node is told, although nobody waits for the answer."""
    async with an_engine(tmp_path) as engine:
        node = TestNode(engine, "rack")
        await node.connect()
        await submitted(engine)
        request = await node.hear(SkillExecutionRequest)
        caller = asyncio.create_task(engine.emergency_stop())
        await asyncio.sleep(0)  # it has asked the store
        caller.cancel()

        assert (await node.hear(Cancel)).request_id == request.request_id


async def test_a_node_that_refuses_is_passed_over_for_a_while(tmp_path: Path) -> None:
    """An idle node gets the task instead of the one that does not want it."""
    async with an_engine(tmp_path) as engine:
        unwilling, willing = TestNode(engine, "a-unwilling"), TestNode(engine, "b-willing")
        await unwilling.connect()
        task = await submitted(engine)
        first = await unwilling.hear(SkillExecutionRequest)
        await willing.connect()
        await unwilling.say(Refused(request_id=first.request_id, reason="stopping"))

        assert (await willing.hear(SkillExecutionRequest)).task_id == str(task.id)


async def test_parameters_that_cannot_be_read_back_are_refused(tmp_path: Path) -> None:
    """One task must not stop the queue for all."""
    deep: Any = []
    for _ in range(230):
        deep = [deep]
    async with an_engine(tmp_path) as engine:
        with pytest.raises(BadRequest):
            await submitted(engine, skill="Echo", parameters={"content": deep})

        assert (await engine.queue_status()).pending == 0
