"""What the engine and a node say to each other, as JSON text frames on `/ws/nodes`.

Every frame is a `NodeMessage` envelope around one payload. The first six types are the original's
and keep their fields; the rest are ours, and are sent only to a node that announced `features` in
its handshake (and got a WELCOME). Unknown fields are ignored, unknown types are skipped.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Protocol
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from venom_engine.protocol.node import Capabilities, NodeText

#: A frame may not be larger, in either direction (issued by both ends as a limit of the socket).
MAX_FRAME_BYTES = 4 * 1024 * 1024

#: What a Spore of this version announces.
FEATURE_RESUME = "resume"
FEATURE_CANCEL = "cancel"
FEATURE_OUTPUT = "output"
FEATURES = (FEATURE_RESUME, FEATURE_CANCEL, FEATURE_OUTPUT)

Unit = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]
RequestId = Annotated[str, StringConstraints(min_length=1, max_length=120)]


def now_utc() -> datetime:
    return datetime.now(UTC)


def new_id() -> str:
    return str(uuid4())


class MessageType(StrEnum):
    HANDSHAKE = "HANDSHAKE"
    EXECUTE_SKILL = "EXECUTE_SKILL"
    HEARTBEAT = "HEARTBEAT"
    RESPONSE = "RESPONSE"
    DISCONNECT = "DISCONNECT"
    ERROR = "ERROR"
    # ours
    WELCOME = "WELCOME"
    ACCEPTED = "ACCEPTED"
    REFUSED = "REFUSED"
    OUTPUT = "OUTPUT"
    STORED = "STORED"
    CANCEL = "CANCEL"
    VERDICTS = "VERDICTS"


class Payload(BaseModel):
    """What stands in an envelope."""

    model_config = ConfigDict(extra="ignore")

    TYPE: ClassVar[MessageType]


class HeldTask(BaseModel):
    """One request that a node still runs, or whose answer it still keeps."""

    request_id: RequestId
    task_id: str | None = None
    attempt: int = 0


class NodeHandshake(Payload):
    """Node → engine, always the first frame."""

    TYPE = MessageType.HANDSHAKE
    message_type: Literal["HANDSHAKE"] = "HANDSHAKE"
    node_id: NodeText = Field(default_factory=new_id)
    node_name: NodeText
    capabilities: Capabilities = Capabilities()
    token: str = Field(default="", max_length=4096)
    timestamp: datetime = Field(default_factory=now_utc)
    features: tuple[str, ...] = Field(default=(), max_length=100)
    """Empty: a Spore of the original system; it gets no new message type."""
    held: tuple[HeldTask, ...] = Field(default=(), max_length=100_000)
    """What it still holds. Tasks that the engine placed there and that are not named are lost."""


class SkillExecutionRequest(Payload):
    """Engine → node: call one method."""

    TYPE = MessageType.EXECUTE_SKILL
    message_type: Literal["EXECUTE_SKILL"] = "EXECUTE_SKILL"
    request_id: RequestId = Field(default_factory=new_id)
    node_id: str
    skill_name: str
    method_name: str
    parameters: dict[str, JsonValue] = {}
    timeout: float | None = 30
    """Seconds. None (only to a node with features): no limit."""
    timestamp: datetime = Field(default_factory=now_utc)
    task_id: str | None = None
    """None: a direct call, not a task of the queue."""
    attempt: int = 0


class HeartbeatMessage(Payload):
    """Node → engine: alive, and how loaded. Renews the lease of everything in `held`."""

    TYPE = MessageType.HEARTBEAT
    message_type: Literal["HEARTBEAT"] = "HEARTBEAT"
    node_id: str
    cpu_usage: Unit
    memory_usage: Unit
    active_tasks: int = Field(ge=0, le=1_000_000)
    timestamp: datetime = Field(default_factory=now_utc)
    held: tuple[RequestId, ...] = Field(default=(), max_length=100_000)


class NodeResponse(Payload):
    """Node → engine: how a call ended."""

    TYPE = MessageType.RESPONSE
    message_type: Literal["RESPONSE"] = "RESPONSE"
    request_id: RequestId
    node_id: str
    success: bool
    result: JsonValue = None
    error: str | None = None
    execution_time: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    timestamp: datetime = Field(default_factory=now_utc)
    outcome: Literal["done", "aborted", "interrupted", "timeout"] = "done"
    """`interrupted`: the node is stopping; back to the queue, the attempt not counted."""


class Disconnect(Payload):
    """Either end, before it closes on purpose."""

    TYPE = MessageType.DISCONNECT
    node_id: str = ""
    reason: str = Field(default="", max_length=1000)


class ErrorMessage(Payload):
    """Either end: the frame before could not be used."""

    TYPE = MessageType.ERROR
    error: str = Field(default="", max_length=10_000)


class Welcome(Payload):
    """Engine → node: the handshake was accepted."""

    TYPE = MessageType.WELCOME
    epoch: int
    """Counts the sessions of this engine. Whatever an older session still does, counts no more."""
    lease_seconds: float
    """A node that cannot renew for this long has lost its tasks."""
    heartbeat_seconds: float
    """How often to send HEARTBEAT, at least."""


class Accepted(Payload):
    """Node → engine: the call has a slot and will be answered."""

    TYPE = MessageType.ACCEPTED
    request_id: RequestId


class Refused(Payload):
    """Node → engine: the call will not run here. The task goes back, the attempt not counted."""

    TYPE = MessageType.REFUSED
    request_id: RequestId
    reason: str = Field(default="", max_length=10_000)


class OutputPiece(BaseModel):
    """A piece of output as the node read it."""

    n: int = Field(ge=0)
    stream: Literal["stdout", "stderr", "system"] = "stdout"
    text: str
    at: float
    """Seconds since 1970, by the node's clock."""


class OutputMessage(Payload):
    """Node → engine: what a call printed, in order. Kept by the node until STORED."""

    TYPE = MessageType.OUTPUT
    request_id: RequestId
    pieces: tuple[OutputPiece, ...] = Field(max_length=1000)
    progress: Unit | None = None
    """How far the call is, where the skill tells. A message with this alone needs no STORED."""


class Stored(Payload):
    """Engine → node: these are on disk here; the node may forget them."""

    TYPE = MessageType.STORED
    responses: tuple[RequestId, ...] = ()
    output: dict[str, int] = {}
    """request_id → the highest piece stored."""


class Cancel(Payload):
    """Engine → node: stop this call and every process that it started. Repeating it is harmless."""

    TYPE = MessageType.CANCEL
    request_id: RequestId
    reason: str = "aborted"
    grace_seconds: float = 3.0
    """Between TERM and KILL."""


class Verdicts(Payload):
    """Engine → node, the answer to a heartbeat: what to do with held calls that are not to go on."""

    TYPE = MessageType.VERDICTS
    abort: tuple[RequestId, ...] = ()
    """An operator stopped them."""
    lost: tuple[RequestId, ...] = ()
    """The engine gave them to somebody else, or does not know them: stop, nobody waits."""


PAYLOADS: dict[str, type[Payload]] = {
    kind.TYPE.value: kind
    for kind in (
        NodeHandshake,
        SkillExecutionRequest,
        HeartbeatMessage,
        NodeResponse,
        Disconnect,
        ErrorMessage,
        Welcome,
        Accepted,
        Refused,
        OutputMessage,
        Stored,
        Cancel,
        Verdicts,
    )
}


class NodeMessage(BaseModel):
    """The envelope."""

    model_config = ConfigDict(extra="ignore")

    message_type: str
    payload: dict[str, Any]
    timestamp: datetime = Field(default_factory=now_utc)

    @classmethod
    def around(cls, payload: Payload) -> "NodeMessage":
        """The envelope for any payload."""
        return cls(message_type=payload.TYPE.value, payload=payload.model_dump(mode="json"))

    @classmethod
    def from_handshake(cls, handshake: NodeHandshake) -> "NodeMessage":
        return cls.around(handshake)

    @classmethod
    def from_execution_request(cls, request: SkillExecutionRequest) -> "NodeMessage":
        return cls.around(request)

    @classmethod
    def from_heartbeat(cls, heartbeat: HeartbeatMessage) -> "NodeMessage":
        return cls.around(heartbeat)

    @classmethod
    def from_response(cls, response: NodeResponse) -> "NodeMessage":
        return cls.around(response)

    def opened(self) -> Payload | None:
        """The payload, checked; None when the type is not known here.

        Raises pydantic.ValidationError when the payload does not fit its type.
        """
        kind = PAYLOADS.get(self.message_type)
        return kind.model_validate(self.payload) if kind else None


def encode(payload: Payload) -> str:
    """The frame for a payload."""
    return NodeMessage.around(payload).model_dump_json()


def decode(frame: str | bytes) -> Payload | None:
    """The payload of a frame; None when its type is not known here.

    Raises pydantic.ValidationError for anything that is not a proper message.
    """
    return NodeMessage.model_validate_json(frame).opened()


class LinkClosed(Exception):
    """The other end is gone, or this end was closed."""


class Link(Protocol):
    """One session between the engine and a node. What these words mean is in tests/contract/test_link.py.

    In memory, over a WebSocket, or (later) over Redis; the same on either end.
    """

    async def send(self, payload: Payload) -> None:
        """Hand over, in order. Waits while the other end is slow. Raises LinkClosed."""

    async def receive(self) -> Payload:
        """The next payload, checked. Raises LinkClosed; raises ValueError for a bad frame."""

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the session. Harmless when it has ended."""
