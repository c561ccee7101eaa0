"""What all panes share: a title line that shows the focus, the moving keys, and strips from parts."""

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import BindingType
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from venom_tui.board import Board
from venom_tui.cells import fitted, wrapped
from venom_tui.keys import Where, bindings
from venom_tui.looks import Palette

#: A piece of a line: text and its style.
Part = tuple[str, Style]


def strip(width: int, fill: Style, *parts: Part) -> Strip:
    """A line of exactly `width` cells; `fill` is the style of what the parts leave free."""
    return Strip([Segment(text, style) for text, style in parts if text]).adjust_cell_length(width, fill)


class Pane(Widget, can_focus=True):
    """A pane that draws lines. `body_line` and `move_by` are the child's."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.MOVE)]
    NUMBER = ""  #: The key that leads here.
    NAME = ""
    HEAD_LINES = 1  #: Lines above the body: the title, perhaps column names.

    def __init__(self, board: Board, palette: Palette, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.board, self.palette = board, palette

    @property
    def body_height(self) -> int:
        return max(0, self.size.height - self.HEAD_LINES)

    def render_line(self, y: int) -> Strip:
        if y == 0:
            return self.title_line(self.size.width)
        return self.body_line(y - self.HEAD_LINES)

    def title_line(self, width: int) -> Strip:
        """The rule with the pane's name and what it shows; bright in the pane that has the focus."""
        palette = self.palette
        rule = palette.title if self.has_focus else palette.faint
        name = palette.title if self.has_focus else palette.title_off
        parts: list[Part] = [("─ ", rule), (f"{self.NUMBER} {self.NAME} ".lstrip(), name)]
        for text, style in self.title_facts():
            parts += [("─ ", rule), (f"{text} ", style)]
        right = self.title_right()
        room = width - sum(len(text) for text, _ in parts) - (len(right) + 3 if right else 0)
        if right and room >= 1:
            parts += [("─" * room, rule), (f" {right} ", palette.second), ("─", rule)]
        else:
            parts.append(("─" * width, rule))
        return self.line(*parts)

    def title_facts(self) -> list[Part]:
        """What the title says beside the name."""
        return []

    def title_right(self) -> str:
        """What stands at the right end of the title."""
        return ""

    def body_line(self, y: int) -> Strip:
        """Line `y` under the head; negative for head lines below the title."""
        raise NotImplementedError

    def line(self, *parts: Part) -> Strip:
        """A line over the whole width."""
        return strip(self.size.width, self.palette.text, *parts)

    def say(self, text: str, y: int) -> Strip:
        """A quiet sentence in an otherwise empty pane, from its first line on."""
        width = self.size.width
        lines = wrapped(text, width - 4)
        return self.line((fitted(f"  {lines[y]}" if 0 <= y < len(lines) else "", width), self.palette.second))

    def refresh_lines(self, *lines: int) -> None:
        """Draw some lines of the widget again."""
        width, height = self.size
        regions = [Region(0, y, width, 1) for y in lines if 0 <= y < height]
        if regions:
            self.refresh(*regions)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def action_move(self, by: int) -> None:
        self.move_by(by)

    def action_page(self, pages: float) -> None:
        self.move_by(int(max(1, self.body_height - 1) * pages) or (1 if pages > 0 else -1))

    def action_first(self) -> None:
        self.to_first()

    def action_last(self) -> None:
        self.to_last()

    def move_by(self, by: int) -> None:
        """Move down (or up) by lines."""

    def to_first(self) -> None:
        """Move to the top."""

    def to_last(self) -> None:
        """Move to the end."""
