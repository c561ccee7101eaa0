"""The log: lines of output and stage lines in a ring, each with a number that it keeps.

Owns: cutting pieces of output into lines, and joining what comes in halves.
A line's number never changes, so a paused view stays where it is while the ring moves on.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from venom_engine.protocol.text import inert

#: A longer line is cut; the whole of it can be read with `venom logs`.
LINE_LIMIT = 2_000


class Kind(StrEnum):
    """What a line is; the letter is shown, so that colour is not needed to tell."""

    OUT = " "
    ERR = "!"
    NOTE = "~"  #: A remark of the engine's.
    STAGE = ">"
    RESULT = "="
    ERROR = "x"


@dataclass(slots=True)
class LogLine:
    """One line. Only the text of an unfinished one still grows."""

    kind: Kind
    text: str
    at: float = 0.0  #: Seconds since 1970.
    task_id: str = ""
    returns: bool = False  #: Ended with a carriage return: what comes next replaces it.


class LogRing:
    """The last lines, by number."""

    def __init__(self, keep: int) -> None:
        self._lines: deque[LogLine] = deque(maxlen=keep)
        self._open: dict[tuple[str, Kind], LogLine] = {}
        self.end = 0  #: One past the number of the last line.
        self.lost = 0  #: Pieces of output that were never heard.

    @property
    def first(self) -> int:
        """The number of the oldest line that is kept."""
        return self.end - len(self._lines)

    def __getitem__(self, number: int) -> LogLine | None:
        i = number - self.first
        return self._lines[i] if 0 <= i < len(self._lines) else None

    def add(self, line: LogLine) -> None:
        """Append a line that is complete."""
        self._lines.append(line)
        self.end += 1

    def extend(self, lines: Iterable[LogLine]) -> None:
        for line in lines:
            self.add(line)

    def write(self, kind: Kind, text: str, at: float, task_id: str) -> None:
        """Append a piece of output: any number of lines, the last one perhaps unfinished."""
        key = (task_id, kind)
        *complete, unfinished = text.replace("\r\n", "\n").split("\n")
        for part in complete:
            _append(self._begun(key, at), part)
            del self._open[key]
        if unfinished:
            _append(self._begun(key, at), unfinished)

    def close(self, task_id: str) -> None:
        """The task has ended: nothing joins its last lines any more."""
        for kind in (Kind.OUT, Kind.ERR, Kind.NOTE):
            self._open.pop((task_id, kind), None)

    def _begun(self, key: tuple[str, Kind], at: float) -> LogLine:
        """The unfinished line of this task and stream; a new one when there is none."""
        if key not in self._open:
            task_id, kind = key
            self._open[key] = LogLine(kind, "", at, task_id)
            self.add(self._open[key])
        return self._open[key]


def _append(line: LogLine, part: str) -> None:
    """Add to a line as a terminal would: what follows a carriage return starts it anew (progress bars)."""
    if line.returns:
        line.text = ""
    line.returns = part.endswith("\r")
    _, again, last = part.rstrip("\r").rpartition("\r")
    if again:
        line.text = ""
    if len(line.text) <= LINE_LIMIT:
        text = line.text + inert(last).expandtabs(8).replace("\n", " ")
        line.text = text if len(text) <= LINE_LIMIT else f"{text[:LINE_LIMIT]}…"
