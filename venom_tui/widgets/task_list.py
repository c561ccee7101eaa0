"""The task list: draws the rows that are in view, asks for those that are not here yet.

Owns: the cursor. Never: holds the list, or waits for the engine; a row that is on its way is a `…`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from textual.message import Message
from textual.strip import Strip

from venom_tui.board import Board
from venom_tui.cells import STATES, count, fitted, moment, running_span, short_id, span, state
from venom_tui.looks import Palette
from venom_tui.rows import TaskRow
from venom_tui.task_cursor import TaskCursor
from venom_tui.widgets.pane import Pane, Part

#: From these widths on the column is shown.
_TIMES_FROM, _NODE_FROM, _TRY_FROM, _CALL_FROM = 60, 100, 100, 120


class TaskList(Pane):
    """Every task of the engine, newest first."""

    NUMBER, NAME, HEAD_LINES = "1", "Tasks", 2
    DEFAULT_CSS = "TaskList { height: 1fr; min-height: 3; }"

    @dataclass
    class Selected(Message):
        """The cursor is on this task; None: on none."""

        task_id: str | None

    @dataclass
    class Looking(Message):
        """These rows are on the screen."""

        first: int
        count: int

    def __init__(self, board: Board, palette: Palette, *, id: str | None = None) -> None:
        super().__init__(board, palette, id=id)
        self.cursor = TaskCursor()
        self._told: tuple[str | None, int, int] | None = None

    @property
    def selected(self) -> TaskRow | None:
        """The task under the cursor, when its row is here."""
        if self.cursor.task_id is None:  # The rows may have been drawn before the board's news came.
            self.show()
        return self.cursor.row(self.board.tasks)

    def show(self) -> None:
        """The board has changed."""
        self.cursor.settle(self.board.tasks, self.body_height)
        self._tell()
        self.refresh()

    def tick(self) -> None:
        """A second has passed: how long tasks have been running."""
        top = self.cursor.top
        rows = ((y, self.board.tasks[top + y]) for y in range(self.body_height))
        self.refresh_lines(*(y + self.HEAD_LINES for y, row in rows if row and row.status == "PROCESSING"))

    def pin(self, task_id: str) -> None:
        """Put the cursor on this task, as soon as it is here."""
        self.cursor.pin(task_id)
        self.show()

    def hold(self) -> str | None:
        """Stay on the task under the cursor, whatever arrives. Its id."""
        row = self.selected
        self.cursor.follows = self.cursor.follows and row is None
        return row.id if row else None

    def follow_newest(self) -> None:
        """Stay on the newest task."""
        self.to_first()

    def on_resize(self) -> None:
        self.show()

    def move_by(self, by: int) -> None:
        self._moved(lambda: self.cursor.move(by, self.board.tasks, self.body_height))

    def to_first(self) -> None:
        self._moved(lambda: self.cursor.newest(self.board.tasks, self.body_height))

    def to_last(self) -> None:
        self._moved(lambda: self.cursor.oldest(self.board.tasks, self.body_height))

    def title_facts(self) -> list[Part]:
        board, palette = self.board, self.palette
        facts: list[Part] = []
        if board.tasks.known:
            facts.append((count(board.tasks.total), palette.text))
        if board.filter.status:
            word = STATES.get(board.filter.status, "? ?")[2:]
            facts.append((f"only {word}", palette.warn))
        if board.filter.text:
            facts.append((f"/{board.filter.text}/", palette.warn))
        return facts

    def title_right(self) -> str:
        if not self.board.tasks.total:
            return ""
        if self.cursor.follows:
            return "newest first, following"
        newer = f"▲ {count(self.cursor.top)} newer   " if self.cursor.top else ""
        return f"{newer}{count(self.cursor.index + 1)} of {count(self.board.tasks.total)}"

    def body_line(self, y: int) -> Strip:
        width = self.size.width
        if y < 0:
            return self.line((self._columns(_HEADS, width), self.palette.head))
        index = self.cursor.top + y
        if index >= self.board.tasks.total:
            return self.say(self._why_empty(), y - 1)
        row = self.board.tasks[index]
        here = index == self.cursor.index
        if row is None:
            return self.line(("▸…" if here else " …", self.palette.second))
        return self._row_strip(row, here, width)

    def _row_strip(self, row: TaskRow, here: bool, width: int) -> Strip:
        palette = self.palette
        mark = (palette.cursor if self.has_focus else palette.cursor_off) if here else palette.second
        parts: list[Part] = [
            (("▸" if here else " ") + short_id(row.id), mark),
            (f" {fitted(state(row.status), 9)} ", palette.status(row.status)),
            *self._rest(row, width),
        ]
        room = width - sum(len(text) for text, _ in parts)
        return self.line(*parts, (fitted(row.content, room) if room > 0 else "", palette.text))

    def _rest(self, row: TaskRow, width: int) -> list[Part]:
        """What stands between state and text."""
        parts: list[Part] = []
        if width >= _TIMES_FROM:
            parts.append((f"{moment(row.created, time.time())} ", self.palette.second))
            parts.append((f"{self._took(row):>5} ", self.palette.text))
        if width >= _NODE_FROM:
            parts.append((f"{fitted(self.board.node_name(row.node_id), 12)} ", self.palette.second))
        if width >= _TRY_FROM:
            parts.append(
                (f"{row.attempt or '':>3} ", self.palette.warn if row.attempt > 1 else self.palette.second)
            )
        if width >= _CALL_FROM:
            parts.append((f"{fitted(row.call, 14)} ", self.palette.second))
        return parts

    @staticmethod
    def _took(row: TaskRow) -> str:
        if row.started is None:
            return ""
        if row.finished is not None:
            return span(row.finished - row.started)
        return running_span(time.time() - row.started)

    @staticmethod
    def _columns(names: dict[str, str], width: int) -> str:
        text = f" {names['id']} {names['state']} "
        text += f"{names['created']} {names['took']} " if width >= _TIMES_FROM else ""
        text += f"{names['node']} {names['try']} " if width >= _NODE_FROM else ""
        text += f"{names['call']} " if width >= _CALL_FROM else ""
        return text + names["task"]

    def _why_empty(self) -> str:
        board = self.board
        if not board.tasks.known:
            return board.trouble or ("…" if board.is_live else "Connecting…")
        if board.tasks.total:
            return ""
        if board.filter:
            return "No task matches. Press esc to list all tasks."
        return "No task yet. Press n and type one: !uname -a runs a shell command, other text goes to Echo."

    def _moved(self, move: Callable[[], None]) -> None:
        before, top = self.cursor.index, self.cursor.top
        move()
        if self.cursor.top != top:
            self.refresh()
        else:
            lines = {before, self.cursor.index}
            self.refresh_lines(0, *(i - top + self.HEAD_LINES for i in lines))
        self._tell()

    def _tell(self) -> None:
        cursor = self.cursor
        told = (cursor.task_id, cursor.top, self.body_height)
        if told == self._told:
            return
        # Often called by the screen, and what the screen itself sends does not bubble past it.
        if self._told is None or told[0] != self._told[0]:
            self.post_message(self.Selected(cursor.task_id).set_sender(self))
        if self._told is None or told[1:] != self._told[1:]:
            self.post_message(self.Looking(cursor.top, self.body_height).set_sender(self))
        self._told = told


_HEADS = {
    "id": "ID      ",
    "state": "STATE    ",
    "created": "CREATED ",
    "took": " TOOK",
    "node": "NODE        ",
    "try": "TRY",
    "call": "CALL          ",
    "task": "TASK",
}
