"""Every colour of the console, in one place.

`Looks` here are rich styles for the line-API panes; the theme gives Textual's own widgets the same
colours. Meaning never rests on colour alone: `MONO` says the same with bold, dim and reverse.
"""

from dataclasses import dataclass, fields, replace

from rich.color import Color
from rich.style import Style

#: Of the 256 colours that terminals have by number: those take half the bytes.
TEXT, SECOND, FAINT, WHITE = "#d0d0d0", "#949494", "#4e4e4e", "#ffffff"
BLUE, GREEN, YELLOW, RED, CYAN, VIOLET = "#5fafff", "#5fd75f", "#d7af5f", "#ff5f5f", "#5fd7d7", "#af87ff"
#: Behind them; sent seldom.
GROUND, PANEL, CURSOR, CURSOR_OFF, ALARM = "#0d1117", "#161b22", "#1f3a5f", "#21262d", "#b62324"


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """A style for each thing that is shown."""

    text: Style
    second: Style  #: Ids, times: there when looked for.
    faint: Style  #: Rules and empty parts of bars.
    strong: Style
    title: Style  #: Of the pane that has the focus.
    title_off: Style
    head: Style  #: Column names.
    cursor: Style  #: The row that is acted on, in the pane with the focus.
    cursor_off: Style
    good: Style
    busy: Style
    warn: Style
    bad: Style
    off: Style
    alarm: Style  #: What must not be overlooked, such as a stopped queue.
    key: Style

    def status(self, status: str) -> Style:
        """The style of a task's state."""
        return {
            "PENDING": self.second,
            "PROCESSING": self.busy,
            "COMPLETED": self.good,
            "FAILED": self.bad,
            "ABORTED": self.off,
        }.get(status, self.text)

    def on_panel(self) -> "Palette":
        """The same on the ground of the first and the last line."""
        return PANEL_COLOR if self is COLOR else self

    def load(self, share: float) -> Style:
        """The style of a load: calm, high, at the limit."""
        return self.good if share < 0.6 else self.warn if share < 0.85 else self.bad


def _style(foreground: str, *, bold: bool = False, on: str = GROUND) -> Style:
    return Style(color=foreground, bgcolor=on, bold=bold or None)


COLOR = Palette(
    text=_style(TEXT),
    second=_style(SECOND),
    faint=_style(FAINT),
    strong=_style(WHITE, bold=True),
    title=_style(BLUE, bold=True),
    title_off=_style(SECOND),
    head=_style(SECOND),
    cursor=_style(WHITE, bold=True, on=CURSOR),
    cursor_off=_style(TEXT, on=CURSOR_OFF),
    good=_style(GREEN),
    busy=_style(CYAN),
    warn=_style(YELLOW),
    bad=_style(RED),
    off=_style(VIOLET),
    alarm=_style(WHITE, bold=True, on=ALARM),
    key=_style(BLUE, bold=True),
)


def _moved(style: Style) -> Style:
    is_on_ground = style.bgcolor == Color.parse(GROUND)
    return style + Style(bgcolor=PANEL) if is_on_ground else style


PANEL_COLOR = replace(COLOR, **{field.name: _moved(getattr(COLOR, field.name)) for field in fields(COLOR)})

_PLAIN, _BOLD, _DIM = Style(), Style(bold=True), Style(dim=True)

MONO = Palette(
    text=_PLAIN,
    second=_PLAIN,
    faint=_DIM,
    strong=_BOLD,
    title=_BOLD,
    title_off=_PLAIN,
    head=_DIM,
    cursor=Style(bold=True, reverse=True),
    cursor_off=Style(underline=True),
    good=_PLAIN,
    busy=_BOLD,
    warn=_BOLD,
    bad=_BOLD,
    off=_PLAIN,
    alarm=Style(bold=True, reverse=True),
    key=_BOLD,
)
