"""Who speaks on a socket is settled by its handshake: no node can speak, answer or leave for another."""

import json
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tests.flow.wire_helpers import Api, RawNode, Reachable, holds_for, wait_until

POLICY_VIOLATION = 1008
EVERY_FEATURE = ("resume", "cancel", "output")


def a_skill() -> str:
    """The name of a skill that no other node has."""
    return f"Dance-{uuid4().hex[:8]}"


def test_a_wrong_token_with_a_victim_s_id_does_not_disturb_the_victim(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """The victim keeps its session, name and capabilities, and serves on."""
    skill = a_skill()
    with RawNode(shared_engine) as victim:
        victim.handshake(node_token, skills=(skill,))
        api.online(victim.name)
        with RawNode(shared_engine, "thief", node_id=victim.node_id) as thief:
            thief.handshake("wrong", skills=("Steal",))
            assert thief.wait_for_close() == POLICY_VIOLATION
        shown = api.node(victim.node_id)
        assert (shown["node_name"], shown["is_online"]) == (victim.name, True)
        assert shown["capabilities"]["skills"] == [skill]
        task_id = api.submit("x", skill=skill)
        victim.answer(victim.asked(skill), result="well")
        assert api.finished(task_id)["result"] == "well"


def test_a_heartbeat_counts_for_the_session_that_sent_it(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """B reports as A: A's load stays as A told it."""
    with RawNode(shared_engine) as a, RawNode(shared_engine) as b:
        a.handshake(node_token)
        b.handshake(node_token)
        api.online(a.name)
        api.online(b.name)
        a.heartbeat(cpu_usage=0.25)
        wait_until(lambda: api.node(a.node_id)["cpu_usage"] == 0.25, what="A's own load")
        b.heartbeat(node_id=a.node_id, cpu_usage=1.0, memory_usage=1.0, active_tasks=99)
        wait_until(lambda: api.node(b.node_id)["cpu_usage"] == 1.0, what="it to be taken as B's own")

        shown = api.node(a.node_id)
        assert (shown["cpu_usage"], shown["memory_usage"], shown["active_tasks"]) == (0.25, 0.1, 0)


def test_an_answer_counts_only_from_the_node_that_was_asked(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """B answers A's task as A: nothing happens; A's own answer is the result."""
    skill = a_skill()
    with RawNode(shared_engine) as a, RawNode(shared_engine) as b:
        a.handshake(node_token, skills=(skill,))
        b.handshake(node_token)
        api.online(a.name)
        api.online(b.name)
        task_id = api.submit("x", skill=skill)
        request = a.asked(skill)
        b.say("RESPONSE", request_id=request["request_id"], node_id=a.node_id, success=True, result="stolen")
        b.heartbeat(cpu_usage=0.875)
        wait_until(lambda: api.node(b.node_id)["cpu_usage"] == 0.875, what="B's later frame to be heard")
        assert api.task(task_id)["status"] == "PROCESSING"
        a.answer(request, result="earned")

        task = api.finished(task_id)
        assert (task["status"], task["result"], task["node_id"]) == ("COMPLETED", "earned", a.node_id)


@pytest.mark.parametrize("kind", ["ACCEPTED", "REFUSED", "OUTPUT"])
def test_no_word_about_a_task_counts_from_another_node(
    shared_engine: Reachable, api: Api, node_token: str, kind: str
) -> None:
    """B cannot accept, refuse or print for a task of A."""
    skill = a_skill()
    piece = {"n": 0, "stream": "stdout", "text": "forged", "at": 0.0}
    with RawNode(shared_engine) as a, RawNode(shared_engine) as b:
        a.handshake(node_token, skills=(skill,))
        b.handshake(node_token, features=list(EVERY_FEATURE), held=[])
        api.online(a.name)
        api.online(b.name)
        task_id = api.submit("x", skill=skill)
        request = a.asked(skill)
        b.say(kind, request_id=request["request_id"], reason="forged", pieces=[piece])
        b.heartbeat(cpu_usage=0.875)
        wait_until(lambda: api.node(b.node_id)["cpu_usage"] == 0.875, what="B's later frame to be heard")
        assert api.task(task_id)["status"] == "PROCESSING"
        a.answer(request, result="earned")

        task = api.finished(task_id)
        assert (task["result"], task["attempt"]) == ("earned", 1)
        assert "forged" not in json.dumps(task)


def test_a_goodbye_counts_for_the_session_that_says_it(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """B says DISCONNECT with A's id: A stays online."""
    with RawNode(shared_engine) as a, RawNode(shared_engine) as b:
        a.handshake(node_token)
        b.handshake(node_token)
        api.online(a.name)
        api.online(b.name)
        b.say("DISCONNECT", node_id=a.node_id)
        api.offline(b.name)
        assert api.node(a.node_id)["is_online"]


def test_a_direct_call_is_answered_only_by_the_node_that_was_asked(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """B answers the call as A: the caller goes on waiting for A."""
    skill = a_skill()
    with RawNode(shared_engine) as a, RawNode(shared_engine) as b, ThreadPoolExecutor(1) as caller:
        a.handshake(node_token, skills=(skill,))
        b.handshake(node_token)
        api.online(a.name)
        api.online(b.name)
        call = caller.submit(api.execute, a.node_id, skill, "run")
        request = a.asked(skill)
        b.say("RESPONSE", request_id=request["request_id"], node_id=a.node_id, success=True, result="stolen")
        b.heartbeat(cpu_usage=0.875)
        wait_until(lambda: api.node(b.node_id)["cpu_usage"] == 0.875, what="B's later frame to be heard")
        a.answer(request, result="earned")
        assert call.result(10).json()["result"] == "earned"


def test_an_answer_is_taken_once(shared_engine: Reachable, api: Api, node_token: str) -> None:
    """A second, different answer to the same request changes nothing."""
    skill = a_skill()
    with RawNode(shared_engine) as node:
        node.handshake(node_token, skills=(skill,))
        task_id = api.submit("x", skill=skill)
        request = node.asked(skill)
        node.answer(request, result="first")
        assert api.finished(task_id)["result"] == "first"
        node.answer(request, success=False, error="second thoughts")
        node.heartbeat(cpu_usage=0.875)
        wait_until(lambda: api.node(node.node_id)["cpu_usage"] == 0.875, what="the later frame to be heard")
        task = api.task(task_id)
        assert (task["status"], task["result"], task["error"]) == ("COMPLETED", "first", None)


def test_a_second_session_of_a_node_ends_the_first_and_stays(
    shared_engine: Reachable, api: Api, node_token: str
) -> None:
    """The first socket is closed, and its end does not take the second offline."""
    with RawNode(shared_engine) as first, RawNode(shared_engine, first.name, node_id=first.node_id) as second:
        first.handshake(node_token)
        api.online(first.name)
        second.handshake(node_token)
        first.wait_for_close()
        holds_for(0.3, lambda: api.node(first.node_id)["is_online"], "the new session stays")
        second.heartbeat(cpu_usage=0.875)
        wait_until(lambda: api.node(first.node_id)["cpu_usage"] == 0.875, what="the new session to be heard")
