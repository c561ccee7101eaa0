"""A pane of ready-made lines that can be scrolled: the body of a page."""

from collections.abc import Callable

from textual.strip import Strip

from venom_tui.board import Board
from venom_tui.looks import Palette
from venom_tui.task_story import Line
from venom_tui.widgets.pane import Pane


class Pages(Pane):
    """Shows what `write` returns for a width; keeps its place when the text grows."""

    HEAD_LINES = 1
    DEFAULT_CSS = "Pages { height: 1fr; }"

    def __init__(self, board: Board, palette: Palette, name: str, write: Callable[[int], list[Line]]) -> None:
        super().__init__(board, palette)
        self.NAME = name
        self._write = write
        self._lines: list[Line] = []
        self._first = 0

    def show(self) -> None:
        """Write the text again."""
        self._lines = self._write(self.size.width)
        self.move_by(0)
        self.refresh()

    def on_resize(self) -> None:
        self.show()

    def move_by(self, by: int) -> None:
        before = self._first
        self._first = max(0, min(self._first + by, len(self._lines) - self.body_height))
        if self._first != before:
            self.refresh()

    def to_first(self) -> None:
        self.move_by(-len(self._lines))

    def to_last(self) -> None:
        self.move_by(len(self._lines))

    def title_right(self) -> str:
        if len(self._lines) <= self.body_height:
            return ""
        last = min(self._first + self.body_height, len(self._lines))
        return f"{self._first + 1}-{last} of {len(self._lines)}"

    def body_line(self, y: int) -> Strip:
        number = self._first + y
        return self.line(*(self._lines[number] if number < len(self._lines) else []))
