"""Asks once whether something that cannot be undone is to happen. The answer at first is No."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.widgets import Static

from venom_tui.keys import Where, bindings
from venom_tui.looks import Palette
from venom_tui.screens.dialog import Dialog


class Confirm(Dialog[bool]):
    """Names what will happen, and to how many. True: do it."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.DIALOG)]

    def __init__(self, palette: Palette, question: str, *, effect: str, yes: str, no: str = "No") -> None:
        super().__init__()
        self._palette = palette.on_panel()
        self._question, self._effect = question, effect
        self._words = {True: yes, False: no}
        self.marked = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="box danger"):
            yield Static(Text(self._question, style=self._palette.strong), id="question")
            yield Static(Text(f"\n{self._effect}\n", style=self._palette.text), id="effect")
            yield Static(self._answers(), id="answers")

    def action_answer(self, yes: bool) -> None:
        if not self.is_type_ahead:
            self.dismiss(yes)

    def action_give_up(self) -> None:
        """Never too early: nothing happens."""
        self.dismiss(False)

    def action_confirm(self) -> None:
        self.action_answer(self.marked)

    def action_other(self) -> None:
        if not self.is_type_ahead:
            self.marked = not self.marked
            self.query_one("#answers", Static).update(self._answers())

    def _answers(self) -> Text:
        text = Text()
        for yes, key in ((False, "n"), (True, "y")):
            here = yes is self.marked
            style = self._palette.cursor if here else self._palette.second
            text.append(f"{'▸' if here else ' '} {key}  {self._words[yes]} ", style)
            text.append("   ")
        return text
