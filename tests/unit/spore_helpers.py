"""A runner on a bench: the test is the engine, and takes what comes out of the outbox."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

from spore.outbox import Outbox
from spore.runner import Runner, Stop
from spore.skills.processes import Marks
from spore.skills.registry import Registry, default_registry
from venom_engine.protocol.messages import (
    Accepted,
    NodeResponse,
    OutputMessage,
    OutputPiece,
    SkillExecutionRequest,
    Stored,
)


def a_request(
    skill: str = "Echo", method: str = "run", *, direct: bool = False, **fields: Any
) -> SkillExecutionRequest:
    """What an engine asks for; a task of the queue unless `direct`."""
    fields.setdefault("timeout", None)
    fields.setdefault("task_id", None if direct else f"task-{uuid4()}")
    return SkillExecutionRequest(node_id="node-1", skill_name=skill, method_name=method, attempt=1, **fields)


class Bench:
    """A runner with its outbox, and an engine that stores what it is sent."""

    def __init__(self, workspace: Path, *, slots: int = 4, registry: Registry | None = None) -> None:
        self.news = asyncio.Event()
        self.outbox = Outbox()
        self.outbox.begin(confirmed=True)
        self.registry = registry or default_registry()
        self.runner = Runner(
            node_id="node-1",
            registry=self.registry,
            outbox=self.outbox,
            marks=Marks(f"node-{uuid4()}"),
            slots=slots,
            workspace=workspace,
            on_news=self.news.set,
        )
        self.pieces: dict[str, list[OutputPiece]] = {}
        self.progress: list[float] = []
        self._answers: dict[str, NodeResponse] = {}

    def start(self, request: SkillExecutionRequest) -> str:
        """Begin a call that has to be accepted."""
        reply = self.runner.start(request)
        assert isinstance(reply, Accepted), reply
        return request.request_id

    async def call(self, skill: str, method: str, **parameters: Any) -> NodeResponse:
        """Begin a call and wait for its answer."""
        return await self.answer(self.start(a_request(skill, method, parameters=parameters)))

    async def shell(self, command: str | list[str], **parameters: Any) -> NodeResponse:
        """A command, to its end."""
        return await self.call("ShellSkill", "run", command=command, **parameters)

    def start_shell(self, command: str, **fields: Any) -> str:
        """A command that goes on."""
        return self.start(a_request("ShellSkill", parameters={"command": command}, **fields))

    async def answer(self, request_id: str) -> NodeResponse:
        """Take and store what comes until this call has been answered."""
        while request_id not in self._answers:
            await self._take_one()
        return self._answers[request_id]

    async def printed(self, request_id: str, text: str) -> None:
        """Take and store what comes until the call has printed this."""
        while text not in self.output(request_id):
            await self._take_one()

    def output(self, request_id: str, stream: str | None = None) -> str:
        """What the call has printed so far."""
        return "".join(p.text for p in self.pieces.get(request_id, ()) if stream in (None, p.stream))

    def abort(self, request_id: str, grace: float = 1.0) -> None:
        """What CANCEL does."""
        self.runner.stop(request_id, Stop("aborted", grace, "aborted"))

    async def _take_one(self) -> None:
        async with asyncio.timeout(30):
            self.news.clear()
            while (frame := self.outbox.take(time.monotonic())) is None:
                due = self.outbox.due_in(time.monotonic())
                try:
                    async with asyncio.timeout(due):
                        await self.news.wait()
                except TimeoutError:
                    continue
                self.news.clear()
        self.outbox.was_sent(frame)
        if isinstance(frame, OutputMessage):
            self.pieces.setdefault(frame.request_id, []).extend(frame.pieces)
            if frame.progress is not None:
                self.progress.append(frame.progress)
            if frame.pieces:
                self.outbox.stored(Stored(output={frame.request_id: frame.pieces[-1].n}))
        else:
            self._answers[frame.request_id] = frame
            self.outbox.stored(Stored(responses=(frame.request_id,)))
        self.runner.look_for_room()


def processes_with(marker: str) -> list[int]:
    """The live processes that have this text among their arguments."""
    found = []
    for name in os.listdir("/proc"):
        try:
            arguments = Path(f"/proc/{name}/cmdline").read_bytes() if name.isdigit() else b""
        except OSError:
            continue
        if marker.encode() in arguments.split(b"\0"):
            found.append(int(name))
    return found


def a_marker() -> str:
    """A number of seconds to sleep that no other process has."""
    return f"300.{uuid4().int % 10**12:012d}"


async def until_running(marker: str, count: int) -> None:
    """Wait until so many processes have the marker."""
    async with asyncio.timeout(20):
        while len(processes_with(marker)) < count:
            await asyncio.sleep(0.01)
