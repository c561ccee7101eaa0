"""The first line: which engine, how it is reached and how old the picture is, how the queue stands."""

from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from venom_tui.board import Board, Connection
from venom_tui.cells import counted, fitted, running_span
from venom_tui.looks import Palette
from venom_tui.widgets.pane import Part, strip

_NAME = " venom "


class StatusLine(Widget):
    """One line that is always there and never lies."""

    DEFAULT_CSS = "StatusLine { height: 1; background: $panel; }"

    def __init__(self, board: Board, palette: Palette, *, read_only: bool = False) -> None:
        super().__init__()
        self.board, self.palette, self._read_only = board, palette.on_panel(), read_only
        self.short = False  #: The queue's own line is not there: say its counts here.

    def show(self) -> None:
        """The board has changed."""
        self.refresh()

    def tick(self) -> None:
        """A second has passed: the picture is older."""
        if self.board.connection in (Connection.LOST, Connection.REFUSED):
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width, palette = self.size.width, self.palette
        left: list[Part] = [("  ", palette.text), self._connection()]
        if self._read_only:
            left += [("  ", palette.text), ("READ-ONLY", palette.warn)]
        right = self._right()
        room = width - len(_NAME) - _length(left)
        # What matters least goes first; the queue's state goes last, after most of the address.
        while len(right) > 1 and _length(right) + len(self.board.engine) + 1 > room:
            right.pop(0)
        address = max(0, room - _length(right) - 1)
        name = fitted(self.board.engine, min(address, len(self.board.engine)))
        parts: list[Part] = [(_NAME, palette.key), (f" {name}", palette.text), *left]
        gap = width - _length(parts) - _length(right)
        return strip(width, palette.text, *parts, (" " * max(0, gap), palette.text), *right)

    def _connection(self) -> Part:
        board, palette = self.board, self.palette
        age = f", picture {running_span(board.age)} old" if board.heard_at is not None else ""
        match board.connection:
            case Connection.LIVE:
                return ("● live", palette.good)
            case Connection.CONNECTING:
                return ("○ connecting…", palette.warn)
            case Connection.LOST:
                return (f" CONNECTION LOST{age}, trying again ", palette.alarm)
            case Connection.REFUSED:
                return (f" REFUSED{age} ", palette.alarm)

    def _right(self) -> list[Part]:
        """From the least to the most important: what does not fit goes from the left."""
        board, palette = self.board, self.palette
        facts: list[Part] = []
        if board.nodes:
            online = sum(node.online for node in board.nodes.values())
            facts.append((f"{online}/{counted(len(board.nodes), 'node')}", palette.second))
        queue = board.queue
        if queue is None:
            return facts
        if self.short:
            facts.append((f"{queue.pending} waiting, {queue.processing} running", palette.second))
        if queue.problem:
            facts.append((queue.problem, palette.alarm))
        facts.append(queue_words(self.board, self.palette))
        return [(f" {text} ", style) for text, style in facts]


def _length(parts: list[Part]) -> int:
    return sum(len(text) for text, _ in parts)


def queue_words(board: Board, palette: Palette) -> Part:
    """How the queue stands, and who made it so."""
    queue = board.queue
    if queue is None:
        return ("", palette.text)
    by = f" by {queue.paused_by}" if queue.paused_by else ""
    if queue.stopped:
        return (f" STOPPED{by} ", palette.alarm)
    if queue.paused:
        return (f"‖ PAUSED{by}", _strong(palette.warn))
    return ("▶ RUNNING", palette.good)


def _strong(style: Style) -> Style:
    return style + Style(bold=True)
