"""Finds the processes of a call in /proc, also while they fork and exit under our eyes.

Belongs: whoever carries the mark, sits in a session that one of them leads, or descends from one.
An empty answer is believed only when everybody who was listed could be looked at: one who vanished in
between may have left a child. Process numbers go up, so whoever lives at the end of a listing is on it.
Never: names this process or one above it.
"""

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

#: How long to look again because somebody vanished while we looked.
LOOK_SECONDS = 1.0
#: An environment is empty for a moment while a program starts. After so many looks it is simply empty.
EMPTY_LOOKS = 3

#: How often to look at the newest alone before everybody is listed again.
CHASES = 20

_KERNEL_THREAD = 0x00200000


@dataclass(frozen=True, slots=True)
class Process:
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    start: int  #: In clock ticks since boot.


@dataclass(frozen=True, slots=True)
class _Entry:
    process: Process
    parent: int
    session: int
    is_kernel: bool


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look saw."""

    found: set[Process]
    certain: bool  #: Whether nobody can have slipped through.


Strike = Callable[[Process], None]


class Search:
    """One hunt. Remembers whom it found: a child whose parent has died meanwhile still belongs."""

    def __init__(self, marked: Callable[[bytes], bool], roots: Iterable[Process] = ()) -> None:
        self._marked = marked
        self._seen: set[Process] = set(roots)
        self._sessions = {root.pid for root in self._seen}
        self._spared = _ancestors()
        self._cleared: set[int] = set()
        self._empty: dict[int, int] = {}
        self._newest = _newest()

    def look(self, but: frozenset[int] = frozenset(), strike: Strike = lambda process: None) -> Sight:
        """Who belongs and lives. `but`: numbers that cannot belong. `strike`: told of each at once.

        One that forks on and on is the newest of all, and not there for long: so the newest are looked
        at first, and if somebody slipped through, just those that came since, a few times over.
        """
        deadline = time.monotonic() + LOOK_SECONDS
        while True:
            newest = _newest()
            if newest < self._newest:  # the numbers have come round
                self._cleared.clear()
            self._newest = newest
            sight = self._look_at(reversed(pids()), but, strike)
            for _ in range(CHASES):
                if sight.found or sight.certain:
                    return sight
                newest, before = _newest(), self._newest
                self._newest = newest
                sight = Sight(self._look_at(range(newest, before, -1), but, strike).found, certain=False)
            if sight.found or time.monotonic() > deadline:
                return sight

    def _look_at(self, numbers: Iterable[int], but: frozenset[int], strike: Strike) -> Sight:
        table: dict[int, _Entry] = {}
        found: set[int] = set()
        doubtful: set[int] = set()
        for pid in numbers:
            if pid in but or pid in self._spared or pid in self._cleared:
                continue
            entry, environ = _entry(pid), _environ(pid)
            if entry is None:
                # It cannot come back: its vanishing leaves a doubt only once.
                doubtful.add(pid)
                self._cleared.add(pid)
                continue
            table[pid] = entry
            if self._is_known(entry) or (environ and self._marked(environ)):
                found.add(pid)
                strike(entry.process)
            elif environ == b"" and not entry.is_kernel and self._may_be_starting(pid):
                doubtful.add(pid)
        for pid in _descendants(found, table) - found:
            found.add(pid)
            strike(table[pid].process)
        self._cleared |= table.keys() - found - doubtful
        alive = {table[pid].process for pid in found if not _is_thread(pid)}
        self._seen |= alive
        self._sessions |= {table[pid].session for pid in found if table[pid].session in found}
        return Sight(alive, certain=not doubtful)

    def _is_known(self, entry: _Entry) -> bool:
        return entry.process in self._seen or entry.session in self._sessions

    def _may_be_starting(self, pid: int) -> bool:
        self._empty[pid] = self._empty.get(pid, 0) + 1
        return self._empty[pid] < EMPTY_LOOKS


def lives(process: Process) -> bool:
    """Whether it is still there, and more than what is left for its parent to collect."""
    entry = _entry(process.pid)
    return entry is not None and entry.process == process


def process_at(pid: int) -> Process | None:
    """The process that has this number now."""
    entry = _entry(pid)
    return entry.process if entry else None


def pids() -> list[int]:
    """All process numbers; none where there is no /proc."""
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _descendants(found: set[int], table: dict[int, _Entry]) -> set[int]:
    children: dict[int, list[int]] = {}
    for pid, entry in table.items():
        children.setdefault(entry.parent, []).append(pid)
    family, unvisited = set(found), list(found)
    while unvisited:
        for child in children.get(unvisited.pop(), ()):
            if child not in family:
                family.add(child)
                unvisited.append(child)
    return family


def _entry(pid: int) -> _Entry | None:
    """None when there is no such process, or only what is left of it."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            # The name before the last ")" may hold anything.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return _Entry(
        Process(pid, int(fields[19])),
        parent=int(fields[1]),
        session=int(fields[3]),
        is_kernel=bool(int(fields[6]) & _KERNEL_THREAD),
    )


def _environ(pid: int) -> bytes | None:
    """`NAME=value`, each between two zero bytes. None: not ours to read."""
    try:
        with open(f"/proc/{pid}/environ", "rb", buffering=0) as file:
            text = file.read()
    except PermissionError:
        return None
    except OSError:
        return b""
    return b"\0" + text if text else b""


def _newest() -> int:
    """The number that was given out last."""
    try:
        with open("/proc/loadavg", "rb", buffering=0) as file:
            return int(file.read().split()[4])
    except OSError:
        return 0


def _is_thread(pid: int) -> bool:
    """Whether the number is that of a thread, which /proc does not list but shows."""
    try:
        with open(f"/proc/{pid}/status", "rb", buffering=0) as file:
            return f"\nTgid:\t{pid}\n".encode() not in file.read()
    except OSError:
        return False


def _ancestors() -> set[int]:
    """This process and all above it."""
    line, pid = {0, 1}, os.getpid()
    while pid not in line:
        line.add(pid)
        entry = _entry(pid)
        pid = entry.parent if entry else 0
    return line
