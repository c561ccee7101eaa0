"""Which node runs what: tag, skill, GPU, a node by name, the lowest load, and the engine itself."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from uuid import uuid4

from tests.flow.wire_helpers import (
    Api,
    Json,
    RawNode,
    Reachable,
    holds_for,
    wait_until,
)

A_LOOK = 0.5


@contextmanager
def raw_nodes(engine: Reachable, api: Api, token: str, **nodes: Json) -> Iterator[dict[str, RawNode]]:
    """Connected nodes by a short name, each with these capabilities (and `load`)."""
    with ExitStack() as stack:
        met = {}
        for short, capabilities in nodes.items():
            node = met[short] = stack.enter_context(RawNode(engine, f"{short}-{uuid4().hex[:6]}"))
            load, skills = capabilities.pop("load", None), tuple(capabilities.pop("skills", ()))
            node.handshake(token, skills=skills, capabilities=capabilities)
            api.online(node.name)
            if load:
                node.heartbeat(**load)
                wait_until(
                    lambda node=node, load=load: load.items() <= api.node(node.node_id).items(),
                    what="its load",
                )
        yield met


def test_a_task_goes_to_a_node_that_has_the_skill(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """And to no other, however idle."""
    skill = f"Dance-{uuid4().hex[:6]}"
    nodes = {"idle": {"skills": ["Other"]}, "dancer": {"skills": ["Other", skill]}}
    with raw_nodes(shared_engine, api, node_token, **nodes) as met:
        task_id = api.submit("x", skill=skill)
        met["dancer"].answer(met["dancer"].asked(skill), result="danced")
        assert api.finished(task_id)["node_id"] == met["dancer"].node_id
        assert "EXECUTE_SKILL" not in met["idle"].types_heard


def test_a_task_may_ask_for_tags(shared_engine: Reachable, api: Api, node_token: str) -> None:
    """Every one of them, on one node."""
    skill = f"Dance-{uuid4().hex[:6]}"
    tags = {
        "one": ["gpu"],
        "other": ["location:server_room"],
        "both": ["location:server_room", "gpu", "more"],
    }
    nodes = {short: {"skills": [skill], "tags": each} for short, each in tags.items()}
    with raw_nodes(shared_engine, api, node_token, **nodes) as met:
        task_id = api.submit("x", skill=skill, requirements={"tags": ["gpu", "location:server_room"]})
        met["both"].answer(met["both"].asked(skill))
        assert api.finished(task_id)["node_id"] == met["both"].node_id


def test_a_task_may_ask_for_a_gpu(shared_engine: Reachable, api: Api, node_token: str) -> None:
    """It waits while only nodes without one are there."""
    skill = f"Dance-{uuid4().hex[:6]}"
    with raw_nodes(shared_engine, api, node_token, plain={"skills": [skill], "has_gpu": False}):
        task_id = api.submit("x", skill=skill, requirements={"gpu": True})
        holds_for(A_LOOK, lambda: api.task(task_id)["status"] == "PENDING")
        strong = {"strong": {"skills": [skill], "has_gpu": True}}
        with raw_nodes(shared_engine, api, node_token, **strong) as met:
            met["strong"].answer(met["strong"].asked(skill))
            assert api.finished(task_id)["node_id"] == met["strong"].node_id


def test_a_task_may_ask_for_a_node_by_name_or_by_id(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """That node and no other, though another is less loaded."""
    skill = f"Dance-{uuid4().hex[:6]}"
    nodes = {
        "busy": {"skills": [skill], "load": {"cpu_usage": 1.0, "memory_usage": 1.0}},
        "idle": {"skills": [skill], "load": {"cpu_usage": 0.0, "memory_usage": 0.0}},
    }
    with raw_nodes(shared_engine, api, node_token, **nodes) as met:
        for n, name in enumerate((met["busy"].name, met["busy"].node_id)):
            task_id = api.submit("x", skill=skill, parameters={"n": n}, requirements={"node": name})
            met["busy"].answer(met["busy"].asked(skill, n=n))
            assert api.finished(task_id)["node_id"] == met["busy"].node_id


def test_the_node_with_the_lowest_load_is_chosen(shared_engine: Reachable, api: Api, node_token: str) -> None:
    """cpu*0.4 + memory*0.3 + (active/10)*0.3, the lowest wins: each of the three can tip the scale."""
    even = {"cpu_usage": 0.5, "memory_usage": 0.5, "active_tasks": 5}
    for better in ({"cpu_usage": 0.4}, {"memory_usage": 0.4}, {"active_tasks": 4}):
        skill = f"Dance-{uuid4().hex[:6]}"
        nodes = {
            "a": {"skills": [skill], "slots": 9, "load": even},
            "b": {"skills": [skill], "slots": 9, "load": {**even, **better}},
            "c": {"skills": [skill], "slots": 9, "load": even},
        }
        with raw_nodes(shared_engine, api, node_token, **nodes) as met:
            task_id = api.submit("x", skill=skill)
            met["b"].answer(met["b"].asked(skill))
            assert api.finished(task_id)["node_id"] == met["b"].node_id, better


def test_a_node_is_given_no_more_than_its_slots(shared_engine: Reachable, api: Api, node_token: str) -> None:
    """One that does not say runs one after another."""
    skill = f"Dance-{uuid4().hex[:6]}"
    with raw_nodes(shared_engine, api, node_token, single={"skills": [skill]}) as met:
        ids = [api.submit("x", skill=skill, parameters={"n": n}) for n in range(3)]
        for n, task_id in enumerate(ids):
            request = met["single"].asked(skill, n=n)
            waiting = [api.task(later)["status"] for later in ids[n + 1 :]]
            assert waiting == ["PENDING"] * len(waiting)
            met["single"].answer(request)
            assert api.finished(task_id)["status"] == "COMPLETED"


def test_a_burst_is_spread_over_the_nodes(shared_engine: Reachable, api: Api, node_token: str) -> None:
    """What a node was given counts as its load at once: equal nodes get equal shares."""
    skill = f"Dance-{uuid4().hex[:6]}"
    nodes: dict[str, Json] = {name: {"skills": [skill], "slots": 10} for name in ("a", "b", "c")}
    with raw_nodes(shared_engine, api, node_token, **nodes) as met:
        ids = [api.submit("x", skill=skill, parameters={"n": n}) for n in range(9)]
        for task_id in ids:
            api.until(task_id, "PROCESSING")
        given = [api.task(task_id)["node_id"] for task_id in ids]
        assert sorted(given) == sorted(3 * [node.node_id for node in met.values()])
        for task_id in ids:
            api.abort(task_id)


def test_a_task_that_no_node_fits_waits(api: Api) -> None:
    """Without leave to run elsewhere it stays PENDING."""
    task_id = api.submit("hello", requirements={"tags": ["nobody-has-this"]})
    holds_for(A_LOOK, lambda: api.task(task_id)["status"] == "PENDING")
    api.abort(task_id)


def test_a_task_that_no_node_fits_runs_on_the_engine_when_it_may(api: Api) -> None:
    """local_fallback: the engine's own node runs it, though it has not the tag."""
    task = api.run("hello", requirements={"tags": ["nobody-has-this"], "local_fallback": True})

    assert (task["status"], task["result"]) == ("COMPLETED", "Processed: hello")
    assert api.node(task["node_id"])["is_local"]


def test_a_task_whose_node_failed_runs_on_the_engine_when_it_may(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """The node that fits takes it and dies: the engine's own node runs it, as the next attempt."""
    tag = f"tag-{uuid4().hex[:6]}"
    with RawNode(shared_engine) as node:
        node.handshake(node_token, skills=("Echo",), capabilities={"tags": [tag]})
        api.online(node.name)
        task_id = api.submit("hello", requirements={"tags": [tag], "local_fallback": True})
        node.asked("Echo")
    task = api.finished(task_id)

    assert (task["status"], task["result"], task["attempt"]) == ("COMPLETED", "Processed: hello", 2)
    assert api.node(task["node_id"])["is_local"]


def test_a_task_whose_node_failed_goes_to_another_node(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """The stage log tells why it was tried again."""
    skill = f"Dance-{uuid4().hex[:6]}"
    nodes: dict[str, Json] = {
        "first": {"skills": [skill]},
        "second": {"skills": [skill], "load": {"cpu_usage": 0.9}},
    }
    with raw_nodes(shared_engine, api, node_token, **nodes) as met:
        task_id = api.submit("x", skill=skill)
        met["first"].asked(skill)
        met["first"].close()
        met["second"].answer(met["second"].asked(skill), result="done")
        task = api.finished(task_id)

    assert (task["result"], task["attempt"]) == ("done", 2)
    assert [line for line in task["logs"] if met["first"].name in line and "lost" in line.lower()], task[
        "logs"
    ]


def test_a_task_whose_nodes_keep_failing_ends(shared_engine: Reachable, api: Api, node_token: str) -> None:
    """Every task ends: one that takes each node down with it is FAILED, with the reason."""
    skill = f"Dance-{uuid4().hex[:6]}"
    task_id = api.submit("x", skill=skill, max_retries=1)
    for _ in range(2):
        with RawNode(shared_engine) as node:
            node.handshake(node_token, skills=(skill,))
            node.asked(skill)
    task = api.finished(task_id)

    assert (task["status"], task["attempt"]) == ("FAILED", 2)
    assert "lost" in task["error"].lower() and node.name in task["error"]


def test_a_task_is_not_held_up_by_what_others_asked_for_before(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """Tasks that ask for one node and for another in turn: each starts by itself, with nothing to push it."""
    skill = f"Dance-{uuid4().hex[:6]}"
    nodes = {"a": {"skills": [skill]}, "b": {"skills": [skill]}}
    with raw_nodes(shared_engine, api, node_token, **nodes) as met:
        for n in range(6):
            for node in met.values():
                task_id = api.submit("x", skill=skill, parameters={"n": n}, requirements={"node": node.name})
                node.answer(node.asked(skill, n=n))
                assert api.finished(task_id)["node_id"] == node.node_id
