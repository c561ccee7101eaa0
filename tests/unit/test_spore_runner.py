"""The runner: every call ends with one answer that says what happened, and a stop is a stop."""

import asyncio
import threading
from pathlib import Path

import pytest

from spore.answers import MAX_RESULT_BYTES
from spore.runner import MAX_DIRECT_CALLS
from spore.skills import SkillContext, SkillFailed
from spore.skills.registry import Registry, default_registry
from tests.unit.spore_helpers import Bench, a_request
from venom_engine.protocol.messages import Accepted, Refused


class Held:
    """Calls that go on until the test lets them, or until they are stopped."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.release = asyncio.Event()
        self.runs = 0

    async def run(self) -> str:
        """Wait for the test."""
        self.runs += 1
        self.started.set()
        await self.release.wait()
        return "released"


@pytest.fixture
def held() -> Held:
    return Held()


@pytest.fixture
def registry(held: Held) -> Registry:
    registry = default_registry()
    registry.add_function(held.run, "Held")
    return registry


async def test_echo_answers(tmp_path: Path) -> None:
    """`Processed: ` and what it was given, with the time that it took."""
    response = await Bench(tmp_path).call("Echo", "run", content="hello")
    assert (response.success, response.result, response.outcome) == (True, "Processed: hello", "done")
    assert response.execution_time >= 0


async def test_a_task_too_many_is_refused_and_a_direct_call_runs_beside(
    tmp_path: Path, registry: Registry, held: Held
) -> None:
    """Exactly `slots` tasks at a time; calls outside the queue do not take a slot."""
    bench = Bench(tmp_path, slots=2, registry=registry)
    first, second = bench.start(a_request("Held")), bench.start(a_request("Held"))

    refusal = bench.runner.start(a_request("Held"))
    direct = bench.start(a_request(direct=True, parameters={"content": "x"}))

    assert isinstance(refusal, Refused) and "slots (2)" in refusal.reason
    assert (await bench.answer(direct)).success
    held.release.set()
    assert (await bench.answer(first)).result == (await bench.answer(second)).result == "released"
    assert bench.start(a_request(parameters={"content": "x"}))


async def test_direct_calls_have_a_bound_of_their_own(tmp_path: Path, registry: Registry, held: Held) -> None:
    """A caller cannot pile up calls on a node without an end."""
    bench = Bench(tmp_path, registry=registry)
    for _ in range(MAX_DIRECT_CALLS):
        bench.start(a_request("Held", direct=True))
    assert isinstance(bench.runner.start(a_request("Held", direct=True)), Refused)
    held.release.set()
    await bench.runner.close(drain=5)


async def test_a_repeated_request_is_accepted_and_not_run_twice(
    tmp_path: Path, registry: Registry, held: Held
) -> None:
    """While it runs, and while its answer is not stored: the same run, the same answer."""
    bench = Bench(tmp_path, registry=registry)
    request = a_request("Held")
    bench.start(request)
    await held.started.wait()
    assert isinstance(bench.runner.start(request), Accepted)
    held.release.set()
    assert (await bench.answer(request.request_id)).success
    assert held.runs == 1


async def test_an_unknown_skill_is_refused_for_a_task_and_answered_for_a_direct_call(tmp_path: Path) -> None:
    """A task may find a better node; whoever calls directly wants to know."""
    bench = Bench(tmp_path)
    refusal = bench.runner.start(a_request("Nope"))
    answer = await bench.answer(bench.start(a_request("Nope", direct=True)))

    assert isinstance(refusal, Refused) and "'Nope'" in refusal.reason and "ShellSkill" in refusal.reason
    assert not answer.success and "'Nope'" in (answer.error or "")


@pytest.mark.parametrize(
    ("method", "parameters", "said"),
    [
        ("sing", {}, "has no method 'sing'. It has: run"),
        ("__init__", {}, "has no method '__init__'"),
        ("run", {}, "missing a required argument: 'content'. It takes: content: str"),
        ("run", {"content": "x", "loud": True}, "unexpected keyword argument 'loud'"),
        ("run", {"content": 5}, "content: Input should be a valid string"),
    ],
)
async def test_a_call_that_does_not_fit_says_why(
    tmp_path: Path, method: str, parameters: dict[str, object], said: str
) -> None:
    """Method and parameters are checked before anything runs."""
    response = await Bench(tmp_path).call("Echo", method, **parameters)
    assert not response.success and said in (response.error or "")


async def test_a_caller_cannot_hand_in_the_context(tmp_path: Path) -> None:
    """It is the node's to give."""
    response = await Bench(tmp_path).call("FileSkill", "list_files", context={"workspace": "/"})
    assert not response.success and "'context' is given by the node" in (response.error or "")


async def test_an_exception_is_told_with_its_type_message_file_and_line(tmp_path: Path) -> None:
    """The line is the last one in the skill's own file, wherever below it broke."""

    async def explode() -> None:
        int("no number")

    registry = Registry()
    registry.add_function(explode, "Explode")
    response = await Bench(tmp_path, registry=registry).call("Explode", "run")

    line = explode.__code__.co_firstlineno + 1
    assert response.error == (
        f"ValueError: invalid literal for int() with base 10: 'no number' (at {__file__}:{line})"
    )
    assert (response.success, response.outcome) == (False, "done")


async def test_a_skill_that_calls_exit_does_not_end_the_node(tmp_path: Path) -> None:
    """Neither a coroutine nor a thread can."""

    async def leave() -> None:
        raise SystemExit(3)

    registry = default_registry()
    registry.add_function(leave, "Leave")
    registry.add_function(lambda: exit(4), "LeaveThread")
    bench = Bench(tmp_path, registry=registry)

    assert "SystemExit" in ((await bench.call("Leave", "run")).error or "")
    assert "SystemExit" in ((await bench.call("LeaveThread", "run")).error or "")
    assert (await bench.call("Echo", "run", content="x")).success


async def test_a_failure_of_the_skill_s_own_words_is_shown_as_it_is(tmp_path: Path) -> None:
    """No type, no line; a result may come with it."""

    async def fail() -> None:
        raise SkillFailed("the printer is on fire", result={"pages": 2})

    registry = Registry()
    registry.add_function(fail, "Fail")
    response = await Bench(tmp_path, registry=registry).call("Fail", "run")
    assert (response.error, response.result) == ("the printer is on fire", {"pages": 2})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (object(), "not JSON"),
        (float("nan"), "not JSON"),
        ({"text": "\ud800"}, "not JSON"),
        ({1: {2: {(3,): 4}}}, "not JSON"),
        ("x" * MAX_RESULT_BYTES, "the limit is"),
    ],
)
async def test_a_result_that_cannot_travel_is_a_clear_failure(
    tmp_path: Path, value: object, said: str
) -> None:
    """Not JSON, or too large: the task fails and says so, and the session lives on."""

    async def give() -> object:
        return value

    registry = Registry()
    registry.add_function(give, "Give")
    response = await Bench(tmp_path, registry=registry).call("Give", "run")
    assert not response.success and said in (response.error or "")


async def test_a_result_that_is_nested_without_end_is_a_clear_failure(tmp_path: Path) -> None:
    """What no reader could take is not sent."""

    async def nest() -> object:
        deep: list[object] = []
        for _ in range(100_000):
            deep = [deep]
        return deep

    registry = Registry()
    registry.add_function(nest, "Nest")
    response = await Bench(tmp_path, registry=registry).call("Nest", "run")
    assert not response.success and "not JSON" in (response.error or "")


async def test_a_call_over_its_time_is_stopped(tmp_path: Path, registry: Registry) -> None:
    """Outcome `timeout`, and the limit in the error."""
    bench = Bench(tmp_path, registry=registry)
    response = await bench.answer(bench.start(a_request("Held", timeout=0.05)))
    assert (response.success, response.outcome, response.error) == (
        False,
        "timeout",
        "timed out after 0.05 s",
    )


async def test_a_limit_that_is_none_is_refused(tmp_path: Path) -> None:
    """Zero seconds is a mistake, not a limit."""
    bench = Bench(tmp_path)
    response = await bench.answer(bench.start(a_request(timeout=0, parameters={"content": "x"})))
    assert not response.success and "above 0" in (response.error or "")


async def test_an_abort_stops_a_call_and_may_be_repeated(
    tmp_path: Path, registry: Registry, held: Held
) -> None:
    """One answer, outcome `aborted`; a second CANCEL, or one for an ended call, changes nothing."""
    bench = Bench(tmp_path, registry=registry)
    request_id = bench.start(a_request("Held"))
    await held.started.wait()

    bench.abort(request_id)
    bench.abort(request_id)
    response = await bench.answer(request_id)
    bench.abort(request_id)
    bench.abort("never heard of")

    assert (response.success, response.outcome) == (False, "aborted")
    assert bench.runner.running == 0 and len(bench.outbox) == 0


async def test_a_call_that_ends_together_with_its_abort_has_one_answer(
    tmp_path: Path, registry: Registry, held: Held
) -> None:
    """Whichever came first; the slot is free again."""
    bench = Bench(tmp_path, slots=1, registry=registry)
    request_id = bench.start(a_request("Held"))
    await held.started.wait()
    held.release.set()
    bench.abort(request_id)
    await bench.answer(request_id)
    assert (await bench.call("Echo", "run", content="x")).success


async def test_a_call_that_nobody_waits_for_ends_without_an_answer(
    tmp_path: Path, registry: Registry, held: Held
) -> None:
    """The engine gave it to another node: stop, and forget."""
    bench = Bench(tmp_path, registry=registry)
    request_id = bench.start(a_request("Held"))
    await held.started.wait()
    bench.runner.abandon(request_id)
    await bench.runner.close(drain=5)
    assert len(bench.outbox) == 0 and bench.outbox.take(1e9) is None


async def test_a_closing_runner_drains_then_interrupts_and_takes_nothing_new(
    tmp_path: Path, registry: Registry, held: Held
) -> None:
    """What ends in time is done; the rest is interrupted, so that it goes back to the queue uncounted."""
    bench = Bench(tmp_path, registry=registry)
    long = bench.start(a_request("Held"))
    short = bench.start(a_request("ShellSkill", parameters={"command": "sleep 0.2"}))
    await held.started.wait()

    closing = asyncio.create_task(bench.runner.close(drain=1.0))
    short_answer = await bench.answer(short)
    refusal = bench.runner.start(a_request())
    await closing

    assert short_answer.success
    assert (await bench.answer(long)).outcome == "interrupted"
    assert isinstance(refusal, Refused) and "stopping" in refusal.reason


async def test_a_plain_function_runs_in_a_thread_and_may_print(tmp_path: Path) -> None:
    """It does not hold up the node, and its output and progress come through."""
    seen: list[str] = []

    def resize(width: int, context: SkillContext) -> dict[str, object]:
        seen.append(threading.current_thread().name)
        context.say("half\n")
        context.progress(0.5)
        context.say("done\n", stream="stderr")
        return {"width": width}

    registry = Registry()
    registry.add_function(resize, "Images", "resize")
    bench = Bench(tmp_path, registry=registry)
    request = a_request("Images", "resize", parameters={"width": 3})
    response = await bench.answer(bench.start(request))

    assert response.result == {"width": 3}
    assert seen == ["Images.resize"]
    assert bench.output(request.request_id, "stdout") == "half\n"
    assert bench.output(request.request_id, "stderr") == "done\n"
    assert bench.progress == [0.5]


async def test_say_in_a_coroutine_is_refused_rather_than_a_deadlock(tmp_path: Path) -> None:
    """The error names the way that works."""

    async def talk(context: SkillContext) -> None:
        context.say("hello")

    registry = Registry()
    registry.add_function(talk, "Talk")
    response = await Bench(tmp_path, registry=registry).call("Talk", "run")
    assert "await context.output" in (response.error or "")


async def test_a_function_that_looks_at_cancelled_ends_with_its_abort(tmp_path: Path) -> None:
    """A thread cannot be killed, but it is told."""
    started = threading.Event()

    def work(context: SkillContext) -> None:
        started.set()
        while not context.cancelled:
            threading.Event().wait(0.005)

    registry = Registry()
    registry.add_function(work, "Work")
    bench = Bench(tmp_path, registry=registry)
    request_id = bench.start(a_request("Work"))
    await asyncio.to_thread(started.wait)
    bench.abort(request_id)
    assert (await bench.answer(request_id)).error == "aborted"
    assert bench.runner.stuck == 0


async def test_a_function_that_does_not_return_is_answered_for_and_counted(tmp_path: Path) -> None:
    """The abort is answered after its grace; the node knows that the thread is still there."""
    started, release = threading.Event(), threading.Event()

    def deaf() -> None:
        started.set()
        release.wait()

    registry = Registry()
    registry.add_function(deaf, "Deaf")
    bench = Bench(tmp_path, registry=registry)
    request_id = bench.start(a_request("Deaf"))
    await asyncio.to_thread(started.wait)
    bench.abort(request_id, grace=0.1)

    response = await bench.answer(request_id)
    assert (response.outcome, bench.runner.stuck) == ("aborted", 1)
    assert "has not returned" in (response.error or "")
    release.set()
    async with asyncio.timeout(10):
        while bench.runner.stuck:
            await asyncio.sleep(0.005)


async def test_a_skill_that_prints_faster_than_the_engine_stores_has_to_wait(tmp_path: Path) -> None:
    """The outbox stays bounded; as the engine stores, the skill goes on, and nothing is lost."""
    written = 0

    async def flood(context: SkillContext) -> str:
        nonlocal written
        for _ in range(40):
            await context.output("x" * 500_000)
            written += 1
        return "done"

    registry = Registry()
    registry.add_function(flood, "Flood")
    bench = Bench(tmp_path, registry=registry)
    request = a_request("Flood")
    bench.start(request)
    while not bench.outbox.is_full(request.request_id):
        await asyncio.sleep(0)
    for _ in range(100):
        await asyncio.sleep(0)
    assert written < 12

    assert (await bench.answer(request.request_id)).result == "done"
    assert len(bench.output(request.request_id)) == 20_000_000
