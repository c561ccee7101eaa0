"""What the words of `store/base.py` mean. One body for every store."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from venom_engine.core.ids import new_task_id
from venom_engine.protocol.errors import BadRequest, EngineUnreachable
from venom_engine.protocol.event import Event, EventType
from venom_engine.protocol.task import Requirements, TaskQuery, TaskStatus
from venom_engine.rules.records import Change, Deal, Lane, Piece, Task
from venom_engine.store.base import Store
from venom_engine.store.sqlite import sqlite_store

LANE = Lane("default", "Echo", Requirements())
OTHER = Lane("slow", "Echo", Requirements(tags=("gpu",)))
LIMIT = 10_000


@asynccontextmanager
async def a_store(kind: str, folder: Path) -> AsyncIterator[Store]:
    assert kind == "sqlite"
    async with sqlite_store(folder / "venom.db", output_limit=LIMIT) as store:
        yield store


@pytest.fixture(params=["sqlite"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def a_task(lane: Lane = LANE, **fields: Any) -> Task:
    made = Task(
        id=new_task_id(),
        lane=lane,
        content="hi",
        method="run",
        parameters={"content": "hi"},
        priority=5,
        created_at=time.time(),
    )
    return replace(made, **fields)


def a_deal(limit: int = 10, *lanes: Lane) -> Deal:
    return Deal("node-1", "rack", lanes or (LANE,), limit)


def an_end(task: Task, **fields: Any) -> Change:
    return Change(
        **{
            "task_id": task.id,
            "attempt": task.attempt,
            "now": TaskStatus.COMPLETED,
            "event": EventType.TASK_COMPLETED,
            "message": "done",
            **fields,
        }
    )


async def claimed(store: Store, *tasks: Task) -> list[Task]:
    await store.add(tasks)
    return await store.claim([a_deal(len(tasks), *{task.lane for task in tasks})])


async def test_a_task_comes_back_as_it_was_given(kind: str, tmp_path: Path) -> None:
    """Every field, and the order of submission."""
    task = a_task(OTHER, priority=9, max_retries=2, timeout=1.5, parameters={"a": [1, None, "ü"]})
    async with a_store(kind, tmp_path) as store:
        await store.add([task])

        assert await store.find(task.id) == replace(task, n=1)


async def test_what_was_acknowledged_is_there_after_a_reopen(kind: str, tmp_path: Path) -> None:
    """Tasks, events, counts and the operator's orders."""
    async with a_store(kind, tmp_path) as store:
        (task,) = await claimed(store, a_task())
        await store.pause("night")
        counts, control, events = store.counts(), store.control(), await store.events(0, 100)
    async with a_store(kind, tmp_path) as store:
        assert await store.find(task.id) == task
        assert (store.counts(), store.control(), await store.events(0, 100)) == (counts, control, events)
        assert await store.held() == [(task, 0)]


async def test_add_takes_all_or_none(kind: str, tmp_path: Path) -> None:
    """One task that cannot be kept (its id is taken) keeps the others out, and harms nobody else."""
    taken = a_task()
    async with a_store(kind, tmp_path) as store:
        await store.add([taken])
        good = a_task()
        results = await asyncio.gather(
            store.add([a_task(), taken]), store.add([good]), return_exceptions=True
        )

        assert isinstance(results[0], Exception)
        assert results[1] is None
        assert store.counts()[TaskStatus.PENDING] == 2
        assert (await store.page(TaskQuery()))[1] == 2


async def test_claims_take_the_highest_priority_then_the_oldest(kind: str, tmp_path: Path) -> None:
    """Over several lanes as within one."""
    tasks = [a_task(priority=p) for p in (5, 9, 5)] + [a_task(OTHER, priority=p) for p in (7, 10)]
    async with a_store(kind, tmp_path) as store:
        await store.add(tasks)
        one = await store.claim([a_deal(2)])
        rest = await store.claim([a_deal(10, LANE, OTHER)])

        assert [task.priority for task in one] == [9, 5]
        assert one[1].id == tasks[0].id
        assert [task.priority for task in rest] == [10, 7, 5]


async def test_a_claim_counts_the_attempt_and_names_the_node(kind: str, tmp_path: Path) -> None:
    """And tells it, after it was stored."""
    told: list[Event] = []
    async with a_store(kind, tmp_path) as store:
        store.listen(told.extend)
        (task,) = await claimed(store, a_task())

        assert (task.status, task.attempt, task.node_id) == (TaskStatus.PROCESSING, 1, "node-1")
        assert await store.find(task.id) == task
        assert [event.type for event in told] == [EventType.TASK_CREATED, EventType.TASK_STARTED]
        assert told == await store.events(0, 10)


async def test_two_claims_at_once_never_get_the_same_task(kind: str, tmp_path: Path) -> None:
    """However many ask."""
    async with a_store(kind, tmp_path) as store:
        await store.add([a_task() for _ in range(50)])
        claims = await asyncio.gather(*(store.claim([a_deal(3)]) for _ in range(30)))
        ids = [task.id for claim in claims for task in claim]

        assert len(ids) == len(set(ids)) == 50


async def test_nothing_is_claimed_while_the_queue_is_paused(kind: str, tmp_path: Path) -> None:
    """The order is checked in the claim itself, and a resume ends it."""
    async with a_store(kind, tmp_path) as store:
        await store.add([a_task()])
        await store.pause("night")
        assert await store.claim([a_deal()]) == []
        await store.resume("day")

        assert len(await store.claim([a_deal()])) == 1


async def test_a_stale_change_writes_nothing(kind: str, tmp_path: Path) -> None:
    """An answer of an old attempt returns None and leaves the task as it was."""
    async with a_store(kind, tmp_path) as store:
        (first,) = await claimed(store, a_task())
        await store.apply(an_end(first, now=TaskStatus.PENDING, event=EventType.TASK_RETRIED))
        (second,) = await store.claim([a_deal()])
        before = await store.events(0, 100)

        assert await store.apply(an_end(first, result="late")) is None
        assert await store.find(first.id) == second
        assert await store.events(0, 100) == before


async def test_an_end_is_stored_with_its_reason(kind: str, tmp_path: Path) -> None:
    """Result, time and a line in the stage log; a second end finds nothing to end."""
    async with a_store(kind, tmp_path) as store:
        (task,) = await claimed(store, a_task())
        ended = await store.apply(an_end(task, result={"x": 1}))

        assert ended is not None
        assert (ended.status, ended.result) == (TaskStatus.COMPLETED, {"x": 1})
        assert ended.finished_at is not None
        assert [event.message for event in (await store.stage_logs([task]))[task.id]][-1] == "done"
        assert await store.apply(an_end(task)) is None


async def test_an_excused_attempt_is_counted_as_such(kind: str, tmp_path: Path) -> None:
    """The fencing token grows all the same."""
    async with a_store(kind, tmp_path) as store:
        (task,) = await claimed(store, a_task())
        await store.apply(an_end(task, now=TaskStatus.PENDING, event=EventType.TASK_RETRIED, excused=True))
        (again,) = await store.claim([a_deal()])

        assert (again.attempt, again.attempts_spent) == (2, 1)


async def test_an_abort_ends_what_is_alive_and_nothing_else(kind: str, tmp_path: Path) -> None:
    """It returns the task as it was, so that the caller knows whether a node must be told."""
    async with a_store(kind, tmp_path) as store:
        (running,) = await claimed(store, a_task())
        waiting = a_task()
        await store.add([waiting])

        assert (await store.abort(running.id, "stop")) == running
        before = await store.abort(waiting.id, "stop")
        assert before is not None
        assert before.status is TaskStatus.PENDING
        assert await store.abort(running.id, "again") is None
        assert await store.abort(new_task_id(), "who?") is None
        assert store.counts()[TaskStatus.ABORTED] == 2


async def test_a_purge_ends_what_waits_and_a_stop_ends_everything(kind: str, tmp_path: Path) -> None:
    """Each task's stage log says so; after a stop nothing is claimed until a resume."""
    async with a_store(kind, tmp_path) as store:
        (running,) = await claimed(store, a_task())
        waiting = [a_task() for _ in range(3)]
        await store.add(waiting)
        purged = await store.purge("me")
        assert (purged.purged, store.counts()[TaskStatus.PROCESSING]) == (3, 1)
        assert "Purged" in (await store.stage_logs([replace(waiting[0], n=2)]))[waiting[0].id][-1].message

        await store.add([a_task()])
        stopped = await store.stop("me")
        assert (stopped.cancelled, stopped.purged) == (1, 1)
        assert store.control().stopped
        found = await store.find(running.id)
        assert found is not None
        assert found.status is TaskStatus.ABORTED
        await store.add([a_task()])
        assert await store.claim([a_deal()]) == []
        await store.resume("me")
        assert len(await store.claim([a_deal()])) == 1


async def test_event_numbers_only_grow(kind: str, tmp_path: Path) -> None:
    """Also past a purge, whose single events are not told one by one."""
    told: list[Event] = []
    async with a_store(kind, tmp_path) as store:
        store.listen(told.extend)
        await store.add([a_task() for _ in range(3)])
        await store.purge(None)
        await store.add([a_task()])
        kept = [event.seq for event in await store.events(0, 100)]

        assert kept == list(range(1, 9))
        assert [event.seq for event in told] == [1, 2, 3, 7, 8]


async def test_output_is_kept_once_and_in_order(kind: str, tmp_path: Path) -> None:
    """Pieces that a node sends again after a broken connection are not kept twice."""
    pieces = [Piece(n, "stdout", f"line {n}\n", 1.0) for n in range(1, 6)]
    async with a_store(kind, tmp_path) as store:
        (task,) = await claimed(store, a_task())
        await store.add_output(task.id, 1, pieces[:3])
        again = await store.add_output(task.id, 1, pieces)

        assert [chunk.n for chunk in again] == [4, 5]
        assert [chunk.text for chunk in await store.output(task.id, 0, 100)] == [p.text for p in pieces]
        assert [chunk.n for chunk in await store.output(task.id, 3, 1)] == [4]
        assert [chunk.n for chunk in await store.tail(task.id, 2)] == [4, 5]
        assert await store.held() == [(task, 5)]


@pytest.mark.parametrize("reopened", [False, True])
async def test_long_output_keeps_head_and_tail(kind: str, tmp_path: Path, reopened: bool) -> None:
    """The first half of the limit and the last half; also when the store was closed in between."""
    pieces = [Piece(n, "stdout", f"{n:07d}".ljust(100), 1.0) for n in range(1, 1001)]
    async with a_store(kind, tmp_path) as store:
        (task,) = await claimed(store, a_task())
        await store.add_output(task.id, 1, pieces[:700])
        if not reopened:
            await store.add_output(task.id, 1, pieces[700:])
    async with a_store(kind, tmp_path) as store:
        if reopened:
            await store.add_output(task.id, 1, pieces[700:])
        numbers = [chunk.n for chunk in await store.output(task.id, 0, 10_000)]

        assert numbers == [*range(1, 51), *range(951, 1001)]


async def test_pages_walk_all_tasks_while_new_ones_come(kind: str, tmp_path: Path) -> None:
    """Newest first; the cursor skips nothing and repeats nothing."""
    async with a_store(kind, tmp_path) as store:
        tasks = [a_task() for _ in range(7)]
        await store.add(tasks)
        seen: list[str] = []
        cursor = None
        while True:
            page, total, cursor = await store.page(TaskQuery(limit=3, cursor=cursor))
            seen += [task.id for task in page]
            if cursor is None:
                break
            await store.add([a_task()])

        assert seen == [task.id for task in reversed(tasks)]
        assert total == 9
        with pytest.raises(BadRequest):
            await store.page(TaskQuery(cursor="1; DROP TABLE task"))


async def test_filters_narrow_a_page(kind: str, tmp_path: Path) -> None:
    """Status, queue, skill, node and text, each and together."""
    async with a_store(kind, tmp_path) as store:
        (running,) = await claimed(store, a_task(content="Resize A.PNG"))
        await store.add(
            [a_task(OTHER, content="other"), a_task(Lane("default", "ShellSkill", Requirements()))]
        )

        async def found(**query: Any) -> int:
            return (await store.page(TaskQuery(**query)))[1]

        assert await found(status=("PROCESSING",)) == await found(node="node-1") == 1
        assert await found(status=("PENDING", "PROCESSING")) == await found() == 3
        assert await found(queue="slow") == await found(skill="ShellSkill") == 1
        assert await found(text="a.png") == await found(text="resize", status=("PROCESSING",)) == 1
        assert await found(text="resize", status=("PENDING",)) == 0
        assert [task.id for task in (await store.page(TaskQuery(node="node-1")))[0]] == [running.id]


async def test_lanes_are_those_in_which_something_waits(kind: str, tmp_path: Path) -> None:
    """So that a starting engine knows where to claim."""
    async with a_store(kind, tmp_path) as store:
        await store.add([a_task(), a_task(OTHER)])
        await store.claim([a_deal()])

        assert await store.lanes() == [OTHER]


async def test_pruning_keeps_what_living_tasks_and_late_watchers_need(kind: str, tmp_path: Path) -> None:
    """The newest events stay, and every event of a task that is alive."""
    async with a_store(kind, tmp_path) as store:
        alive = a_task()
        await store.add([alive])
        for task in await claimed(store, *[a_task(OTHER) for _ in range(20)]):
            await store.apply(an_end(task))
        before = len(await store.events(0, 1000))
        gone = await store.prune(keep_events=10)
        kept = await store.events(0, 1000)

        assert len(kept) == before - gone == 11
        assert kept[0].data["task_id"] == alive.id


async def test_the_order_of_tags_makes_no_other_lane(kind: str, tmp_path: Path) -> None:
    """Who asks for (a, b) and who asks for (b, a) wait in one lane, and each task is claimed once."""
    lanes = [Lane("default", "Echo", Requirements(tags=tags)) for tags in (("a", "b"), ("b", "a", "b"))]
    async with a_store(kind, tmp_path) as store:
        tasks = await claimed(store, *[a_task(lane) for lane in lanes])

        assert lanes[0] == lanes[1]
        assert [task.attempt for task in tasks] == [1, 1]
        assert store.counts()[TaskStatus.PROCESSING] == 2


async def test_a_store_that_was_closed_says_so(kind: str, tmp_path: Path) -> None:
    """Nobody waits for ever on an engine that has ended."""
    async with a_store(kind, tmp_path) as store:
        pass

    with pytest.raises(EngineUnreachable):
        await store.add([a_task()])
    with pytest.raises(EngineUnreachable):
        await store.find(new_task_id())
