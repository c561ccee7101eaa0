"""What all dialogs share: they take no key that was typed before they could be read, and no paste."""

import time
from typing import ClassVar, TypeVar

from textual import events
from textual.binding import BindingType
from textual.screen import ModalScreen

from venom_tui.keys import Where, bindings

#: Keys that come sooner were meant for something else; each of them begins the time anew.
QUIET_SECONDS = 0.3

Answer = TypeVar("Answer")


class Dialog(ModalScreen[Answer]):
    """A question on top of everything. The emergency stop works over it too."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.ANYWHERE, only=("stop",))]
    DEFAULT_CSS = """
    Dialog { align: center middle; background: transparent; }
    Dialog > .box {
        width: 64; max-width: 100%; height: auto; max-height: 100%; padding: 1 2;
        background: $panel; border: round $primary;
    }
    Dialog > .danger { border: round $error; }
    """

    _quiet_until = 0.0

    def on_mount(self) -> None:
        self._quiet_until = time.monotonic() + QUIET_SECONDS

    @property
    def is_type_ahead(self) -> bool:
        """Whether a key that comes now was typed too early to be an answer."""
        now = time.monotonic()
        if now >= self._quiet_until:
            return False
        self._quiet_until = now + QUIET_SECONDS
        return True

    def on_paste(self, event: events.Paste) -> None:
        """A pasted text is no answer."""
        event.stop()
        event.prevent_default()
