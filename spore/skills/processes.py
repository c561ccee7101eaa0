"""Ends every process of a call, also those that left its process group and session.

Owns: the mark in the environment; TERM, grace, KILL. Asks: `process_search` who belongs.
The call's own process adopts its orphans (subreaper), so a double fork with an emptied environment is
still a descendant while that process lives.
"""

import asyncio
import ctypes
import itertools
import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import quote
from uuid import uuid4

from spore.skills.process_search import Process, Search, Sight, lives, pids, process_at

MARK = "VENOM_KILL_MARK"

#: How long KILL may take. A process in an uninterruptible wait for a disk outlives it.
KILL_SECONDS = 10.0
#: For so long after a call began, no process number is assumed to have come round again.
FRESH_SECONDS = 3.0

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_LINUX = sys.platform == "linux"
# PyDLL keeps the interpreter lock: nothing to hand over in a child that is not yet itself.
_prctl = ctypes.PyDLL(None).prctl if _LINUX else None


@dataclass(frozen=True, slots=True)
class Stopped:
    """What a stop found."""

    count: int
    survivors: tuple[int, ...] = ()  #: Numbers of those that even KILL did not end.


def become_task_root() -> None:
    """For `preexec_fn`: adopt orphaned descendants, and do not outlive the agent."""
    if _prctl is not None:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        _prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


class Marks:
    """Makes the marks of one run of one node: `node id/run/call`."""

    def __init__(self, node_id: str) -> None:
        self._node = f"{quote(node_id, safe='')}/"
        self._run = f"{self._node}{uuid4().hex}/"
        self._calls = itertools.count(1)

    def new_tree(self) -> "ProcessTree":
        """The tree of one call, still empty."""
        return ProcessTree(f"{self._run}{next(self._calls)}")

    async def sweep(self) -> Stopped:
        """End what an earlier run of this node left behind when it was killed."""
        needle, own = f"\0{MARK}={self._node}".encode(), f"\0{MARK}={self._run}".encode()

        def left_behind(environ: bytes) -> bool:
            return needle in environ and own not in environ

        return await _stop(Search(left_behind), grace=0)


class ProcessTree:
    """The processes of one call."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self._needle = f"\0{MARK}={mark}\0".encode()
        self._roots: set[Process] = set()
        self._before: frozenset[int] = frozenset()
        self._began = 0.0
        self._may_live = False
        self.was_used = False
        """Whether the call ever asked for the mark."""

    def environment(self) -> dict[str, str]:
        """The mark. Whoever starts with it, and whoever that starts, ends with the call."""
        if not self.was_used:
            self._before, self._began = frozenset(pids()), time.monotonic()
        self.was_used = self._may_live = True
        return {MARK: self.mark}

    def add_root(self, pid: int) -> None:
        """A process that leads a session of its own, with all that it starts."""
        process = process_at(pid)
        if process:
            self._roots.add(process)

    async def stop(self, grace: float, *, quick: bool = False) -> Stopped:
        """TERM to all, KILL to those that are left after the grace. Returns when nobody is left.

        `quick`: of a young call, look only at processes that were not there when it began.
        """
        if not self._may_live:
            return Stopped(0)
        search = Search(self._carries_mark, self._roots)
        quick = quick and time.monotonic() - self._began < FRESH_SECONDS
        stopped = await _stop(search, grace, self._before if quick else frozenset())
        self._may_live = bool(stopped.survivors)
        return stopped

    def _carries_mark(self, environ: bytes) -> bool:
        return self._needle in environ


async def _stop(search: Search, grace: float, but: frozenset[int] = frozenset()) -> Stopped:
    sight = search.look(but) if but else await asyncio.to_thread(search.look)
    if not sight.found and (but or sight.certain):
        return Stopped(0)
    everybody = set(sight.found)
    if grace > 0:
        for process in sight.found:
            _signal(process, signal.SIGTERM)
            _signal(process, signal.SIGCONT)
        await _gone(sight.found, grace)
    deadline = time.monotonic() + KILL_SECONDS
    while True:
        sight = await asyncio.to_thread(_frozen, search)
        everybody |= sight.found
        if not sight.found and sight.certain:
            return Stopped(len(everybody))
        if time.monotonic() > deadline:
            return Stopped(len(everybody), tuple(sorted(process.pid for process in sight.found)))
        for process in sight.found:
            _signal(process, signal.SIGKILL)
        await _gone(sight.found, 0.2)


def _frozen(search: Search) -> Sight:
    """Who is left, each stopped as it is seen: nobody forks on while the others are being killed."""
    stopped: set[Process] = set()

    def stop(process: Process) -> None:
        if process not in stopped:
            _signal(process, signal.SIGSTOP)
            stopped.add(process)

    for _ in range(100):
        before = len(stopped)
        sight = search.look(strike=stop)
        if len(stopped) == before:
            break
    return sight


async def _gone(processes: set[Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    pause = 0.002
    while any(map(lives, processes)) and time.monotonic() < deadline:
        await asyncio.sleep(pause)
        pause = min(0.05, pause * 2)


def _signal(process: Process, number: signal.Signals) -> None:
    # One of another user (setuid) is not ours to signal: it shows up among the survivors.
    if lives(process):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)
