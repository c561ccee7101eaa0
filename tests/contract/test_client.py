"""What the words of `client.base.EngineClient` mean. One body, for an engine in this process and for a remote one."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.processes import EngineProcess
from venom_engine import open_engine
from venom_engine.client.base import EngineClient
from venom_engine.protocol.errors import BadRequest, EngineUnreachable, NodeTimeout, NotFound
from venom_engine.protocol.event import Event, EventType
from venom_engine.protocol.node import ExecuteRequest
from venom_engine.protocol.task import Requirements, TaskQuery, TaskRequest, TaskStatus, VenomTask

Opened = Callable[[], AbstractAsyncContextManager[EngineClient]]
NOBODY = Requirements(tags=("a-tag-that-no-node-has",))
SECONDS = 30


@pytest.fixture(scope="module")
def remote_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """An engine in a process of its own."""
    engine = EngineProcess(tmp_path_factory.mktemp("remote") / "state")
    try:
        yield engine
    finally:
        engine.end()


@pytest.fixture(params=["in process", "remote"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    """Opens a client with an engine behind it."""
    if request.param == "in process":
        return lambda: open_engine(state_dir=tmp_path / "state")
    remote: EngineProcess = request.getfixturevalue("remote_engine")
    return lambda: open_engine(remote.url, token=remote.token)


async def heard(events: AsyncIterator[Event], kind: str, **data: object) -> Event:
    """The next event of this type with this data."""
    async with asyncio.timeout(SECONDS):
        async for event in events:
            if event.type == kind and data.items() <= event.data.items():
                return event
    raise AssertionError(f"the events ended before {kind}")


async def ended(engine: EngineClient, task_id: UUID) -> VenomTask:
    """The task, once it has a final status."""
    async with engine.watch() as events, asyncio.timeout(SECONDS):
        while not (task := await engine.task(task_id)).status.is_final:
            await anext(events)
        return task


async def run(engine: EngineClient, content: str) -> VenomTask:
    return await ended(engine, (await engine.submit(TaskRequest(content=content))).task_id)


async def test_a_task_is_taken_run_and_shown(opened: Opened) -> None:
    """submit answers id and PENDING; task shows the end with its stage log."""
    async with opened() as engine:
        answer = await engine.submit(TaskRequest(content="hello", priority=7, max_retries=1, timeout=9))
        assert answer.status is TaskStatus.PENDING
        task = await ended(engine, answer.task_id)

        assert (task.id, task.status, task.result) == (
            answer.task_id,
            TaskStatus.COMPLETED,
            "Processed: hello",
        )
        assert (task.priority, task.max_retries, task.timeout, task.attempt) == (7, 1, 9, 1)
        assert task.started_at and task.finished_at and task.created_at.utcoffset() is not None
        assert len(task.logs) >= 3


async def test_a_request_that_names_no_call_is_refused(opened: Opened) -> None:
    """BadRequest, with what happened and what to do."""
    async with opened() as engine:
        for request in (TaskRequest(content="x", method="run"), TaskRequest(content="! ")):
            with pytest.raises(BadRequest) as refused:
                await engine.submit(request)
            assert refused.value.what and refused.value.do


async def test_what_is_not_there_is_not_found(opened: Opened) -> None:
    """A task to show, to read, to abort; a node to show and to call: NotFound that names it."""
    unknown = uuid4()
    call = ExecuteRequest(skill_name="Echo", method_name="run")
    async with opened() as engine:
        for asked in (engine.task, engine.output, engine.tail, engine.abort):
            with pytest.raises(NotFound, match=str(unknown)):
                await asked(unknown)
        with pytest.raises(NotFound, match="ghost"):
            await engine.node("ghost")
        with pytest.raises(NotFound, match="ghost"):
            await engine.execute("ghost", call)


async def test_tasks_come_newest_first_in_pages(opened: Opened) -> None:
    """A page tells the total and the next cursor; the cursor stays right while tasks come."""
    async with opened() as engine:
        queue = f"q-{uuid4().hex}"

        async def add() -> UUID:
            return (await engine.submit(TaskRequest(content="x", queue=queue, requirements=NOBODY))).task_id

        ids = [await add() for _ in range(7)]
        seen: list[UUID] = []
        cursor: str | None = None
        sizes: list[int] = []
        while True:
            page = await engine.tasks(TaskQuery(queue=queue, limit=3, cursor=cursor))
            assert page.total == 7 + len(sizes)
            seen += [task.id for task in page.tasks]
            sizes.append(len(page.tasks))
            await add()
            if (cursor := page.next_cursor) is None:
                break
        assert seen == ids[::-1] and sizes == [3, 3, 1]


async def test_the_list_can_be_filtered_and_left_without_logs(opened: Opened) -> None:
    """By status, queue, skill, node (id or name), text; `offset` skips; `logs=False` leaves them out."""
    async with opened() as engine:
        done = await run(engine, f"needle {uuid4().hex}")
        node = await engine.node(done.node_id or "")
        for query in (
            TaskQuery(text=done.content.upper(), status=(TaskStatus.COMPLETED, TaskStatus.FAILED)),
            TaskQuery(text=done.content, skill="Echo", queue="default"),
            TaskQuery(text=done.content, node=node.node_id),
            TaskQuery(text=done.content, node=node.node_name),
        ):
            assert [task.id for task in (await engine.tasks(query)).tasks] == [done.id]
        assert (await engine.tasks(TaskQuery(text=done.content))).tasks == [done]
        assert (await engine.tasks(TaskQuery(text=done.content, logs=False))).tasks[0].logs == []
        assert (await engine.tasks(TaskQuery(text=done.content, offset=1))).tasks == []
        assert (await engine.tasks(TaskQuery(text=done.content, status=(TaskStatus.PENDING,)))).total == 0


async def test_a_cursor_that_is_none_of_ours_is_refused(opened: Opened) -> None:
    """BadRequest."""
    async with opened() as engine:
        with pytest.raises(BadRequest):
            await engine.tasks(TaskQuery(cursor="rubbish"))


async def test_what_a_task_printed_can_be_read_from_either_end(opened: Opened) -> None:
    """`output` goes on after a number, `tail` begins near the end; both in order."""
    async with opened() as engine:
        task = await run(engine, "!for i in 1 2 3 4; do echo line $i; sleep 0.15; done; echo err >&2")
        chunks = await engine.output(task.id)
        numbers = [chunk.n for chunk in chunks]

        assert numbers == sorted(set(numbers)) and len(numbers) >= 3
        text = "".join(chunk.text for chunk in chunks if chunk.stream == "stdout")
        assert text == "line 1\nline 2\nline 3\nline 4\n"
        assert "".join(chunk.text for chunk in chunks if chunk.stream == "stderr") == "err\n"
        assert {chunk.attempt for chunk in chunks} == {1}
        assert await engine.output(task.id, after=numbers[0]) == chunks[1:]
        assert await engine.output(task.id, limit=2) == chunks[:2]
        assert await engine.tail(task.id, limit=2) == chunks[-2:]
        assert await engine.output(task.id, after=numbers[-1]) == []


async def test_a_task_without_output_has_none(opened: Opened) -> None:
    """An empty list, not an error."""
    async with opened() as engine:
        task = await run(engine, "hello")
        assert await engine.output(task.id) == await engine.tail(task.id) == []


async def test_an_abort_stops_a_task_once(opened: Opened) -> None:
    """Waiting or running: ABORTED when it answers; again, or after the end: NotFound."""
    async with opened() as engine, engine.watch() as events:
        waits = (await engine.submit(TaskRequest(content="x", requirements=NOBODY))).task_id
        runs = (await engine.submit(TaskRequest(content="!sleep 300"))).task_id
        await heard(events, EventType.TASK_STARTED, task_id=str(runs))
        for task_id in (waits, runs):
            answer = await engine.abort(task_id)
            assert (answer.success, answer.task_id) == (True, task_id) and answer.message
            assert (await engine.task(task_id)).status is TaskStatus.ABORTED
            with pytest.raises(NotFound):
                await engine.abort(task_id)


async def test_the_queue_is_paused_purged_stopped_and_resumed(opened: Opened) -> None:
    """Each control answers what it did, and the status agrees; it remembers who."""
    async with opened() as engine:
        try:
            paused = await engine.pause(by="nightshift")
            assert (paused.success, paused.paused) == (True, True)
            status = await engine.queue_status()
            assert (status.paused, status.stopped, status.paused_by) == (True, False, "nightshift")
            assert status.paused_at is not None
            await engine.purge()  # what the other tests left waiting
            waiting = [(await engine.submit(TaskRequest(content="x"))).task_id for _ in range(3)]
            assert (await engine.queue_status()).pending == 3
            purged = await engine.purge(by="nightshift")
            assert (purged.removed, purged.purged) == (3, 3)
            assert {(await engine.task(task_id)).status for task_id in waiting} == {TaskStatus.ABORTED}
            stopped = await engine.emergency_stop(by="nightshift")
            assert (stopped.paused, stopped.stopped, stopped.cancelled, stopped.purged) == (True, True, 0, 0)
            assert (await engine.queue_status()).stopped
        finally:
            resumed = await engine.resume(by="nightshift")
        assert (resumed.paused, resumed.stopped) == (False, False)
        status = await engine.queue_status()
        assert (status.paused, status.stopped, status.paused_by, status.paused_at) == (
            False,
            False,
            None,
            None,
        )


async def test_the_nodes_are_shown_and_called(opened: Opened) -> None:
    """The engine's own node is there; a call answers, or says what was wrong with it."""
    async with opened() as engine:
        found = await engine.nodes(online_only=True)
        local = next(node for node in found.nodes if node.is_local)
        assert (found.count, found.online_count) == (len(found.nodes), len(found.nodes))
        assert (await engine.node(local.node_id)).node_name == local.node_name

        async def call(skill: str, method: str, timeout: float = 20, **parameters: str) -> object:
            request = ExecuteRequest.model_validate(
                {"skill_name": skill, "method_name": method, "parameters": parameters, "timeout": timeout}
            )
            return await engine.execute(local.node_id, request)

        good = await call("Echo", "run", content="x")
        assert (good.success, good.result, good.error) == (True, "Processed: x", None)  # type: ignore[attr-defined]
        bad = await call("FileSkill", "read_file", path="../x")
        assert bad.success is False and bad.error  # type: ignore[attr-defined]
        with pytest.raises(BadRequest, match="NoSuchSkill"):
            await call("NoSuchSkill", "run")
        with pytest.raises(NodeTimeout):
            await call("ShellSkill", "run", 0.3, command="sleep 300")


async def test_a_watcher_hears_everything_from_the_moment_it_entered(opened: Opened) -> None:
    """In the order in which it was stored, with numbers that only grow."""
    async with opened() as engine, engine.watch() as events:
        task_id = (await engine.submit(TaskRequest(content="hello"))).task_id
        told = [await heard(events, EventType.TASK_CREATED, task_id=str(task_id))]
        told.append(await heard(events, EventType.TASK_STARTED, task_id=str(task_id)))
        told.append(await heard(events, EventType.TASK_COMPLETED, task_id=str(task_id)))

        numbers = [event.seq for event in told]
        assert None not in numbers and numbers == sorted(set(numbers), key=lambda n: n or 0)
        assert (await engine.task(task_id)).status is TaskStatus.COMPLETED


async def test_a_watcher_that_comes_back_misses_nothing(opened: Opened) -> None:
    """`after` replays what was stored since, then goes on live, without a gap or a repetition."""
    async with opened() as engine:
        async with engine.watch() as events:
            before = (await engine.submit(TaskRequest(content="before"))).task_id
            last = (await heard(events, EventType.TASK_COMPLETED, task_id=str(before))).seq
        assert last is not None
        away = await run(engine, "away")
        async with engine.watch(after=last) as events, asyncio.timeout(SECONDS):
            live = (await engine.submit(TaskRequest(content="live"))).task_id
            told: list[Event] = []
            while not (
                told and told[-1].type == EventType.TASK_COMPLETED and told[-1].data["task_id"] == str(live)
            ):
                told.append(await anext(events))
        stored = [event.seq for event in told if event.seq is not None]
        assert stored == list(range(last + 1, last + 1 + len(stored)))
        assert {str(away.id), str(live)} <= {str(event.data.get("task_id")) for event in told}


async def test_output_and_load_are_told_only_to_who_asks(opened: Opened) -> None:
    """TASK_OUTPUT with `output`, NODE_LOAD with `load`; neither otherwise."""
    async with opened() as engine, engine.watch() as plain, engine.watch(output=True, load=True) as full:
        task_id = str((await engine.submit(TaskRequest(content="!echo printed"))).task_id)
        printed = await heard(full, EventType.TASK_OUTPUT, task_id=task_id)
        assert (printed.data["text"], printed.data["stream"], printed.seq) == ("printed\n", "stdout", None)
        load = await heard(full, EventType.NODE_LOAD)
        assert load.seq is None and isinstance(load.data["nodes"], list)
        async with asyncio.timeout(SECONDS):
            kinds = []
            async for event in plain:
                kinds.append(event.type)
                if event.type == EventType.TASK_COMPLETED:
                    break
        assert not {EventType.TASK_OUTPUT, EventType.NODE_LOAD} & set(kinds)


async def test_many_may_use_it_at_once(opened: Opened) -> None:
    """A hundred submissions side by side: each its own id, all of them run."""
    async with opened() as engine:
        queue = f"q-{uuid4().hex}"
        requests = [TaskRequest(content=f"n {n}", queue=queue) for n in range(100)]
        answers = await asyncio.gather(*map(engine.submit, requests))
        assert len({answer.task_id for answer in answers}) == 100
        for answer, request in zip(answers, requests, strict=True):
            assert (await ended(engine, answer.task_id)).result == f"Processed: {request.content}"


@pytest.mark.parametrize("kind", ["in process", "remote"])
async def test_a_watch_ends_with_the_engine(kind: str, tmp_path: Path) -> None:
    """EngineUnreachable, not silence and not a plain end."""
    engine_process = EngineProcess(tmp_path / "remote") if kind == "remote" else None
    async with AsyncExitStack() as watching:
        async with AsyncExitStack() as living:
            if engine_process:
                engine = await living.enter_async_context(
                    open_engine(engine_process.url, token=engine_process.token)
                )
                living.callback(engine_process.end)
            else:
                engine = await living.enter_async_context(open_engine(state_dir=tmp_path / "state"))
            events = await watching.enter_async_context(engine.watch())
        with pytest.raises(EngineUnreachable):
            await heard(events, "NEVER")


async def test_a_remote_engine_that_is_not_there_is_unreachable() -> None:
    """Every word says so, and says what was tried."""
    async with open_engine("http://127.0.0.1:9", token="x") as engine:
        for ask in (engine.queue_status, engine.nodes, engine.pause):
            with pytest.raises(EngineUnreachable, match=re.escape("127.0.0.1:9")):
                await ask()
        with pytest.raises(EngineUnreachable):
            await engine.submit(TaskRequest(content="x"))
        with pytest.raises(EngineUnreachable):
            async with engine.watch():
                raise AssertionError("there is nothing to watch")
