"""The part of the engine's task list that is here: the rows near the view, not the list.

A row is kept by its rank, counted from the oldest task (0), because new tasks come at the other end:
ranks stay while thousands arrive. The list shows the newest first, so index = total - 1 - rank.
Pure; `feed` asks `want` what to fetch and hands the answer to `placed`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from venom_tui.rows import TaskRow

#: Rows kept; past it those farthest from the view go.
_KEEP = 4_000
#: Pages fetched ahead, either way, when the view comes within one of what is not here.
_AHEAD = 4
#: The most rows in one request.
_MOST = 1_000


@dataclass(frozen=True, slots=True)
class Span:
    """Rows to ask the engine for."""

    offset: int
    limit: int


class TaskWindow:
    """Rows by index; None where they are not here yet."""

    def __init__(self) -> None:
        self.total = 0
        self.known = False  #: False until the first answer.
        self._rows: dict[int, TaskRow | None] = {}  #: By rank. None: asked for, and not there.
        self._ranks: dict[str, int] = {}
        self._old: set[int] = set()  #: Ranks whose row may no longer stand there.
        self._must_look = True

    def __getitem__(self, index: int) -> TaskRow | None:
        return self._rows.get(self.total - 1 - index)

    def index_of(self, task_id: str) -> int | None:
        """Where a task stands; None when it is not among the rows here."""
        rank = self._ranks.get(task_id)
        return None if rank is None else self.total - 1 - rank

    def row_of(self, task_id: str) -> TaskRow | None:
        rank = self._ranks.get(task_id)
        return None if rank is None else self._rows.get(rank)

    def look_again(self, *, all_rows: bool = False) -> None:
        """The list has changed; with `all_rows`, rows may also have come and gone in its middle."""
        self._must_look = True
        if all_rows:
            self._old.update(self._rows)

    def change(self, task_id: str, changed: Callable[[TaskRow], TaskRow]) -> bool:
        """Put what an event says into the row, if it is here and differs."""
        rank = self._ranks.get(task_id)
        row = None if rank is None else self._rows.get(rank)
        if rank is None or row is None:
            return False
        new = changed(row)
        self._rows[rank] = new
        return new != row

    def want(self, first: int, count: int) -> Span | None:
        """What to fetch so that the view of `count` rows from `first`, and a view around it, is right."""
        count = max(count, 1)
        if self._must_look or self.is_urgent(first, count) or self._has_old(first, count):
            return self._span(first - count, first + 2 * count)
        near = range(max(0, first - count), min(first + 2 * count, self.total))
        if any(map(self._is_missing, near)):
            return self._span(first - _AHEAD * count, first + (_AHEAD + 1) * count)
        return None

    def is_urgent(self, first: int, count: int) -> bool:
        """Whether the view would show a row that is not here."""
        return not self.known or any(map(self._is_missing, range(first, min(first + count, self.total))))

    def asked(self) -> None:
        """A request goes out now: what changes from here on needs another."""
        self._must_look = False

    def placed(self, offset: int, limit: int, rows: Sequence[TaskRow], total: int) -> None:
        """Take the engine's answer."""
        self.total, self.known = total, True
        for i in range(min(limit, max(0, total - offset))):
            self._put(total - 1 - offset - i, rows[i] if i < len(rows) else None)
        if len(self._rows) > _KEEP:
            self._trim(total - 1 - offset)

    def _has_old(self, first: int, count: int) -> bool:
        return bool(self._old) and any(self.total - 1 - first - i in self._old for i in range(count))

    @staticmethod
    def _span(first: int, end: int) -> Span:
        first = max(0, first)
        return Span(first, min(end - first, _MOST))

    def _is_missing(self, index: int) -> bool:
        return self.total - 1 - index not in self._rows

    def _put(self, rank: int, row: TaskRow | None) -> None:
        before = self._rows.get(rank)
        if before is not None and self._ranks.get(before.id) == rank:
            del self._ranks[before.id]
        self._rows[rank] = row
        self._old.discard(rank)
        if row is not None:
            was = self._ranks.get(row.id)
            if was is not None and was != rank:
                self._old.add(was)
            self._ranks[row.id] = rank

    def _trim(self, center: int) -> None:
        for rank in sorted(self._rows, key=lambda rank: abs(rank - center))[_KEEP // 2 :]:
            row = self._rows.pop(rank)
            self._old.discard(rank)
            if row is not None and self._ranks.get(row.id) == rank:
                del self._ranks[row.id]
