"""Dialogs with one line to type: what they share."""

from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.widgets import Input, Static

from venom_tui.looks import Palette
from venom_tui.screens.dialog import Answer, Dialog


class Line(Input):
    """A line to type into. Its cursor does not blink: a quiet console sends nothing."""

    DEFAULT_CSS = """
    Line { border: none; height: 1; padding: 0 1; background: $boost; }
    Line:focus { border: none; background-tint: $foreground 0%; }
    """

    def __init__(self, *, placeholder: str = "", value: str = "", max_length: int = 0) -> None:
        super().__init__(
            value=value, placeholder=placeholder, max_length=max_length, select_on_focus=False, compact=True
        )
        self.cursor_blink = False


class TypedLine(Line):
    """A line that must be typed by hand."""

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()


class Prompt(Dialog[Answer]):
    """A title, a line, and a sentence below it: a hint, or what is wrong."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "give_up", show=False)]
    TITLE_TEXT = ""
    HINT = ""
    BOX = "box"
    MAX_LENGTH = 0
    LINE: ClassVar[type[Line]] = Line

    def __init__(self, palette: Palette, *, value: str = "") -> None:
        super().__init__()
        self.palette = palette.on_panel()
        self._value = value

    def compose(self) -> ComposeResult:
        with Vertical(classes=self.BOX):
            yield Static(Text(f"{self.TITLE_TEXT}\n", style=self.palette.strong), id="title")
            yield self.LINE(value=self._value, max_length=self.MAX_LENGTH)
            yield Static(Text(f"\n{self.HINT}", style=self.palette.second), id="below")

    @property
    def line(self) -> Line:
        return self.query_one(Line)

    def say(self, text: str, *, wrong: bool = False) -> None:
        """Put a sentence below the line."""
        style = self.palette.bad if wrong else self.palette.second
        self.query_one("#below", Static).update(Text(f"\n{text}", style=style))

    def action_give_up(self) -> None:
        self.dismiss(None)

    def on_paste(self, event: events.Paste) -> None:
        """Here a paste is text like any other."""
