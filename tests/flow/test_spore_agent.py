"""The agent and a Nexus that speaks the protocol over a real port: what is said, and in which order."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from spore import link_nexus
from spore.agent import Agent
from spore.errors import LinkRefused
from spore.link_nexus import connect_nexus
from spore.skills.registry import default_registry
from tests.flow.nexus_helpers import Nexus, a_node
from tests.unit.spore_helpers import a_marker, a_request, processes_with, until_running
from venom_engine.protocol.messages import (
    FEATURES,
    Accepted,
    Cancel,
    Disconnect,
    ErrorMessage,
    HeartbeatMessage,
    NodeHandshake,
    NodeResponse,
    OutputMessage,
    Refused,
    Stored,
    Verdicts,
)


@pytest.fixture
async def nexus() -> AsyncIterator[Nexus]:
    nexus = Nexus()
    await nexus.up()
    yield nexus
    await nexus.down()


async def test_the_first_frame_says_who_the_node_is_and_what_it_can_do(nexus: Nexus, tmp_path: Path) -> None:
    """HANDSHAKE with id, name, token, capabilities and features; then heartbeats as often as asked."""
    async with a_node(nexus, tmp_path, tags=["gpu"], heartbeat_seconds=30) as agent:
        visit = await nexus.visit()
        handshake = await visit.welcome(heartbeat_seconds=0.05)
        first, second = await visit.hear(HeartbeatMessage), await visit.hear(HeartbeatMessage)
        assert agent.connected

    assert (handshake.node_id, handshake.node_name, handshake.token) == ("node-1", "spore-1", "secret")
    assert handshake.capabilities.skills == ("Echo", "ShellSkill", "FileSkill")
    assert (handshake.capabilities.tags, handshake.capabilities.slots) == (("gpu",), 2)
    assert (handshake.features, handshake.held) == (FEATURES, ())
    assert first.node_id == second.node_id == "node-1"
    assert 0.0 <= second.cpu_usage <= 1.0 and 0.0 < second.memory_usage <= 1.0


async def test_a_task_is_accepted_shown_and_answered_in_this_order(nexus: Nexus, tmp_path: Path) -> None:
    """ACCEPTED, OUTPUT while it runs, RESPONSE; the heartbeat names what is held."""
    async with a_node(nexus, tmp_path):
        visit = await nexus.visit()
        await visit.welcome(heartbeat_seconds=0.05)
        request_id = await visit.shell(
            f"echo one; while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo two"
        )
        while "one" not in visit.text():
            await visit.hear(OutputMessage)
        beat = await visit.hear(HeartbeatMessage)
        while not beat.held:
            beat = await visit.hear(HeartbeatMessage)
        (tmp_path / "go").touch()
        response = await visit.hear(NodeResponse)
        await visit.say(Stored(responses=(request_id,)))

    assert (beat.held, beat.active_tasks) == ((request_id,), 1)
    assert response.success and visit.text() == "one\ntwo\n"
    kinds = visit.kinds()
    assert kinds[:3] == ["HANDSHAKE", "ACCEPTED", "OUTPUT"] and kinds[-1] == "RESPONSE"


async def test_a_task_goes_on_while_the_link_is_cut_and_is_held_in_the_next_handshake(
    nexus: Nexus, tmp_path: Path
) -> None:
    """One run, and every piece of output arrives, in order, once the engine is back."""
    async with a_node(nexus, tmp_path):
        visit = await nexus.visit()
        await visit.welcome()
        request_id = await visit.shell(
            f"echo started >> {tmp_path}/ledger; echo one; touch {tmp_path}/one;"
            f" while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo two"
        )
        while "one" not in visit.text():
            await visit.hear(OutputMessage)
        await visit.drop()

        again = await nexus.visit()
        handshake = await again.welcome()
        (tmp_path / "go").touch()
        response = await again.hear(NodeResponse)
        await again.say(Stored(responses=(request_id,)))

    (held,) = handshake.held
    assert (held.request_id, held.attempt) == (request_id, 1) and held.task_id
    assert response.success and again.text() == "one\ntwo\n"
    assert (tmp_path / "ledger").read_text() == "started\n"


async def test_an_answer_is_kept_until_it_is_stored(nexus: Nexus, tmp_path: Path) -> None:
    """Sent but not stored: held and sent again. Stored: forgotten."""
    async with a_node(nexus, tmp_path):
        visit = await nexus.visit()
        await visit.welcome()
        request_id = await visit.shell("echo kept")
        first = await visit.hear(NodeResponse)
        await visit.drop()

        again = await nexus.visit()
        assert [item.request_id for item in (await again.welcome()).held] == [request_id]
        assert await again.hear(NodeResponse) == first
        assert again.text() == "kept\n"
        await again.say(Stored(responses=(request_id,)))
        await again.say(a_request(parameters={"content": "x"}, direct=True))
        await again.hear(NodeResponse)  # it has read our STORED now
        await again.drop()

        assert (await (await nexus.visit()).welcome()).held == ()


async def test_a_repeated_request_is_not_run_twice(nexus: Nexus, tmp_path: Path) -> None:
    """Also in another session: ACCEPTED, and the one answer again."""
    request = a_request("ShellSkill", parameters={"command": f"echo run >> {tmp_path}/ledger"})
    async with a_node(nexus, tmp_path):
        visit = await nexus.visit()
        await visit.welcome()
        await visit.say(request)
        await visit.hear(NodeResponse)
        await visit.say(request)
        assert (await visit.hear(Accepted)).request_id == request.request_id
        assert (await visit.hear(NodeResponse)).success
        await visit.say(Stored(responses=(request.request_id,)))
    assert (tmp_path / "ledger").read_text() == "run\n"


async def test_cancel_kills_every_process_of_the_task_and_then_answers(nexus: Nexus, tmp_path: Path) -> None:
    """`sleep 300 & sleep 300`, and one in a session of its own; a second CANCEL is harmless."""
    marker = a_marker()
    async with a_node(nexus, tmp_path):
        visit = await nexus.visit()
        await visit.welcome()
        request_id = await visit.shell(f"setsid sleep {marker} & sleep {marker} & sleep {marker}")
        await until_running(marker, 3)
        for _ in range(2):
            await visit.say(Cancel(request_id=request_id, grace_seconds=1))
        response = await visit.hear(NodeResponse)
        left = processes_with(marker)
        await visit.say(Stored(responses=(request_id,)))

    assert (response.success, response.outcome) == (False, "aborted")
    assert left == []


async def test_verdicts_stop_what_was_aborted_and_drop_what_is_lost(nexus: Nexus, tmp_path: Path) -> None:
    """Aborted: an answer. Lost: killed, and nobody hears of it again."""
    aborted, lost = a_marker(), a_marker()
    async with a_node(nexus, tmp_path):
        visit = await nexus.visit()
        await visit.welcome(heartbeat_seconds=0.05)
        first, second = await visit.shell(f"sleep {aborted}"), await visit.shell(f"sleep {lost}")
        await until_running(aborted, 1)
        await until_running(lost, 1)
        await visit.say(Verdicts(abort=(first,), lost=(second, "never heard of")))
        response = await visit.hear(NodeResponse)
        while (beat := await visit.hear(HeartbeatMessage)).held or beat.active_tasks:
            pass
        await visit.say(Stored(responses=(first,)))

    assert (response.request_id, response.outcome) == (first, "aborted")
    assert processes_with(aborted) == processes_with(lost) == []
    assert sum(isinstance(payload, NodeResponse) for payload in visit.heard) == 1


async def test_a_task_too_many_is_refused_with_the_reason(nexus: Nexus, tmp_path: Path) -> None:
    """And the same node takes the next one when a slot is free."""
    async with a_node(nexus, tmp_path, slots=1):
        visit = await nexus.visit()
        await visit.welcome()
        request_id = await visit.shell("sleep 300")
        too_many = a_request(parameters={"content": "x"})
        await visit.say(too_many)
        refusal = await visit.hear(Refused)
        await visit.say(Cancel(request_id=request_id))
        await visit.hear(NodeResponse)
        await visit.say(Stored(responses=(request_id,)))
        await visit.say(too_many)
        answer = await visit.hear(NodeResponse)
        await visit.say(Stored(responses=(too_many.request_id,)))

    assert (refusal.request_id, "slots (1)" in refusal.reason) == (too_many.request_id, True)
    assert answer.success


async def test_an_engine_of_the_original_system_hears_only_what_it_knows(
    nexus: Nexus, tmp_path: Path
) -> None:
    """No WELCOME ever: heartbeats, and one RESPONSE for each call, also for one that cannot be run."""
    async with a_node(nexus, tmp_path, heartbeat_seconds=0.05):
        visit = await nexus.visit()
        await visit.hear(NodeHandshake)
        await visit.hear(HeartbeatMessage)
        call = a_request("ShellSkill", parameters={"command": "echo hi"}, direct=True, timeout=30)
        await visit.say(call)
        answer = await visit.hear(NodeResponse)
        await visit.say(a_request("Docker", direct=True, timeout=30))
        failure = await visit.hear(NodeResponse)
        await visit.say(a_request("ShellSkill", parameters={"command": "sleep 0.2"}, direct=True, timeout=30))
        await visit.drop()

        again = await nexus.visit()
        await again.hear(NodeHandshake)
        late = await again.hear(NodeResponse)

    assert answer.success and answer.request_id == call.request_id
    assert not failure.success and "'Docker'" in (failure.error or "")
    assert late.success
    known = {"HANDSHAKE", "HEARTBEAT", "RESPONSE"}
    assert {payload.TYPE.value for payload in visit.heard + again.heard} <= known


async def test_a_bad_frame_is_answered_by_an_error_and_skipped(nexus: Nexus, tmp_path: Path) -> None:
    """No JSON, the wrong shape, a type that nobody knows: the session goes on."""
    async with a_node(nexus, tmp_path):
        visit = await nexus.visit()
        await visit.welcome()
        await visit.say("{")
        assert "could not be used" in (await visit.hear(ErrorMessage)).error
        await visit.say('{"message_type": "CANCEL", "payload": {}}')
        assert "request_id" in (await visit.hear(ErrorMessage)).error
        await visit.say('{"message_type": "FROM_THE_FUTURE", "payload": {}}')
        await visit.say(NodeHandshake(node_name="engine"))
        assert "HANDSHAKE" in (await visit.hear(ErrorMessage)).error
        await visit.say(a_request(parameters={"content": "still there"}, direct=True))
        assert (await visit.hear(NodeResponse)).result == "Processed: still there"


async def test_a_refused_node_gives_up_with_the_reason(nexus: Nexus, tmp_path: Path) -> None:
    """Close code 1008 instead of WELCOME: trying again would only hammer."""
    agent = Agent(
        name="n", node_id="n", registry=default_registry(), workspace=tmp_path / "w", token=lambda: "wrong"
    )
    running = asyncio.create_task(agent.run(lambda: connect_nexus(nexus.url)))
    visit = await nexus.visit()
    assert (await visit.hear(NodeHandshake)).token == "wrong"
    await visit.leave(1008, "wrong token")
    with pytest.raises(LinkRefused, match="wrong token"):
        await running


async def test_a_session_that_was_welcome_and_ends_is_begun_again(nexus: Nexus, tmp_path: Path) -> None:
    """However the engine ended it: a newer session, a restart, a policy."""
    async with a_node(nexus, tmp_path):
        for code in (1000, 1008, 1011):
            visit = await nexus.visit()
            await visit.welcome()
            await visit.leave(code, "over")
        await (await nexus.visit()).welcome()


async def test_an_engine_that_is_away_is_tried_again_quietly(
    nexus: Nexus, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Several tries, one line; when it is back, so is the node, with what it held."""
    caplog.set_level(logging.INFO, "spore")
    async with a_node(nexus, tmp_path, state_dir=tmp_path / "state"):
        visit = await nexus.visit()
        await visit.welcome()
        request_id = await visit.shell(f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo done")
        await visit.drop()
        await nexus.down()
        async with asyncio.timeout(20):
            while "Trying again" not in caplog.text:
                await asyncio.sleep(0.01)
        (tmp_path / "go").touch()
        async with asyncio.timeout(20):
            while not list((tmp_path / "state").glob("outbox/*.json")):
                await asyncio.sleep(0.01)
        await nexus.up()
        again = await nexus.visit()
        held = (await again.welcome()).held
        response = await again.hear(NodeResponse)
        await again.say(Stored(responses=(request_id,)))

    assert [item.request_id for item in held] == [request_id] and response.success
    assert again.text() == "done\n"
    assert caplog.text.count("Trying again") == 1
    assert list((tmp_path / "state").glob("outbox/*.json")) == []


async def test_a_link_that_died_without_a_word_is_noticed(
    nexus: Nexus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing answers the pings: the node closes and connects anew, within 10 s by its real intervals."""
    assert link_nexus.PING_SECONDS + link_nexus.PING_TIMEOUT + link_nexus.CLOSE_TIMEOUT <= 10
    for name in ("PING_SECONDS", "PING_TIMEOUT", "CLOSE_TIMEOUT"):
        monkeypatch.setattr(link_nexus, name, 0.1)
    async with a_node(nexus, tmp_path):
        visit = await nexus.visit()
        await visit.welcome()
        visit.socket.transport.pause_reading()  # type: ignore[attr-defined]
        await (await nexus.visit()).welcome()


async def test_a_stopping_node_interrupts_its_tasks_then_says_goodbye(nexus: Nexus, tmp_path: Path) -> None:
    """Processes killed, answers given and stored, what came too late refused, DISCONNECT last."""
    marker = a_marker()
    async with a_node(nexus, tmp_path) as agent:
        visit = await nexus.visit()
        await visit.welcome()
        request_id = await visit.shell(f"trap '' TERM; sleep {marker} & sleep {marker}; sleep {marker}")
        await until_running(marker, 2)
        stopping = asyncio.create_task(agent.stop())
        await asyncio.sleep(0)
        late = a_request(parameters={"content": "late"})
        await visit.say(late)
        response = await visit.hear(NodeResponse)
        left = processes_with(marker)
        await visit.say(Stored(responses=(request_id,)))
        goodbye = await visit.hear(Disconnect)
        await stopping

    assert (response.request_id, response.outcome) == (request_id, "interrupted")
    assert left == [] and goodbye.node_id == "node-1"
    refusals = [payload for payload in visit.heard if isinstance(payload, Refused)]
    assert {refusal.request_id for refusal in refusals} == {late.request_id}
    assert "stopping" in refusals[0].reason
    assert isinstance(visit.heard[-1], Disconnect)


async def test_a_drain_lets_a_task_end_by_itself(nexus: Nexus, tmp_path: Path) -> None:
    """Within the seconds given, its answer is an answer like any other."""
    async with a_node(nexus, tmp_path) as agent:
        visit = await nexus.visit()
        await visit.welcome()
        request_id = await visit.shell(f"while [ ! -e {tmp_path}/go ]; do sleep 0.02; done")
        stopping = asyncio.create_task(agent.stop(drain=20))
        (tmp_path / "go").touch()
        response = await visit.hear(NodeResponse)
        await visit.say(Stored(responses=(request_id,)))
        await visit.hear(Disconnect)
        await stopping
    assert response.success


async def test_a_cancelled_agent_leaves_no_process(nexus: Nexus, tmp_path: Path) -> None:
    """Whoever runs it may end it without ceremony."""
    marker = a_marker()
    agent = Agent(name="n", node_id="n", registry=default_registry(), workspace=tmp_path / "w")
    running = asyncio.create_task(agent.run(lambda: connect_nexus(nexus.url)))
    visit = await nexus.visit()
    await visit.welcome()
    await visit.shell(f"setsid sleep {marker} & sleep {marker}")
    await until_running(marker, 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert processes_with(marker) == []


async def test_a_large_result_and_a_flood_of_output_fit_the_frames(nexus: Nexus, tmp_path: Path) -> None:
    """Control characters grow when they are encoded; no frame is larger than the socket takes."""
    async with a_node(nexus, tmp_path):
        visit = await nexus.visit()
        await visit.welcome()
        request_id = await visit.shell("head -c 3000000 /dev/zero")
        response = await visit.hear(OutputMessage)
        while len(visit.text()) < 3_000_000:
            response = await visit.hear(OutputMessage)
            await visit.say(Stored(output={request_id: response.pieces[-1].n}))
        answer = await visit.hear(NodeResponse)
        await visit.say(Stored(responses=(request_id,)))
    assert answer.success and set(visit.text()) == {"\0"}
