"""The log: what the selected task prints, or everything, as it comes.

Follows the newest line until the operator moves up; then it stays at that line, by its number,
whatever arrives. Only the lines in view are styled.
"""

from typing import ClassVar

from textual.binding import BindingType
from textual.strip import Strip

from venom_tui.cells import clock, count, fitted, short_id
from venom_tui.keys import Where, bindings
from venom_tui.log_ring import Kind, LogLine, LogRing
from venom_tui.task_focus import TaskFocus
from venom_tui.widgets.pane import Pane, Part

_EMPTY = LogRing(1)


class LogTail(Pane):
    """The last lines, or those the operator stopped at."""

    NUMBER, NAME = "2", "Log"
    DEFAULT_CSS = "LogTail { width: 1fr; height: 1fr; }"
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.LOG)]

    shows_all = False
    follows = True
    _top = 0  #: The number of the first line in view, while it does not follow.
    _shown: LogRing | None = None
    _focus: TaskFocus | None = None

    @property
    def ring(self) -> LogRing:
        if self.shows_all:
            return self.board.log
        return self.in_focus.ring if self.in_focus else _EMPTY

    @property
    def in_focus(self) -> TaskFocus | None:
        """The task in focus; the one before, until something is known of it: no blank in between."""
        if self.board.focus is None or self.board.focus.known:
            self._focus = self.board.focus
        return self._focus

    @property
    def first_line(self) -> int:
        """The number of the first line in view."""
        ring = self.ring
        if self.follows:
            return max(ring.first, ring.end - self.body_height)
        return max(self._top, ring.first)

    def show(self) -> None:
        """The board has changed."""
        if self.ring is not self._shown:
            self._shown, self.follows = self.ring, True
        self.refresh()

    def action_follow(self) -> None:
        """Follow, or stop here."""
        self._stay_at(self.first_line) if self.follows else self.to_last()

    def action_everything(self) -> None:
        """All tasks, or the selected one."""
        self.shows_all = not self.shows_all
        self.show()

    def move_by(self, by: int) -> None:
        self._stay_at(self.first_line + by)

    def to_first(self) -> None:
        self._stay_at(self.ring.first)

    def to_last(self) -> None:
        self.follows = True
        self.refresh()

    def _stay_at(self, number: int) -> None:
        ring = self.ring
        last = max(ring.first, ring.end - self.body_height)
        self.follows = number > last or (number == last and not self.follows)
        self._top = max(ring.first, min(number, last))
        self.refresh()

    def title_facts(self) -> list[Part]:
        palette, focus = self.palette, self.in_focus
        one = f"task {short_id(focus.task_id)}" if focus else "no task"
        what = "all tasks" if self.shows_all else one
        facts: list[Part] = [(what, palette.text)]
        if not self.follows:
            facts.append(("paused", palette.warn))
        if lost := self.ring.lost:
            facts.append((f"dropped {count(lost)}", palette.bad))
        return facts

    def title_right(self) -> str:
        ring = self.ring
        if self.follows or not ring.end:
            return "following" if ring.end else ""
        last = min(self.first_line + self.body_height, ring.end)
        return f"{count(self.first_line + 1)}-{count(last)} of {count(ring.end)}"

    def body_line(self, y: int) -> Strip:
        line = self.ring[self.first_line + y]
        if line is not None:
            return self.line(*self._parts(line))
        return self.say(self._why_empty(), y)

    def _why_empty(self) -> str:
        if self.ring.end:
            return ""
        if self.shows_all:
            return "Nothing has happened since this console opened."
        return "Select a task to see what it prints." if self.in_focus is None else ""

    def _parts(self, line: LogLine) -> list[Part]:
        palette = self.palette
        style = {
            Kind.OUT: palette.text,
            Kind.ERR: palette.warn,
            Kind.NOTE: palette.second,
            Kind.STAGE: palette.second,
            Kind.RESULT: palette.good,
            Kind.ERROR: palette.bad,
        }[line.kind]
        parts: list[Part] = [(f" {short_id(line.task_id):<8}", palette.faint)] if self.shows_all else []
        parts.append((f" {line.kind.value} ", style))
        if line.kind is Kind.STAGE and line.at:
            parts.append((f"{clock(line.at)} ", palette.second))
        room = self.size.width - sum(len(text) for text, _ in parts) - 1
        parts.append((fitted(line.text, room) if room > 0 else "", style))
        return parts
