"""One connection to an engine: the handshake, and then frames both ways until it ends.

Owns: what the engine is (one that says WELCOME, or one of the original system, which is sent the six
original types only), the heartbeat, and the order of what goes out: replies, heartbeat, outbox.
Only one coroutine sends and only one receives, so neither end waits for the other to listen.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from spore.errors import LinkRefused
from spore.outbox import Outbox
from spore.runner import GRACE_SECONDS, Runner, Stop
from venom_engine.protocol.messages import (
    Accepted,
    Cancel,
    Disconnect,
    ErrorMessage,
    HeartbeatMessage,
    Link,
    LinkClosed,
    NodeHandshake,
    NodeResponse,
    Payload,
    Refused,
    SkillExecutionRequest,
    Stored,
    Verdicts,
    Welcome,
)

#: Replies that wait to be sent. An engine that asks for more and never reads is cut off.
MAX_REPLIES = 10_000
MAX_GRACE_SECONDS = 60.0
MIN_HEARTBEAT_SECONDS = 0.05
FAREWELL_SECONDS = 1.0
#: A refused task goes back to the queue, and often comes to the same node again at once.
REFUSAL_SECONDS = 0.25

logger = logging.getLogger("spore")


class Session:
    """One link, from HANDSHAKE to the end. `original`: what the engine was in the session before."""

    def __init__(
        self,
        link: Link,
        *,
        node_id: str,
        runner: Runner,
        outbox: Outbox,
        load: Callable[[], tuple[float, float]],
        heartbeat_seconds: float,
        wake: asyncio.Event,
        on_sent: Callable[[], None],
        original: bool = False,
    ) -> None:
        self._link, self._node_id, self._runner, self._outbox = link, node_id, runner, outbox
        self._load, self._wake, self._on_sent = load, wake, on_sent
        self._heartbeat_seconds = heartbeat_seconds
        self._next_heartbeat = time.monotonic()
        self._replies: deque[Payload] = deque()
        self._refusals: dict[str, Refused] = {}
        self._answers_may_go = False
        self.welcome: Welcome | None = None
        """None: the engine has not said it (yet)."""
        if original:
            self._begin(None)

    @property
    def is_original(self) -> bool:
        """Whether the engine turned out to be one of the original system."""
        return self._answers_may_go and self.welcome is None

    async def serve(self, handshake: NodeHandshake) -> None:
        """Returns when the link has ended. Raises LinkRefused when the engine does not want this node."""
        ended = LinkClosed("ended")
        try:
            await self._link.send(handshake)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._listen(), name="spore listens")
                both.create_task(self._speak(), name="spore speaks")
        except* LinkClosed as group:
            ended = _weightiest(group)
        if isinstance(ended, LinkRefused) and self.welcome is None:
            raise ended
        logger.info("The session ended: %s.", ended)

    async def farewell(self, reason: str) -> None:
        """Say DISCONNECT, when there is still somebody to hear it."""
        try:
            async with asyncio.timeout(FAREWELL_SECONDS):
                for refusal in self._refusals.values():
                    await self._link.send(refusal)
                await self._link.send(Disconnect(node_id=self._node_id, reason=reason))
        except (LinkClosed, TimeoutError):
            logger.debug("The engine did not hear the farewell.")

    async def _listen(self) -> None:
        while True:
            if len(self._replies) + len(self._refusals) > MAX_REPLIES:
                raise LinkClosed("the engine asks, and does not read the answers")
            try:
                payload = await self._link.receive()
            except ValueError as error:
                self._reply(ErrorMessage(error=f"This frame could not be used: {error}"[:500]))
                continue
            self._hear(payload)

    def _hear(self, payload: Payload) -> None:
        match payload:
            case Welcome():
                self._begin(payload)
            case SkillExecutionRequest():
                self._begin(None)
                self._answer(payload)
            case Cancel():
                grace = payload.grace_seconds
                grace = min(grace, MAX_GRACE_SECONDS) if grace >= 0 else GRACE_SECONDS
                self._runner.stop(payload.request_id, Stop("aborted", grace, payload.reason))
            case Verdicts():
                for request_id in payload.abort:
                    self._runner.stop(request_id, Stop("aborted", GRACE_SECONDS, "aborted"))
                for request_id in payload.lost:
                    self._runner.abandon(request_id)
                self._on_sent()
            case Stored():
                self._outbox.stored(payload)
                self._runner.look_for_room()
                self._on_sent()
            case ErrorMessage():
                logger.warning("The engine could not use a frame: %r", payload.error[:500])
            case Disconnect():
                logger.info("The engine takes its leave: %r", payload.reason)
            case _:
                self._reply(ErrorMessage(error=f"A node takes no {payload.TYPE}."))

    def _begin(self, welcome: Welcome | None) -> None:
        """Whoever asks for a skill without having said WELCOME is an engine of the original system."""
        if welcome is None and self._answers_may_go:
            return
        self._answers_may_go = True
        if welcome is not None:
            self.welcome = welcome
            logger.info("Connected: session %d, %d calls held.", welcome.epoch, len(self._outbox))
            asked = max(welcome.heartbeat_seconds, MIN_HEARTBEAT_SECONDS)
            self._heartbeat_seconds = min(self._heartbeat_seconds, asked)
            self._next_heartbeat = time.monotonic()
        self._outbox.begin(confirmed=welcome is not None)
        self._runner.look_for_room()
        self._wake.set()

    def _answer(self, request: SkillExecutionRequest) -> None:
        reply = self._runner.start(request)
        match reply:
            case Refused() if self.welcome is None:
                self._reply(
                    NodeResponse(
                        request_id=reply.request_id, node_id=self._node_id, success=False, error=reply.reason
                    )
                )
            case Refused() if request.task_id is not None:
                self._refusals[reply.request_id] = reply
                asyncio.get_running_loop().call_later(REFUSAL_SECONDS, self._refuse, reply.request_id)
            case Accepted() if self.welcome is None:
                return  # an engine of the original system waits for the answer alone
            case _:
                self._reply(reply)

    def _refuse(self, request_id: str) -> None:
        refusal = self._refusals.pop(request_id, None)
        if refusal is not None:
            self._reply(refusal)

    def _reply(self, payload: Payload) -> None:
        self._replies.append(payload)
        self._wake.set()

    async def _speak(self) -> None:
        while True:
            self._wake.clear()
            while self._replies:
                await self._link.send(self._replies.popleft())
            now = time.monotonic()
            if now >= self._next_heartbeat:
                self._next_heartbeat = now + self._heartbeat_seconds
                await self._link.send(self._heartbeat())
            if not await self._send_from_outbox():
                await self._pause()

    async def _send_from_outbox(self) -> bool:
        frame = self._outbox.take(time.monotonic()) if self._answers_may_go else None
        if frame is None:
            return False
        await self._link.send(frame)
        self._outbox.was_sent(frame)
        self._on_sent()
        return True

    async def _pause(self) -> None:
        now = time.monotonic()
        waits = [self._next_heartbeat - now]
        if self._answers_may_go and (due := self._outbox.due_in(now)) is not None:
            waits.append(due)
        try:
            async with asyncio.timeout(max(0.0, min(waits))):
                await self._wake.wait()
        except TimeoutError:
            return

    def _heartbeat(self) -> HeartbeatMessage:
        cpu, memory = self._load()
        return HeartbeatMessage(
            node_id=self._node_id,
            cpu_usage=cpu,
            memory_usage=memory,
            active_tasks=self._runner.running,
            held=self._outbox.to_renew() if self.welcome else (),
        )


def _weightiest(group: BaseExceptionGroup[LinkClosed]) -> LinkClosed:
    """Both directions end together; a refusal is what to act on."""
    found: list[LinkClosed] = []
    for error in group.exceptions:
        found.append(_weightiest(error) if isinstance(error, BaseExceptionGroup) else error)
    return next((error for error in found if isinstance(error, LinkRefused)), found[0])
