"""What may be written, move by move, inside the writer's transaction.

Owns: the counters, the control record and the event numbers, which are put back when a transaction
is rolled back. Runs in the writer's thread; never awaits, never commits by itself.
"""

import heapq
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import JsonValue

from venom_engine.protocol.event import Event, EventType
from venom_engine.protocol.task import OutputChunk, TaskStatus
from venom_engine.rules.records import Change, Control, Deal, Lane, Piece, Stopped, Task
from venom_engine.store.cut import Outputs
from venom_engine.store.rows import Row, json_text, lane_from, lane_key, moment, row_from, task_from
from venom_engine.store.sql import statements

PENDING, PROCESSING, ABORTED = TaskStatus.PENDING, TaskStatus.PROCESSING, TaskStatus.ABORTED


class Moves:
    """One connection, and what is known of it without asking."""

    def __init__(self, connection: sqlite3.Connection, *, output_limit: int) -> None:
        self._db = connection
        self._sql = statements()
        self._lanes: dict[Lane, int] = {}
        self._lane_records: dict[int, Lane] = {}
        self._outputs = Outputs(connection, output_limit)
        self._told: list[Event] = []
        self.control = _control_from(connection.execute(self._sql["control"]).fetchone())
        self.counts = self._counted()
        self._next_n, self._next_seq = (
            1 + newest for newest in connection.execute(self._sql["newest"]).fetchone()
        )

    # -- transaction

    def begin(self) -> None:
        self._before = (dict(self.counts), self.control, self._next_n, self._next_seq)
        self._told = []
        self._db.execute("BEGIN IMMEDIATE")

    def commit(self) -> list[Event]:
        """End the transaction; the events to tell."""
        self._db.execute("COMMIT")
        return self._told

    def roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self.counts, self.control, self._next_n, self._next_seq = self._before
        self._lanes.clear()
        self._lane_records.clear()
        self._outputs.forget_all()

    # -- tasks

    def add(self, tasks: Sequence[Task]) -> None:
        rows, stored = [], []
        for n, task in enumerate(tasks, self._next_n):
            rows.append(row_from(task, n, self._lane_number(task.lane)))
            stored.append(replace(task, n=n))
        self._db.executemany(self._sql["add_task"], rows)
        self._next_n += len(rows)
        for task in stored:
            self.counts[task.status] += 1
            message = f"Accepted into queue {task.lane.queue} at priority {task.priority}"
            self._tell(EventType.TASK_CREATED, message, task, queue=task.lane.queue, skill=task.lane.skill)

    def claim(self, deals: Sequence[Deal]) -> list[Task]:
        if self.control.paused:
            return []
        claimed: list[Task] = []
        for deal in deals:
            numbers = list({self._lane_number(lane) for lane in deal.lanes})
            claimed += (
                self._claim_one_lane(deal, numbers[0]) if len(numbers) == 1 else self._merge(deal, numbers)
            )
        self._moved(PENDING, PROCESSING, len(claimed))
        return claimed

    def apply(self, change: Change) -> Task | None:
        values = {
            "id": change.task_id,
            "attempt": change.attempt,
            "now": change.now,
            "excused": int(change.excused),
            "finished_at": time.time() if change.now.is_final else None,
            "result": None if change.result is None else json_text(change.result),
            "error": change.error,
        }
        row = self._db.execute(self._sql["end_attempt"], values).fetchone()
        if row is None:
            return None
        task = self._task(row)
        self._moved(PROCESSING, change.now, 1)
        self._tell(change.event, change.message, task, **change.data)
        if change.now.is_final:
            self._outputs.forget(task.n)
        return task

    def abort(self, task_id: str, message: str) -> Task | None:
        row = self._db.execute(self._sql["find"], (task_id,)).fetchone()
        if row is None or (before := self._task(row)).status.is_final:
            return None
        self._db.execute(self._sql["abort_one"], {"id": task_id, "now": time.time(), "error": message})
        self._moved(before.status, ABORTED, 1)
        self._tell(EventType.TASK_ABORTED, message, replace(before, status=ABORTED))
        return before

    # -- control

    def pause(self, by: str | None) -> Control:
        if not self.control.paused:
            self._order(Control(True, self.control.stopped, by, time.time()))
            self._tell_queue(EventType.QUEUE_PAUSED, "Queue paused: nothing new starts", by)
        return self.control

    def resume(self, by: str | None) -> Control:
        if self.control.paused:
            self._order(Control(False, False, by, time.time()))
            self._tell_queue(EventType.QUEUE_RESUMED, "Queue resumed", by)
        return self.control

    def purge(self, by: str | None) -> Stopped:
        purged = self._abort_all(PENDING, f"Purged from the queue{_by(by)}")
        self._tell_queue(
            EventType.QUEUE_PURGED, f"Queue purged: {purged} waiting tasks aborted", by, purged=purged
        )
        return Stopped(0, purged)

    def stop(self, by: str | None) -> Stopped:
        why = f"Emergency stop{_by(by)}"
        cancelled = self._abort_all(PROCESSING, why)
        purged = self._abort_all(PENDING, why)
        self._order(Control(True, True, by, time.time()))
        message = f"EMERGENCY STOP: {cancelled} running tasks aborted, {purged} waiting tasks purged"
        self._tell_queue(EventType.EMERGENCY_STOP, message, by, cancelled=cancelled, purged=purged)
        return Stopped(cancelled, purged)

    # -- events and output

    def note(self, kind: EventType, message: str, data: dict[str, JsonValue], task_id: str | None) -> None:
        row = self._db.execute(self._sql["task_number"], (task_id,)).fetchone() if task_id else None
        self._write_event(kind, message, data, row[0] if row else None)

    def add_output(self, task_id: str, attempt: int, pieces: Sequence[Piece]) -> list[OutputChunk]:
        row = self._db.execute(self._sql["task_number"], (task_id,)).fetchone()
        return self._outputs.add(row[0], attempt, pieces) if row else []

    def prune(self, keep: int) -> int:
        return self._db.execute(self._sql["prune_events"], {"keep": keep, "limit": 10_000}).rowcount

    # -- within

    def _claim_one_lane(self, deal: Deal, lane: int) -> list[Task]:
        values = {"lane": lane, "limit": deal.limit, "node_id": deal.node_id, "now": time.time()}
        rows = self._db.execute(self._sql["claim_one_lane"], values).fetchall()
        tasks = sorted((self._task(row) for row in rows), key=lambda task: (-task.priority, task.n))
        return [self._started(task, deal) for task in tasks]

    def _merge(self, deal: Deal, lanes: list[int]) -> list[Task]:
        heads = [
            self._db.execute(self._sql["heads"], {"lane": lane, "limit": deal.limit}).fetchall()
            for lane in lanes
        ]
        order = heapq.merge(*heads, key=lambda head: (-head[0], head[1]))
        claimed = []
        for _, (_, n) in zip(range(deal.limit), order, strict=False):
            values = {"n": n, "node_id": deal.node_id, "now": time.time()}
            row = self._db.execute(self._sql["claim_one"], values).fetchone()
            if row is not None:
                claimed.append(self._started(self._task(row), deal))
        return claimed

    def _started(self, task: Task, deal: Deal) -> Task:
        message = f"Attempt {task.attempt} started on {deal.node_name}"
        self._tell(EventType.TASK_STARTED, message, task, node_name=deal.node_name)
        return task

    def _abort_all(self, status: TaskStatus, message: str) -> int:
        now = time.time()
        told = self._db.execute(
            self._sql["abort_all_events"], {"now": now, "message": message, "status": status}
        ).rowcount
        self._next_seq += told
        self._db.execute(self._sql["abort_all"], {"now": now, "error": message, "status": status})
        self._moved(status, ABORTED, told)
        return told

    def _order(self, control: Control) -> None:
        self.control = control
        values = {"paused": control.paused, "stopped": control.stopped, "by": control.by, "at": control.at}
        self._db.execute(self._sql["set_control"], values)

    def _moved(self, was: TaskStatus, now: TaskStatus, count: int) -> None:
        self.counts[was] -= count
        self.counts[now] += count

    def _tell(self, kind: EventType, message: str, task: Task, **more: JsonValue) -> None:
        data: dict[str, JsonValue] = {
            "task_id": task.id,
            "status": task.status,
            "attempt": task.attempt,
            "node_id": task.node_id,
            **more,
        }
        self._write_event(kind, message, data, task.n)

    def _tell_queue(self, kind: EventType, message: str, by: str | None, **more: JsonValue) -> None:
        self._write_event(kind, message + _by(by), {"by": by, **more}, None)

    def _write_event(
        self, kind: EventType, message: str, data: dict[str, JsonValue], task: int | None
    ) -> None:
        now, seq = time.time(), self._next_seq
        self._db.execute(self._sql["add_event"], (seq, now, kind, task, message, json_text(data)))
        self._next_seq += 1
        self._told.append(Event(type=kind, message=message, timestamp=moment(now), data=data, seq=seq))

    def _task(self, row: Row) -> Task:
        return task_from(row, self._lane(row[2]))

    def _lane(self, number: int) -> Lane:
        if number not in self._lane_records:
            self._lane_records[number] = lane_from(
                self._db.execute(self._sql["lane_by_number"], (number,)).fetchone()
            )
        return self._lane_records[number]

    def _lane_number(self, lane: Lane) -> int:
        if lane not in self._lanes:
            key = lane_key(lane)
            self._db.execute(self._sql["add_lane"], key)
            self._lanes[lane] = self._db.execute(self._sql["lane_number"], key).fetchone()[0]
        return self._lanes[lane]

    def _counted(self) -> dict[TaskStatus, int]:
        counts = dict.fromkeys(TaskStatus, 0)
        counts |= {
            TaskStatus(status): n for status, n in self._db.execute(self._sql["counts_alive_and_ended"])
        }
        (everything,) = self._db.execute(self._sql["count_all"]).fetchone()
        counts[TaskStatus.COMPLETED] = everything - sum(counts.values())
        return counts


def _control_from(row: tuple[Any, ...]) -> Control:
    return Control(bool(row[0]), bool(row[1]), row[2], row[3])


def _by(by: str | None) -> str:
    return f" by {by}" if by else ""
