"""A task on the wire: what a caller asks for, and what he gets to see.

Unknown fields of a request are refused, not dropped: a typing error must not change what runs.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, field_validator

from venom_engine.protocol.node import NodeText

MAX_CONTENT_BYTES = 1024 * 1024
DEFAULT_PRIORITY = 5

Name = Annotated[str, StringConstraints(min_length=1, max_length=120, pattern=r"^[\w.:@/+-]+$")]


class TaskStatus(StrEnum):
    """Where a task stands. The last three are final."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    ABORTED = "ABORTED"

    @property
    def is_final(self) -> bool:
        return self in FINAL


FINAL = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED, TaskStatus.ABORTED})


class Requirements(BaseModel, extra="forbid", frozen=True):
    """What a node must have to run the task. Empty: any node that has the skill."""

    tags: tuple[NodeText, ...] = Field(default=(), max_length=32)
    """Every one of these tags."""
    gpu: bool = False
    node: NodeText | None = None
    """This node and no other, by id or by name."""
    local_fallback: bool = False
    """When no other node fits, or the one that ran it was lost, the engine's own node may run it."""

    @field_validator("tags")
    @classmethod
    def _order_asks_for_nothing(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(set(tags)))


class TaskRequest(BaseModel, extra="forbid", frozen=True):
    """What a caller asks for. Only `content` is required.

    `content` that begins with `!` is a shell command; other content goes to the default skill,
    unless `skill` and `method` say which function to call with `parameters`.
    """

    content: str
    skill: Name | None = None
    method: Name | None = None
    parameters: dict[str, JsonValue] = {}
    priority: int = Field(default=DEFAULT_PRIORITY, ge=0, le=10)
    """10 runs first."""
    queue: Name = "default"
    requirements: Requirements = Requirements()
    max_retries: int | None = Field(default=None, ge=0, le=1000)
    """How often to try again. None: not after a failure, up to 3 times when the node was lost."""
    timeout: float | None = Field(default=None, gt=0, le=31_536_000)
    """Seconds one attempt may take. None: no limit."""

    @field_validator("content")
    @classmethod
    def _content_says_something(cls, content: str) -> str:
        if not content.strip():
            raise ValueError("content must not be blank")
        try:
            size = len(content.encode())
        except UnicodeEncodeError:
            raise ValueError("content must be valid Unicode text") from None
        if size > MAX_CONTENT_BYTES:
            raise ValueError(f"content is {size} bytes, the limit is {MAX_CONTENT_BYTES}")
        return content

    @field_validator("method")
    @classmethod
    def _method_goes_with_skill(cls, method: str | None) -> str | None:
        if method is not None and method.startswith("_"):
            raise ValueError("a method that begins with _ is private")
        return method


class TaskResponse(BaseModel):
    """The acknowledgement: the task is on disk."""

    task_id: UUID
    status: TaskStatus = TaskStatus.PENDING


class VenomTask(BaseModel):
    """A task as anybody may see it. Fields that a newer engine adds are ignored."""

    model_config = ConfigDict(extra="ignore")

    id: UUID
    content: str
    created_at: datetime
    status: TaskStatus
    result: JsonValue = None
    logs: list[str] = []
    """The stage log: one line for each thing that happened to the task."""

    skill: str
    method: str
    parameters: dict[str, JsonValue] = {}
    priority: int = DEFAULT_PRIORITY
    queue: str = "default"
    requirements: Requirements = Requirements()
    attempt: int = 0
    """How often it was started. Also the fencing token: only this attempt's answer counts."""
    max_retries: int | None = None
    timeout: float | None = None
    node_id: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    error: str | None = None
    progress: float | None = None
    """0.0 to 1.0, where the skill tells."""
    depends_on: list[UUID] = []
    parent_id: UUID | None = None
    run_at: datetime | None = None
    unique_key: str | None = None


class TaskQuery(BaseModel, extra="forbid", frozen=True):
    """Which tasks to list, newest first."""

    status: tuple[TaskStatus, ...] = ()
    queue: str | None = None
    skill: str | None = None
    node: str | None = None
    text: str | None = Field(default=None, max_length=200)
    """A piece of the content, case ignored."""
    cursor: str | None = None
    """Where the page before ended (its `next_cursor`). Stays right while tasks come and go."""
    offset: int = Field(default=0, ge=0)
    """Rows to skip: a window of a long list. Moves as tasks come; use `cursor` to walk them all."""
    limit: int = Field(default=100, ge=1, le=1000)
    logs: bool = True
    """False leaves the stage logs out, for lists."""


class TaskPage(BaseModel):
    """One page of tasks. Over HTTP the array is the body, the other two are headers."""

    tasks: list[VenomTask]
    total: int
    """How many tasks match, all pages together."""
    next_cursor: str | None = None


class OutputChunk(BaseModel):
    """A piece of what a task printed."""

    n: int
    """Counts up within the task. A jump means that the middle of a long output was cut."""
    attempt: int
    stream: str
    """`stdout`, `stderr`, or `system` for the engine's own remarks."""
    text: str
    timestamp: datetime
