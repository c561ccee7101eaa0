"""Runs calls of skills: a slot, the parameters, a time limit, a stop that is one, and one answer.

Owns: the calls that run, and the slots. Each call has a coroutine of its own that nobody cancels; it
ends the call's processes and then its function.
Asks: the registry for the function; hands output and answers to the outbox.
Never: sends anything.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from spore.answers import checked_result, error_text, printable
from spore.outbox import Outbox
from spore.parcel import PIECE_BYTES
from spore.skills.base import SkillContext, SkillFailed, Stream
from spore.skills.method import SkillMethod
from spore.skills.processes import Marks
from spore.skills.registry import Registry, UnknownMethod, UnknownSkill
from venom_engine.protocol.messages import Accepted, NodeResponse, Refused, SkillExecutionRequest

Outcome = Literal["done", "aborted", "interrupted", "timeout"]

#: Calls outside the queue that may run beside the slots.
MAX_DIRECT_CALLS = 32
#: Functions that were stopped and have not returned. More, and the node takes nothing new.
MAX_STUCK = 32
#: Answers that the engine has not stored. More, and the node takes nothing new.
MAX_ANSWERS = 10_000
MAX_ANSWERS_BYTES = 64 * 1024 * 1024
#: Between TERM and KILL, when the engine does not say.
GRACE_SECONDS = 3.0
#: How long a skill whose processes were stopped may take to carry their last output.
LAST_OUTPUT_SECONDS = 2.0

logger = logging.getLogger("spore.runner")


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a call is to end before its time."""

    outcome: Outcome
    grace: float
    why: str


@dataclass(slots=True, eq=False)
class _Call:
    request: SkillExecutionRequest
    context: SkillContext
    stop: asyncio.Future[Stop]
    unwanted: bool = False  #: Nobody waits for its answer.


class Runner:
    """The calls of one node."""

    def __init__(
        self,
        *,
        node_id: str,
        registry: Registry,
        outbox: Outbox,
        marks: Marks,
        slots: int,
        workspace: Path,
        on_news: Callable[[], None],
    ) -> None:
        self._node_id, self._registry, self._outbox, self._marks = node_id, registry, outbox, marks
        self._slots, self._workspace, self._on_news = slots, workspace, on_news
        self._calls: dict[str, _Call] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._stuck: set[asyncio.Task[JsonValue]] = set()
        self._in_slots = 0
        self._closing = False
        self._room = asyncio.Event()

    @property
    def running(self) -> int:
        """How many calls run now."""
        return len(self._calls)

    @property
    def stuck(self) -> int:
        """How many functions were stopped and have not returned."""
        return len(self._stuck)

    def start(self, request: SkillExecutionRequest) -> Accepted | Refused:
        """Begin a call, or say why not. A call that is already held is not begun again."""
        request_id = request.request_id
        if request_id in self._outbox:
            self._outbox.send_again(request_id)
            self._on_news()
            return Accepted(request_id=request_id)
        reason = self._hindrance(request)
        if reason:
            return Refused(request_id=request_id, reason=printable(reason))
        loop = asyncio.get_running_loop()
        call = _Call(request, self._context(request, loop), loop.create_future())
        self._calls[request_id] = call
        self._in_slots += request.task_id is not None
        self._outbox.open(request_id, request.task_id, request.attempt)
        task = loop.create_task(self._run(call), name=f"call {request_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Accepted(request_id=request_id)

    def stop(self, request_id: str, stop: Stop) -> None:
        """End one call. Harmless when it has ended, or is ending."""
        call = self._calls.get(request_id)
        if call is not None and not call.stop.done():
            call.stop.set_result(stop)

    def abandon(self, request_id: str) -> None:
        """End one call that nobody waits for, and forget its answer."""
        call = self._calls.get(request_id)
        if call is None:
            self._outbox.forget(request_id)
        else:
            call.unwanted = True
            self.stop(request_id, Stop("aborted", GRACE_SECONDS, "the engine gave it to another node"))

    def look_for_room(self) -> None:
        """Calls that wait to print should look again."""
        self._room.set()

    async def close(self, drain: float) -> None:
        """Take nothing new, wait up to `drain` seconds, interrupt what still runs. Returns when all have ended."""
        self._closing = True
        if self._tasks and drain > 0:
            await asyncio.wait(self._tasks, timeout=drain)
        for request_id in list(self._calls):
            self.stop(request_id, Stop("interrupted", GRACE_SECONDS, "the node is stopping"))
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _hindrance(self, request: SkillExecutionRequest) -> str | None:
        direct = self.running - self._in_slots
        if self._closing:
            return "The node is stopping."
        if self.stuck >= MAX_STUCK:
            return f"{self.stuck} functions were stopped and have not returned; restart the node."
        if self._outbox.answers_size > MAX_ANSWERS_BYTES or len(self._outbox) - self.running > MAX_ANSWERS:
            return "Too many answers wait to be stored by the engine."
        if request.task_id is None:
            return f"{direct} direct calls run already." if direct >= MAX_DIRECT_CALLS else None
        if self._in_slots >= self._slots:
            return f"All slots ({self._slots}) are taken."
        if request.skill_name not in self._registry.skills:
            return self._unknown(request)
        return None

    def _unknown(self, request: SkillExecutionRequest) -> str:
        return f"This node has no skill {request.skill_name!r}. It has: {', '.join(self._registry.skills)}."

    def _context(self, request: SkillExecutionRequest, loop: asyncio.AbstractEventLoop) -> SkillContext:
        request_id = request.request_id

        async def emit(stream: Stream, text: str) -> None:
            await self._emit(request_id, stream, text)

        def tell_progress(fraction: float) -> None:
            self._outbox.set_progress(request_id, fraction)
            self._on_news()

        return SkillContext(
            request_id=request_id,
            task_id=request.task_id,
            attempt=request.attempt,
            workspace=self._workspace,
            processes=self._marks.new_tree(),
            emit=emit,
            tell_progress=tell_progress,
            loop=loop,
        )

    async def _emit(self, request_id: str, stream: Stream, text: str) -> None:
        text = text.encode(errors="replace").decode()
        for start in range(0, len(text), PIECE_BYTES):
            while self._outbox.is_full(request_id):
                self._room.clear()
                await self._room.wait()
            self._outbox.add(request_id, stream, text[start : start + PIECE_BYTES], time.time())
            self._on_news()

    async def _run(self, call: _Call) -> None:
        request, began = call.request, time.monotonic()
        try:
            response, size = await self._answer(call)
        except Exception as error:
            logger.exception("The call %s broke the node's own code.", request.request_id)
            response, size = self._failed(call, error_text(error)), 0
        finally:
            del self._calls[request.request_id]
            self._in_slots -= request.task_id is not None
        response.execution_time = time.monotonic() - began
        if call.unwanted:
            self._outbox.forget(request.request_id)
        else:
            self._outbox.finish(response, size)
        self._on_news()

    async def _answer(self, call: _Call) -> tuple[NodeResponse, int]:
        request = call.request
        limit = request.timeout if request.timeout is None or math.isfinite(request.timeout) else None
        if limit is not None and limit <= 0:
            return self._failed(call, "timeout must be above 0 seconds."), 0
        try:
            method = self._registry.find(request.skill_name, request.method_name)
            arguments = method.arguments(request.parameters, call.context)
        except (UnknownSkill, UnknownMethod, SkillFailed) as error:
            return self._failed(call, str(error)), 0
        running = asyncio.get_running_loop().create_task(
            method.call(arguments), name=f"{request.skill_name}.{request.method_name} {request.request_id}"
        )
        await asyncio.wait({running, call.stop}, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
        if running.done() and not call.stop.done():
            await call.context.processes.stop(GRACE_SECONDS, quick=True)
            return self._settled(call, running, method)
        if not call.stop.done():
            call.stop.set_result(Stop("timeout", GRACE_SECONDS, f"timed out after {limit:g} s"))
        stop = call.stop.result()
        remark = await self._end(call.context, running, stop.grace)
        return self._failed(call, stop.why + remark, stop.outcome), 0

    async def _end(self, context: SkillContext, running: asyncio.Task[JsonValue], grace: float) -> str:
        """Stop the call's processes, then its function, then what that started meanwhile."""
        context.cancel()
        await context.processes.stop(grace)
        if context.processes.was_used:
            # A skill whose process was stopped ends by itself, and takes the last output along.
            await asyncio.wait({running}, timeout=LAST_OUTPUT_SECONDS)
        running.cancel()
        await asyncio.wait({running}, timeout=max(grace, 0.1))
        stopped = await context.processes.stop(0)
        remark = ""
        if stopped.survivors:
            remark += f"; these processes could not be killed: {', '.join(map(str, stopped.survivors))}"
        if not running.done():
            self._stuck.add(running)
            running.add_done_callback(self._returned)
            return remark + "; the function has not returned yet"
        _retrieve(running)
        return remark

    def _returned(self, running: asyncio.Task[JsonValue]) -> None:
        self._stuck.discard(running)
        _retrieve(running)

    def _settled(
        self, call: _Call, running: asyncio.Task[JsonValue], method: SkillMethod
    ) -> tuple[NodeResponse, int]:
        if running.cancelled():
            return self._failed(call, "CancelledError: the skill cancelled itself"), 0
        error = running.exception()
        if error is None:
            value = running.result()
            response = NodeResponse(request_id=call.request.request_id, node_id=self._node_id, success=True)
        else:
            value = error.result if isinstance(error, SkillFailed) else None
            response = self._failed(call, error_text(error, method.source))
        try:
            response.result, size = checked_result(value)
        except SkillFailed as misfit:
            return self._failed(call, str(misfit)), 0
        return response, size

    def _failed(self, call: _Call, error: str, outcome: Outcome = "done") -> NodeResponse:
        return NodeResponse(
            request_id=call.request.request_id,
            node_id=self._node_id,
            success=False,
            error=printable(error),
            outcome=outcome,
        )


def _retrieve(task: asyncio.Task[JsonValue]) -> None:
    """Look at the end of a task whose outcome no longer counts."""
    if not task.cancelled():
        task.exception()
