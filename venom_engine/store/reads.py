"""What may be read, in a thread of its own: a long look holds up neither writers nor the loop."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from venom_engine.protocol.errors import BadRequest
from venom_engine.protocol.event import Event
from venom_engine.protocol.task import OutputChunk, TaskQuery
from venom_engine.rules.records import Lane, Task
from venom_engine.store.rows import Row, chunk_from, event_from, lane_from, task_from
from venom_engine.store.sql import statements

Values = dict[str, Any]


class Reads:
    """One connection that only reads; every call sees what was committed before it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._sql = statements()
        self._lanes: dict[int, Lane] = {}

    def find(self, task_id: str) -> Task | None:
        row = self._db.execute(self._sql["find"], (task_id,)).fetchone()
        return self._task(row) if row else None

    def page(self, query: TaskQuery) -> tuple[list[Task], int, str | None]:
        where, values = _conditions(query)
        (total,) = self._db.execute(
            self._sql["page_count"].replace("{where}", _all(where)), values
        ).fetchone()
        if query.cursor is not None:
            where = [*where, statements()["where_cursor"]]
            values["cursor"] = _cursor(query.cursor)
        values |= {"limit": query.limit + 1, "offset": query.offset}
        rows = self._db.execute(self._sql["page"].replace("{where}", _all(where)), values).fetchall()
        tasks = [self._task(row) for row in rows[: query.limit]]
        return tasks, total, str(tasks[-1].n) if len(rows) > query.limit else None

    def stage_logs(self, tasks: Sequence[Task]) -> dict[str, list[Event]]:
        return {
            task.id: [event_from(row) for row in self._db.execute(self._sql["stage_log"], (task.n,))]
            for task in tasks
        }

    def output(self, task_id: str, after: int, limit: int) -> list[OutputChunk]:
        rows = self._db.execute(self._sql["output"], (self._number(task_id), after, limit))
        return [chunk_from(row) for row in rows]

    def tail(self, task_id: str, limit: int) -> list[OutputChunk]:
        rows = self._db.execute(self._sql["tail"], (self._number(task_id), limit)).fetchall()
        return [chunk_from(row) for row in reversed(rows)]

    def held(self) -> list[tuple[Task, int]]:
        return [(self._task(row[:-1]), row[-1]) for row in self._db.execute(self._sql["held"]).fetchall()]

    def lanes(self) -> list[Lane]:
        return [self._lane(number) for (number,) in self._db.execute(self._sql["lanes_waiting"]).fetchall()]

    def events(self, after: int, limit: int) -> list[Event]:
        return [event_from(row) for row in self._db.execute(self._sql["events"], (after, limit))]

    def seq_range(self) -> tuple[int, int]:
        oldest, newest = self._db.execute(self._sql["seq_range"]).fetchone()
        return int(oldest), int(newest)

    def all_tasks(self, after: int, limit: int) -> list[Task]:
        """For the dump: tasks in order of submission."""
        return [
            self._task(row) for row in self._db.execute(self._sql["all_tasks"], (after, limit)).fetchall()
        ]

    def _number(self, task_id: str) -> int:
        row = self._db.execute(self._sql["task_number"], (task_id,)).fetchone()
        return int(row[0]) if row else 0

    def _task(self, row: Row) -> Task:
        return task_from(row, self._lane(row[2]))

    def _lane(self, number: int) -> Lane:
        if number not in self._lanes:
            self._lanes[number] = lane_from(
                self._db.execute(self._sql["lane_by_number"], (number,)).fetchone()
            )
        return self._lanes[number]


def _conditions(query: TaskQuery) -> tuple[list[str], Values]:
    asked: Values = {"queue": query.queue, "skill": query.skill, "node": query.node, "text": query.text}
    if query.status:
        asked["status"] = '["' + '","'.join(query.status) + '"]'
    values = {name: value for name, value in asked.items() if value is not None}
    return [statements()[f"where_{name}"] for name in values], values


def _all(where: list[str]) -> str:
    return " AND ".join(where) or "1"


def _cursor(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise BadRequest(
            "That cursor is none of this engine's.",
            kept="Nothing was read.",
            do="Take the cursor from the page before, or leave it out.",
        )
    return int(text)
