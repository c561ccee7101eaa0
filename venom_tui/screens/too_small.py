"""Says that the terminal is too small to show anything true, and how much it takes."""

from rich.text import Text
from textual.app import ComposeResult
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Static

LEAST = Size(40, 10)


def is_too_small(size: Size) -> bool:
    """Whether the panes have no room."""
    return size.width < LEAST.width or size.height < LEAST.height


class TooSmall(Screen[None]):
    """Shown instead of everything until the terminal grows."""

    DEFAULT_CSS = "TooSmall { align: center middle; } TooSmall > Static { width: auto; text-align: center; }"

    def compose(self) -> ComposeResult:
        yield Static(id="too-small")

    def on_resize(self) -> None:
        size = self.app.size
        words = f"This terminal is {size.width}x{size.height}.\nVenom needs {LEAST.width}x{LEAST.height}.\nEnlarge it."
        self.query_one(Static).update(Text(words))
