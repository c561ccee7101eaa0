"""The one task that the operator looks at: its stage log, its output and how it ended, as lines.

Pure; `feed` brings what the engine knows, `board` what events tell. Output pieces are numbered by the
engine, so what is told twice is shown once, and what was missed is noticed and asked for.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from venom_engine.protocol.text import inert
from venom_tui.log_ring import Kind, LogLine, LogRing

if TYPE_CHECKING:
    from venom_engine.protocol.event import Event
    from venom_engine.protocol.task import OutputChunk, VenomTask

_KEEP = 10_000
_STAGE = re.compile(r"(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d))\s+(.*)", re.DOTALL)
_STREAMS = {"stdout": Kind.OUT, "stderr": Kind.ERR, "system": Kind.NOTE}


class TaskFocus:
    """A task and its lines."""

    def __init__(self, task_id: str) -> None:
        self.task_id = task_id
        self.task: VenomTask | None = None
        self.ring = LogRing(_KEEP)
        self.last_piece = 0
        self.stale = True  #: The engine knows more than is here: ask.
        self.ended = False
        self.known = False  #: False until the engine's first answer.
        self._missed = False  #: Something happened while the whole story was on its way.

    def loading(self) -> None:
        """The story is asked for now; what is told from here on may not be in it."""
        self._missed = False

    def loaded(self, task: "VenomTask", chunks: Sequence["OutputChunk"]) -> None:
        """Take the whole story as the engine knows it."""
        self.task, self.stale = (None if self._missed else task), self._missed
        self.ring = LogRing(_KEEP)
        self.last_piece, self.ended, self.known = 0, False, True
        if chunks and chunks[0].n > 1:
            self.last_piece = chunks[0].n - 1
            self.ring.add(
                LogLine(Kind.NOTE, "… what it printed before is not shown here", task_id=self.task_id)
            )
        stages = list(stage_lines(task.logs, self.task_id))
        last = [stages.pop()] if stages and task.status.is_final else []
        for chunk in chunks:
            at = chunk.timestamp.timestamp()
            while stages and stages[0].at <= at:
                self.ring.add(stages.pop(0))
            self._piece(chunk.n, chunk.stream, chunk.text, at)
        self.ring.extend(stages + last)
        if task.status.is_final:
            self._finish(task)

    def more(self, chunks: Iterable["OutputChunk"]) -> None:
        """Take output that was asked for."""
        for chunk in chunks:
            if chunk.n > self.last_piece:
                self._piece(chunk.n, chunk.stream, chunk.text, chunk.timestamp.timestamp())

    def heard(self, event: "Event") -> bool:
        """Take an event of this task. True when there is something new to show."""
        if self.task is None:
            self._missed = self._missed or event.type != "TASK_OUTPUT"
            return False
        at = event.timestamp.timestamp()
        if event.type != "TASK_OUTPUT":
            self.ring.add(LogLine(Kind.STAGE, inert(event.message), at, self.task_id))
            self.stale = True
            return True
        n, stream, text = (event.data.get(name) for name in ("n", "stream", "text"))
        if not isinstance(n, int) or not isinstance(text, str) or n <= self.last_piece:
            return False
        if n > self.last_piece + 1:
            self.stale = True
            return False
        self._piece(n, str(stream), text, at)
        return True

    def moved_on(self, task: "VenomTask") -> None:
        """The task after a stage event; the lines are here already."""
        self.task = task
        if task.status.is_final and not self.ended:
            self._finish(task)

    def _piece(self, n: int, stream: str, text: str, at: float) -> None:
        if n > self.last_piece + 1 and self.last_piece:
            missing = n - self.last_piece - 1
            note = f"… {missing:,} pieces of a long output were not kept"
            self.ring.add(LogLine(Kind.NOTE, note, at, self.task_id))
        self.last_piece = n
        self.ring.write(_STREAMS.get(stream, Kind.NOTE), text, at, self.task_id)

    def _finish(self, task: "VenomTask") -> None:
        self.ended = True
        self.ring.close(self.task_id)
        if task.error:
            self.ring.extend(self._lines(Kind.ERROR, task.error))
        if task.result is not None:
            self.ring.extend(self._lines(Kind.RESULT, one_line(task.result)))

    def _lines(self, kind: Kind, text: str) -> Iterator[LogLine]:
        for line in inert(text).rstrip("\n").split("\n"):
            yield LogLine(kind, line, task_id=self.task_id)


def stage_lines(logs: Iterable[str], task_id: str) -> Iterator[LogLine]:
    """The lines of a task's stage log, the time taken off their front."""
    for log in logs:
        match = _STAGE.match(log)
        at = _seconds(match[1]) if match else 0.0
        yield LogLine(Kind.STAGE, inert(match[2] if match and at else log), at, task_id)


def one_line(result: object) -> str:
    """A result for the log: text as it is, anything else as JSON on one line."""
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return 0.0
