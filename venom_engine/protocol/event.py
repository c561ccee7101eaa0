"""Events: what happened, told to whoever watches, in the order in which it was stored.

A stored event has a `seq` that only grows; a watcher that was away comes back with the last one it
saw and misses nothing. `TASK_OUTPUT`, `TASK_PROGRESS` and `NODE_LOAD`
are told as they come and have no `seq`.
"""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, JsonValue, PrivateAttr


class EventType(StrEnum):
    """What may happen. Data that every event of a task has: task_id, status, attempt, node_id."""

    TASK_CREATED = "TASK_CREATED"
    TASK_STARTED = "TASK_STARTED"
    """A node was chosen and the attempt counted. Data: also node_name."""
    TASK_RETRIED = "TASK_RETRIED"
    """Back to the queue, after a failure or because its node was lost."""
    TASK_COMPLETED = "TASK_COMPLETED"
    TASK_FAILED = "TASK_FAILED"
    TASK_ABORTED = "TASK_ABORTED"
    TASK_NOTE = "TASK_NOTE"
    """A remark for the stage log that moves nothing, such as a late answer that was ignored."""
    TASK_OUTPUT = "TASK_OUTPUT"
    """Not stored as an event. Data: task_id, n, attempt, stream, text."""

    TASK_PROGRESS = "TASK_PROGRESS"
    """Not stored; comes with the output. Data: task_id, progress (0.0 to 1.0)."""

    QUEUE_PAUSED = "QUEUE_PAUSED"
    QUEUE_RESUMED = "QUEUE_RESUMED"
    QUEUE_PURGED = "QUEUE_PURGED"
    """Data: purged. Each purged task has a TASK_ABORTED in its log; those are not told one by one."""
    EMERGENCY_STOP = "EMERGENCY_STOP"
    """Data: cancelled, purged. As for QUEUE_PURGED."""

    NODE_CONNECTED = "NODE_CONNECTED"
    """Data: node_id, node_name, skills, tags."""
    NODE_DISCONNECTED = "NODE_DISCONNECTED"
    """Data: node_id, node_name, reason."""
    NODE_LOAD = "NODE_LOAD"
    """Not stored. Data: nodes, a list of [node_id, cpu_usage, memory_usage, active_tasks]."""

    SYSTEM_LOG = "SYSTEM_LOG"
    """Something the operator should know. Data: level (info, warning, error)."""
    GAP = "GAP"
    """Not stored. Events between data.after and data.before were not told; ask for a fresh picture."""


class Event(BaseModel):
    """One thing that happened. `type` is text, so that an older client survives a newer engine."""

    model_config = ConfigDict(extra="ignore")

    type: str
    message: str
    timestamp: datetime
    data: dict[str, JsonValue] = {}
    seq: int | None = None

    _frame: bytes | None = PrivateAttr(default=None)

    def frame(self) -> bytes:
        """The event as JSON, encoded once however many watch."""
        if self._frame is None:
            self._frame = self.model_dump_json().encode()
        return self._frame
