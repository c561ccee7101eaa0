"""The queue on the wire: how it stands, and what the controls answer."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class QueueStatus(BaseModel):
    """How the queue stands now."""

    model_config = ConfigDict(extra="ignore")

    paused: bool
    stopped: bool = False
    """True after an emergency stop, until an operator resumes."""
    paused_by: str | None = None
    paused_at: datetime | None = None
    pending: int
    active: int
    """Tasks that a node holds now, as far as this engine knows."""
    processing: int
    """Tasks whose status is PROCESSING."""
    limit: int | None = None
    """The most tasks at a time; None: only the nodes' slots limit."""
    completed: int = 0
    failed: int = 0
    aborted: int = 0
    problem: str | None = None
    """What hinders the engine now, such as a full disk; None: nothing."""


class QueueReply(BaseModel):
    """What a queue control did. Counts that do not apply are left out."""

    success: bool = True
    message: str
    paused: bool | None = None
    stopped: bool | None = None
    active_tasks: int | None = None
    pending_tasks: int | None = None
    removed: int | None = None
    cancelled: int | None = None
    purged: int | None = None


class AbortReply(BaseModel):
    """The one task is ABORTED; its node is told to kill it."""

    success: bool = True
    task_id: UUID
    message: str
