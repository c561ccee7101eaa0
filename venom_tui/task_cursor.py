"""Where the operator stands in the task list: on a task, not on a line.

Pure. While `follows`, the cursor is on the newest task, whichever that is; any move pins it to the
task it reaches. Rows that arrive above push the list down only while the top is in view.
"""

from venom_tui.rows import TaskRow
from venom_tui.task_window import TaskWindow


class TaskCursor:
    """The task under the cursor and the first index in view."""

    def __init__(self) -> None:
        self.index = 0
        self.top = 0
        self.follows = True
        self.task_id: str | None = None
        self._rank = 0  #: Where the task was, counted from the oldest.
        self._waits = False  #: Pinned to a task that is not here yet.

    def row(self, window: TaskWindow) -> TaskRow | None:
        """The row under the cursor, if it is here."""
        return window[self.index] if window.total else None

    def move(self, by: int, window: TaskWindow, height: int) -> None:
        """Go some rows down (or up), and pin to the task there."""
        self.follows = self.follows and not window.total
        self._go(self.index + by, window, height)

    def newest(self, window: TaskWindow, height: int) -> None:
        """To the first row, and stay on whatever comes there."""
        self.follows = True
        self._go(0, window, height)

    def oldest(self, window: TaskWindow, height: int) -> None:
        """To the last row."""
        self.follows = self.follows and not window.total
        self._go(window.total - 1, window, height)

    def pin(self, task_id: str) -> None:
        """Stand on this task as soon as it is here."""
        self.follows, self.task_id, self._waits = False, task_id, True
        self.top = self.index = 0

    def settle(self, window: TaskWindow, height: int) -> None:
        """The rows have changed: find the task again and keep its line on the screen."""
        if self.follows:
            return self._go(0, window, height)
        line = self.index - self.top
        found = window.index_of(self.task_id) if self.task_id else None
        if found is None and self._waits:
            return
        if found is None:
            # Its place, counted from the oldest: another task stands there now, or none is here yet.
            found = max(0, window.total - 1 - self._rank)
        keep_top = self.top == 0 and found < height
        self.top = 0 if keep_top else found - line
        self._go(found, window, height)

    def _go(self, index: int, window: TaskWindow, height: int) -> None:
        self._waits = False
        self.index = max(0, min(index, window.total - 1))
        last_top = max(0, window.total - height)
        self.top = max(self.index - height + 1, min(self.top, self.index, last_top), 0)
        self._rank = window.total - 1 - self.index
        row = window[self.index] if window.total else None
        if row is not None:
            self.task_id = row.id
        elif not self.follows:
            self.task_id = None
