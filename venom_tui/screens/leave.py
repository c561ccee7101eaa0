"""Asks, on the way out, whether the engine that this console started goes on."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Static

from venom_tui.board import Board
from venom_tui.cells import counted
from venom_tui.looks import Palette
from venom_tui.screens.dialog import Dialog


class Leave(Dialog[bool | None]):
    """The answer: whether the engine goes on; None: stay here."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,enter", "answer(True)", show=False),
        Binding("n", "answer(False)", show=False),
        Binding("escape,q", "stay", show=False),
    ]

    def __init__(self, palette: Palette, board: Board) -> None:
        super().__init__()
        self._palette, self._board = palette.on_panel(), board

    def compose(self) -> ComposeResult:
        palette, queue = self._palette, self._board.queue
        running = queue.processing if queue else 0
        text = Text.assemble(
            ("Quit. Does the engine go on?\n\n", palette.strong),
            ("This console started it, and it runs on its own", palette.text),
            (f" ({counted(running, 'task')} running now)" if running else "", palette.warn),
            (".\n\n", palette.text),
            (" y ", palette.key),
            (" yes, keep it running; venom-tui comes back to it\n", palette.text),
            (" n ", palette.key),
            (" no, stop it; unfinished tasks go on at its next start\n", palette.text),
            (" esc ", palette.key),
            (" stay here", palette.text),
        )
        with Vertical(classes="box"):
            yield Static(text, id="question")

    def action_answer(self, goes_on: bool) -> None:
        if not self.is_type_ahead:
            self.dismiss(goes_on)

    def action_stay(self) -> None:
        self.dismiss(None)
