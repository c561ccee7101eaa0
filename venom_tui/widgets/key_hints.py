"""The last line: the keys that matter in the pane that has the focus."""

from collections.abc import Iterable

from textual.strip import Strip
from textual.widget import Widget

from venom_tui.looks import Palette
from venom_tui.widgets.pane import Part, strip

#: A key and a word for it.
Hint = tuple[str, str]
#: What one may need before one has learnt anything.
ALWAYS: tuple[Hint, ...] = (("!", "STOP ALL"), ("?", "keys"), ("q", "quit"))


class KeyHints(Widget):
    """Keys and words, as many as fit; the last ones, at the right end, always do."""

    DEFAULT_CSS = "KeyHints { height: 1; background: $panel; }"

    def __init__(self, palette: Palette, hints: Iterable[Hint] = (), always: Iterable[Hint] = ALWAYS) -> None:
        super().__init__()
        self._palette, self._hints, self._always = palette.on_panel(), tuple(hints), tuple(always)

    def show(self, hints: Iterable[Hint]) -> None:
        """Say these keys."""
        new = tuple(hints)
        if new != self._hints:
            self._hints = new
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        right = [part for hint in self._always for part in self._parts(hint)]
        room = width - sum(len(text) for text, _ in right)
        left: list[Part] = []
        for hint in self._hints:
            parts = self._parts(hint)
            room -= sum(len(text) for text, _ in parts)
            if room < 0:
                room += sum(len(text) for text, _ in parts)
                break
            left += parts
        return strip(width, self._palette.second, *left, (" " * room, self._palette.second), *right)

    def _parts(self, hint: Hint) -> list[Part]:
        return [(f" {hint[0]}", self._palette.key), (f" {hint[1]} ", self._palette.second)]
