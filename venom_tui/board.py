"""Everything that the console knows about the engine, as plain state. `feed` fills it, widgets draw it.

Owns: what an event changes. Never: waits, asks the engine, or knows a widget.
"""

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from venom_engine.protocol.text import inert
from venom_tui.log_ring import Kind, LogLine, LogRing
from venom_tui.rows import NodeRow, TaskRow, loaded_row, moved_row, node_row, task_row
from venom_tui.task_focus import TaskFocus
from venom_tui.task_window import Span, TaskWindow

if TYPE_CHECKING:
    from venom_engine.protocol.event import Event
    from venom_engine.protocol.node import NodeList
    from venom_engine.protocol.queue import QueueStatus
    from venom_engine.protocol.task import TaskPage

_KEEP_LINES = 20_000
_STREAMS = {"stdout": Kind.OUT, "stderr": Kind.ERR}
_LEVELS = {"warning": Kind.ERR, "error": Kind.ERROR}


class Topic(StrEnum):
    """What part of the board has changed."""

    STATUS = "status"
    TASKS = "tasks"
    LOG = "log"
    NODES = "nodes"


class Connection(StrEnum):
    """How the engine is reached."""

    CONNECTING = "connecting"
    LIVE = "live"
    LOST = "lost"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tasks are listed."""

    status: str = ""
    text: str = ""

    def __bool__(self) -> bool:
        return bool(self.status or self.text)


class Board:
    """The picture, and how old it is."""

    def __init__(self) -> None:
        self.engine = ""
        self.connection = Connection.CONNECTING
        self.trouble = ""  #: Why there is no connection, in words.
        self.heard_at: float | None = None  #: By the monotonic clock; None: no picture yet.
        self.seq: int | None = None
        self.queue: QueueStatus | None = None
        self.nodes: dict[str, NodeRow] = {}
        self.filter = Filter()
        self.tasks = TaskWindow()
        self.log = LogRing(_KEEP_LINES)
        self.focus: TaskFocus | None = None
        self.counts_stale = True
        self.nodes_stale = True

    @property
    def age(self) -> float:
        """Seconds since the engine was last heard."""
        return time.monotonic() - self.heard_at if self.heard_at is not None else 0.0

    @property
    def is_live(self) -> bool:
        return self.connection is Connection.LIVE

    def node_name(self, node_id: str) -> str:
        node = self.nodes.get(node_id)
        return node.name if node else node_id[:8]

    def look(self, chosen: Filter) -> None:
        """List other tasks."""
        if chosen != self.filter:
            self.filter, self.tasks = chosen, TaskWindow()

    def focus_on(self, task_id: str | None) -> None:
        """Follow another task's story, or none."""
        if task_id != (self.focus.task_id if self.focus else None):
            self.focus = TaskFocus(task_id) if task_id else None

    def reconnected(self) -> None:
        """Whatever is shown may have changed meanwhile."""
        self.tasks.look_again(all_rows=True)
        self.counts_stale = self.nodes_stale = True
        if self.focus:
            self.focus.stale, self.focus.task = True, None

    def take_tasks(self, span: Span, page: "TaskPage") -> set[Topic]:
        self.tasks.placed(span.offset, span.limit, [task_row(task) for task in page.tasks], page.total)
        return {Topic.TASKS}

    def take_nodes(self, found: "NodeList") -> set[Topic]:
        rows = sorted(map(node_row, found.nodes), key=lambda row: (not row.local, row.name, row.id))
        self.nodes = {row.id: row for row in rows}
        self.nodes_stale = False
        return {Topic.NODES, Topic.TASKS, Topic.STATUS}

    def take_queue(self, status: "QueueStatus") -> set[Topic]:
        changed = status != self.queue
        self.queue = status
        return {Topic.STATUS} if changed else set()

    def fold(self, event: "Event") -> set[Topic]:
        """Put what happened into the picture. What else must be asked for is marked stale."""
        if event.seq is not None:
            self.seq = event.seq
        match event.type:
            case "TASK_OUTPUT":
                return self._output(event)
            case "NODE_LOAD":
                return self._load(event)
            case "GAP":
                self.reconnected()
                self.log.lost += 1
                return self._say(
                    Kind.NOTE, "… too much at once: some of what happened here was not told", event
                )
            case kind if kind.startswith("TASK_"):
                return self._task_event(event)
            case kind if kind.startswith("NODE_"):
                self.nodes_stale = True
            case "QUEUE_PURGED" | "EMERGENCY_STOP":
                self.tasks.look_again(all_rows=True)
                if self.focus:
                    self.focus.stale, self.focus.task = True, None
        self.counts_stale = True
        return self._say(_LEVELS.get(str(event.data.get("level")), Kind.STAGE), event.message, event)

    def _task_event(self, event: "Event") -> set[Topic]:
        self.counts_stale = True
        topics = self._say(Kind.STAGE, event.message, event)
        task_id = str(event.data.get("task_id"))
        if event.type == "TASK_CREATED":
            self.tasks.look_again()
        elif event.type != "TASK_NOTE":
            if self.filter.status:
                self.tasks.look_again(all_rows=True)
            if self.tasks.change(task_id, lambda row: self._moved(row, event)):
                topics.add(Topic.TASKS)
        if self.focus and self.focus.task_id == task_id:
            self.focus.heard(event)
        return topics

    @staticmethod
    def _moved(row: TaskRow, event: "Event") -> TaskRow:
        """A replayed event must not put a row back to what it was."""
        known = max(row.created, row.started or 0.0, row.finished or 0.0)
        return row if event.timestamp.timestamp() < known else moved_row(row, event)

    def _output(self, event: "Event") -> set[Topic]:
        task_id, stream, text = (event.data.get(name) for name in ("task_id", "stream", "text"))
        if not isinstance(task_id, str) or not isinstance(text, str):
            return set()
        self.log.write(_STREAMS.get(str(stream), Kind.NOTE), text, event.timestamp.timestamp(), task_id)
        if self.focus and self.focus.task_id == task_id:
            self.focus.heard(event)
        return {Topic.LOG}

    def _load(self, event: "Event") -> set[Topic]:
        nodes = event.data.get("nodes")
        for load in nodes if isinstance(nodes, list) else ():
            node = self.nodes.get(str(load[0])) if isinstance(load, list) and load else None
            if node:
                self.nodes[node.id] = loaded_row(node, load)
        return {Topic.NODES}

    def _say(self, kind: Kind, text: str, event: "Event") -> set[Topic]:
        task_id = str(event.data.get("task_id") or "")
        self.log.add(LogLine(kind, inert(text).replace("\n", " "), event.timestamp.timestamp(), task_id))
        return {Topic.LOG, Topic.STATUS}
