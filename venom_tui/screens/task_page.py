"""One task on a page of its own; it goes on while the task does."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from venom_tui.board import Board, Topic
from venom_tui.keys import Where, bindings, hints
from venom_tui.looks import Palette
from venom_tui.messages import AbortAsked, BoardChanged
from venom_tui.rows import task_row
from venom_tui.task_story import Line, story
from venom_tui.widgets.key_hints import ALWAYS, KeyHints
from venom_tui.widgets.pages import Pages
from venom_tui.widgets.status_line import StatusLine


class TaskPage(Screen[None]):
    """Everything about one task, which the feed has in focus."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.PAGE)]

    def __init__(self, board: Board, palette: Palette, task_id: str, *, read_only: bool) -> None:
        super().__init__()
        self._board, self._palette, self._read_only = board, palette, read_only
        self._task_id = task_id

    def compose(self) -> ComposeResult:
        yield StatusLine(self._board, self._palette, read_only=self._read_only)
        yield Pages(self._board, self._palette, "Task", self._write)
        yield KeyHints(self._palette, [*hints(Where.PAGE), *hints(Where.ANYWHERE)], ALWAYS[:2])

    def on_mount(self) -> None:
        self.query_one(Pages).focus()

    def on_board_changed(self, message: BoardChanged) -> None:
        if message.topic is Topic.LOG:
            self.query_one(Pages).show()
        elif message.topic is Topic.STATUS:
            self.query_one(StatusLine).show()

    def tick(self) -> None:
        """A second has passed."""
        self.query_one(StatusLine).tick()

    def action_abort(self) -> None:
        focus = self._board.focus
        if focus and focus.task:
            self.post_message(AbortAsked(task_row(focus.task)))

    def action_back(self) -> None:
        self.dismiss(None)

    def _write(self, width: int) -> list[Line]:
        focus = self._board.focus
        if focus is None or focus.task_id != self._task_id:
            return []  # It is on its way.
        return story(self._board, focus, self._palette, width)
