"""The overview: tasks over the whole width, the log and the nodes below them.

Owns: which pane is where for the size of the terminal. Below 24 lines, or when a pane is given the
whole screen, one pane is there at a time. Asks the app for everything that reaches the engine.
"""

from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.screen import Screen

from venom_tui.board import Board, Filter, Topic
from venom_tui.cells import STATES
from venom_tui.keys import Where, bindings, hints
from venom_tui.looks import Palette
from venom_tui.messages import AbortAsked, BoardChanged
from venom_tui.widgets.cluster_map import ClusterMap, map_width
from venom_tui.widgets.key_hints import KeyHints
from venom_tui.widgets.log_tail import LogTail
from venom_tui.widgets.pane import Pane
from venom_tui.widgets.queue_bar import QueueBar
from venom_tui.widgets.status_line import StatusLine
from venom_tui.widgets.task_list import TaskList

_SHORT = 24
_PANES = ("tasks", "log", "queue", "nodes")
_LIST_KEYS = ("detail", "abort", "filter", "states", "clear", "newest")


class Main(Screen[None]):
    """All panes."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings(Where.OVERVIEW),
        *bindings(Where.TASKS, only=_LIST_KEYS),
    ]

    @dataclass
    class DetailAsked(Message):
        """The operator wants the page of the selected task."""

    @dataclass
    class FilterAsked(Message):
        """The operator wants to list other tasks. `chosen` None: he is to be asked."""

        chosen: Filter | None

    def __init__(self, board: Board, palette: Palette, *, read_only: bool) -> None:
        super().__init__()
        self.board, self.palette, self._read_only = board, palette, read_only
        self.current = "tasks"
        self.zoomed = False

    def compose(self) -> ComposeResult:
        board, palette = self.board, self.palette
        yield StatusLine(board, palette, read_only=self._read_only)
        yield QueueBar(board, palette, id="queue")
        yield TaskList(board, palette, id="tasks")
        with Horizontal(id="below"):
            yield LogTail(board, palette, id="log")
            yield ClusterMap(board, palette, id="nodes")
        yield KeyHints(palette)

    def on_mount(self) -> None:
        self.action_pane("tasks")

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out()

    @property
    def tasks(self) -> TaskList:
        return self.query_one(TaskList)

    @property
    def log_tail(self) -> LogTail:
        return self.query_one(LogTail)

    # -- what is shown

    def on_board_changed(self, message: BoardChanged) -> None:
        match message.topic:
            case Topic.TASKS:
                self.tasks.show()
            case Topic.LOG:
                self.log_tail.show()
            case Topic.NODES:
                self.query_one(ClusterMap).show()
            case Topic.STATUS:
                self.query_one(StatusLine).show()
                self.query_one(QueueBar).show()

    def tick(self) -> None:
        """A second has passed."""
        self.query_one(StatusLine).tick()
        self.tasks.tick()

    def _lay_out(self) -> None:
        """Put the panes where the terminal has room for them."""
        width, height = self.app.size
        one = self.zoomed or height < _SHORT
        for name in _PANES:
            self.query_one(f"#{name}", Pane).display = name == self.current if one else True
        below = self.query_one("#below")
        below.display = not one or self.current in ("log", "nodes")
        below.styles.height = "1fr" if one else max(6, min(height * 2 // 5, height - 14))
        nodes = self.query_one(ClusterMap)
        nodes.styles.width = "1fr" if one else map_width(width)
        self.query_one(QueueBar).display = not one or self.current == "queue"
        status = self.query_one(StatusLine)
        status.short = one
        status.show()

    # -- keys

    def action_pane(self, name: str) -> None:
        self.current = name
        self._lay_out()
        self.query_one(f"#{name}", Pane).focus()
        own = (Where.LOG,) if name == "log" else ()
        self.query_one(KeyHints).show(hints(*own, Where.ANYWHERE, Where.TASKS, Where.OVERVIEW))

    def action_next_pane(self, by: int) -> None:
        self.action_pane(_PANES[(_PANES.index(self.current) + by) % len(_PANES)])

    def action_zoom(self) -> None:
        self.zoomed = not self.zoomed
        self._lay_out()

    def action_follow(self) -> None:
        self.tasks.follow_newest()

    def action_detail(self) -> None:
        if self.tasks.selected:
            self.post_message(self.DetailAsked())

    def action_abort(self) -> None:
        row = self.tasks.selected
        if row is None:
            self.notify("No task is selected.", severity="warning")
        else:
            self.post_message(AbortAsked(row))

    def action_filter(self) -> None:
        self.post_message(self.FilterAsked(None))

    def action_next_state(self) -> None:
        states = ["", *STATES]
        at = states.index(self.board.filter.status)
        chosen = Filter(states[(at + 1) % len(states)], self.board.filter.text)
        self.post_message(self.FilterAsked(chosen))

    def action_clear_filter(self) -> None:
        if self.zoomed:
            self.action_zoom()
        elif self.board.filter:
            self.post_message(self.FilterAsked(Filter()))
