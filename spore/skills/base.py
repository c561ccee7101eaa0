"""What a skill is, and what a running call is given.

A function that has a parameter named `context`, or one annotated `SkillContext`, gets the context of
its call: where it runs, how to print while it runs, and whether it was told to stop.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import JsonValue

from spore.skills.processes import ProcessTree

Stream = Literal["stdout", "stderr", "system"]

#: Of the node's own variables, the ones that a process of a task may see. Tokens are not among them.
PASSED_ON = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "USER", "LOGNAME", "SHELL", "TMPDIR")


class SkillFailed(Exception):
    """The call failed and the message says all: shown as it is, without type or line."""

    def __init__(self, message: str, *, result: JsonValue = None) -> None:
        super().__init__(message)
        self.result = result


class Skill:
    """A skill as a class: every public method is a method of the skill."""

    name: ClassVar[str] = ""
    """What engines call it. Empty: the name of the class."""


@dataclass(slots=True, kw_only=True, eq=False)
class SkillContext:
    """One call, as its skill sees it."""

    request_id: str
    task_id: str | None  #: None: a direct call, not a task of the queue.
    attempt: int
    workspace: Path
    processes: ProcessTree  #: Whatever the call starts with `environment()`; ends with the call.
    emit: Callable[[Stream, str], Awaitable[None]]
    tell_progress: Callable[[float], None]
    loop: asyncio.AbstractEventLoop
    _cancelled: bool = False

    @property
    def cancelled(self) -> bool:
        """True once the call is to end. A function in a thread should look now and then, and return."""
        return self._cancelled

    def cancel(self) -> None:
        """Make `cancelled` true."""
        self._cancelled = True

    async def output(self, text: str, *, stream: Stream = "stdout") -> None:
        """Show text while the call runs. Waits while the engine is slow to take it."""
        await self.emit(stream, text)

    def say(self, text: str, *, stream: Stream = "stdout") -> None:
        """`output` for a plain function, which runs in a thread."""
        if _runs_a_loop():
            raise RuntimeError("say() is for plain functions; in an async one use: await context.output(...)")
        asyncio.run_coroutine_threadsafe(self.output(text, stream=stream), self.loop).result()

    def progress(self, fraction: float) -> None:
        """How far the call is, 0.0 to 1.0. From a coroutine or a thread."""
        self.loop.call_soon_threadsafe(self.tell_progress, min(1.0, max(0.0, fraction)))

    def environment(self) -> dict[str, str]:
        """The variables for a process of this call: no secrets, and the mark by which it is found again."""
        passed = {
            name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("LC_")
        }
        passed["TERM"] = "dumb"
        passed["VENOM_TASK_ID"] = self.task_id or ""
        passed["VENOM_ATTEMPT"] = str(self.attempt)
        return passed | self.processes.environment()


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
