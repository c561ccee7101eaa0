"""What the engine thinks in: plain records, checked once where they entered, never changed in place."""

from dataclasses import dataclass, field
from uuid import UUID, uuid5

from pydantic import JsonValue

from venom_engine.protocol.event import EventType
from venom_engine.protocol.task import Requirements, TaskStatus

_REQUESTS = UUID("5f0d3a52-6f0a-4a39-9a53-0c3a1f6f7d11")


@dataclass(frozen=True, slots=True)
class Lane:
    """All tasks that ask for the same thing wait in one lane, so a claim looks at a few heads only."""

    queue: str
    skill: str
    needs: Requirements


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task as the engine knows it. Times are seconds since 1970."""

    id: str
    n: int = 0  #: The order of submission; 0 until it is stored.
    lane: Lane
    content: str
    method: str
    parameters: dict[str, JsonValue]
    priority: int
    max_retries: int | None = None
    timeout: float | None = None
    status: TaskStatus = TaskStatus.PENDING
    attempt: int = 0  #: The fencing token: it only grows.
    excused: int = 0  #: Attempts that do not count against the retries.
    node_id: str | None = None
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    result: JsonValue = None
    error: str | None = None

    @property
    def request_id(self) -> str:
        """What the node is asked under. The same after a restart, another for each attempt."""
        return request_id_of(self.id, self.attempt)

    @property
    def attempts_spent(self) -> int:
        return self.attempt - self.excused


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The end of one attempt: compare (PROCESSING, this attempt) and set, with the event that says why."""

    task_id: str
    attempt: int
    now: TaskStatus
    event: EventType
    message: str
    excused: bool = False
    result: JsonValue = None
    error: str | None = None
    data: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deal:
    """Up to `limit` tasks from the heads of these lanes, for this node."""

    node_id: str
    node_name: str
    lanes: tuple[Lane, ...]
    limit: int


@dataclass(frozen=True, slots=True)
class Control:
    """What the operator has ordered. Kept in the store and checked inside every claim."""

    paused: bool = False
    stopped: bool = False
    by: str | None = None
    at: float | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of output on its way into the store. `piece` counts within the attempt."""

    piece: int
    stream: str
    text: str
    at: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """What an emergency stop or a purge did."""

    cancelled: int
    purged: int


def request_id_of(task_id: str, attempt: int) -> str:
    """A name for one attempt (RFC 9562, version 5), so that it needs no table of its own."""
    return str(uuid5(_REQUESTS, f"{task_id}:{attempt}"))
