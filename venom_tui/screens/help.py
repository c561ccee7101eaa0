"""Every key, made from the one table of keys."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen

from venom_tui import keys
from venom_tui.board import Board
from venom_tui.cells import wrapped
from venom_tui.keys import Where, bindings
from venom_tui.looks import Palette
from venom_tui.task_story import Line
from venom_tui.widgets.key_hints import ALWAYS, KeyHints
from venom_tui.widgets.pages import Pages

_KEY_WIDTH = 16


class Help(Screen[None]):
    """The keys, and how to read the states."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.PAGE, only=("back",))]

    def __init__(self, board: Board, palette: Palette) -> None:
        super().__init__()
        self._board, self._palette = board, palette

    def compose(self) -> ComposeResult:
        yield Pages(self._board, self._palette, "Keys", self._write)
        yield KeyHints(self._palette, [("esc", "back"), ("j k", "move")], ALWAYS[:1])

    def on_mount(self) -> None:
        self.query_one(Pages).focus()

    def action_back(self) -> None:
        self.dismiss(None)

    def _write(self, width: int) -> list[Line]:
        palette = self._palette
        lines: list[Line] = []
        for heading, group in keys.groups():
            lines += [[("", palette.text)], [(f" {heading}", palette.title)]]
            for key in group:
                for i, piece in enumerate(wrapped(key.meaning, width - _KEY_WIDTH - 4)):
                    shown = key.shown if i == 0 else ""
                    lines.append([(f"   {shown:<{_KEY_WIDTH}}", palette.key), (piece, palette.text)])
        return lines
