"""The filter: lists the tasks whose text contains what is typed, while it is typed."""

from dataclasses import dataclass

from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input

from venom_tui.looks import Palette
from venom_tui.screens.prompt import Prompt

_PAUSE_SECONDS = 0.15


class FilterPrompt(Prompt[str | None]):
    """The answer: the text to filter by; None: as it was before."""

    TITLE_TEXT = "List tasks that contain"
    HINT = "Upper and lower case are the same. enter keeps the filter, esc drops what was typed."
    MAX_LENGTH = 200
    DEFAULT_CSS = "FilterPrompt { align: center bottom; }"

    @dataclass
    class Typed(Message):
        """The text so far, after a short pause."""

        text: str

    def __init__(self, palette: Palette, *, value: str = "") -> None:
        super().__init__(palette, value=value)
        self._pause: Timer | None = None

    def on_input_changed(self, event: Input.Changed) -> None:
        if self._pause is not None:
            self._pause.stop()
        text = event.value
        self._pause = self.set_timer(_PAUSE_SECONDS, lambda: self.app.post_message(self.Typed(text)))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if self._pause is not None:
            self._pause.stop()
        self.dismiss(event.value)
