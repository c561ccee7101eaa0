"""ShellSkill: runs a command line or a program, and shows what it prints while it prints it.

The command gets the workspace as its folder, nothing on its input, a scrubbed environment and a
session of its own. When it ends, whatever it started ends too. A service that is meant to stay says
so by dropping the mark: `VENOM_KILL_MARK= setsid my-service >log 2>&1 &`.
"""

import asyncio
import codecs
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, SubprocessStreamProtocol

from pydantic import JsonValue

from spore.skills.base import Skill, SkillContext, SkillFailed, Stream
from spore.skills.processes import become_task_root

READ_BYTES = 64 * 1024
TAIL_BYTES = 64 * 1024
#: After the command itself has ended, its pipes may stay open so long before we look who holds them.
DRAIN_SECONDS = 0.5
#: Between TERM and KILL for what a command left behind, or when its time is over.
GRACE_SECONDS = 3.0


class ShellSkill(Skill):
    """Runs commands on the node's machine."""

    async def run(
        self, context: SkillContext, command: str | list[str], timeout: float | None = None
    ) -> JsonValue:
        """Run `command` (text: by the shell; a list: a program and its arguments, no shell).

        Answers exit_code and the last 64 KB of stdout and stderr. Another exit code than 0 is a
        failure. `timeout`: seconds.
        """
        argv = _argv(command)
        if timeout is not None and not timeout > 0:
            raise SkillFailed("ShellSkill.run: timeout must be above 0 seconds.")
        if context.cancelled:
            raise SkillFailed("Stopped before it began.")
        transport, process = await _started(argv, context)
        pumps = [_Pump(process.stdout, "stdout", context), _Pump(process.stderr, "stderr", context)]
        carried = [
            asyncio.create_task(pump.run(), name=f"{pump.stream} {context.request_id}") for pump in pumps
        ]
        try:
            in_time = await process.ended_within(timeout)
            if not in_time:
                stopped = await context.processes.stop(GRACE_SECONDS)
                if not stopped.survivors:
                    await process.ended.wait()
            await _end_rest(context, pumps, carried, quiet=not in_time)
            for task in carried:
                if task.done():
                    task.result()
        finally:
            for task in carried:
                task.cancel()
            await asyncio.wait(carried)
            transport.close()
        stdout, stderr = (pump.tail.text for pump in pumps)
        result: JsonValue = {"exit_code": transport.get_returncode(), "stdout": stdout, "stderr": stderr}
        if not in_time:
            raise SkillFailed(f"timed out after {timeout:g} s", result=result)
        if transport.get_returncode():
            raise SkillFailed(_failure(transport.get_returncode() or 0, stderr), result=result)
        return result


class _Process(SubprocessStreamProtocol):
    """Says when the process itself has ended, whoever still holds its pipes."""

    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader

    def __init__(self) -> None:
        super().__init__(limit=READ_BYTES, loop=asyncio.get_running_loop())
        self.ended = asyncio.Event()

    def process_exited(self) -> None:
        super().process_exited()
        self.ended.set()

    async def ended_within(self, seconds: float | None) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        except TimeoutError:
            return False
        return True


class _Tail:
    """The end of a text of any length."""

    def __init__(self) -> None:
        self._text = ""

    def add(self, text: str) -> None:
        self._text += text
        if len(self._text) > 2 * TAIL_BYTES:
            self._text = self._text[-TAIL_BYTES:]

    @property
    def text(self) -> str:
        return self._text.encode()[-TAIL_BYTES:].decode(errors="ignore")


class _Pump:
    """Carries one pipe to the engine, no faster than the engine takes it."""

    def __init__(self, reader: asyncio.StreamReader, stream: Stream, context: SkillContext) -> None:
        self.stream, self.tail = stream, _Tail()
        self.reading, self.chunks = False, 0
        self._reader, self._context = reader, context

    async def run(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        while data := await self._read():
            self.chunks += 1
            await self._carry(decoder.decode(data))
        await self._carry(decoder.decode(b"", final=True))

    async def _read(self) -> bytes:
        self.reading = True
        try:
            return await self._reader.read(READ_BYTES)
        finally:
            self.reading = False

    async def _carry(self, text: str) -> None:
        if text:
            self.tail.add(text)
            await self._context.output(text, stream=self.stream)


async def _started(argv: list[str], context: SkillContext) -> tuple[asyncio.SubprocessTransport, _Process]:
    try:
        transport, process = await asyncio.get_running_loop().subprocess_exec(
            _Process,
            *argv,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            cwd=context.workspace,
            env=context.environment(),
            start_new_session=True,
            preexec_fn=become_task_root,
        )
    except OSError as error:
        if not context.workspace.is_dir():
            raise SkillFailed(f"The workspace {context.workspace} is not there.") from error
        raise SkillFailed(f"{argv[0]} cannot be started: {error.strerror}.") from error
    context.processes.add_root(transport.get_pid())
    return transport, process


async def _end_rest(
    context: SkillContext, pumps: list[_Pump], carried: list[asyncio.Task[None]], *, quiet: bool
) -> None:
    """After the command's end: stop what it left behind, then take what is still in the pipes."""
    await asyncio.wait(carried, timeout=DRAIN_SECONDS)
    left = await context.processes.stop(GRACE_SECONDS, quick=True)
    if left.count and not (quiet or context.cancelled):
        what = "1 process" if left.count == 1 else f"{left.count} processes"
        await context.output(f"[{what} that the command left behind: stopped]\n", stream="system")
    if left.survivors:
        await context.output(f"[could not be killed: {left.survivors}]\n", stream="system")
    while waiting := [pump for pump, task in zip(pumps, carried, strict=True) if not task.done()]:
        before = [pump.chunks for pump in waiting]
        await asyncio.wait(carried, timeout=1.0)
        if all(pump.reading for pump in waiting) and before == [pump.chunks for pump in waiting]:
            break  # somebody whom we may not kill holds a pipe, and says nothing


def _argv(command: str | list[str]) -> list[str]:
    if isinstance(command, str):
        shell = "/bin/bash" if os.path.exists("/bin/bash") else "/bin/sh"
        argv, blank = [shell, "-c", command], not command.strip()
    else:
        argv, blank = command, not command or not command[0].strip()
    if blank:
        raise SkillFailed("ShellSkill.run: command must not be blank.")
    if any("\0" in part for part in argv):
        raise SkillFailed("ShellSkill.run: command must not hold a zero byte.")
    return argv


def _failure(code: int, stderr: str) -> str:
    if code < 0:
        try:
            what = f"killed by {signal.Signals(-code).name}"
        except ValueError:
            what = f"killed by signal {-code}"
    else:
        what = f"exit code {code}"
    last = "\n".join(stderr.strip().splitlines()[-5:])[-1000:]
    return f"{what}: {last}" if last else what
