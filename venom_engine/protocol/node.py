"""A node on the wire: what it can do, how it is doing, and a direct call of one of its skills."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints

#: Ids and names come from nodes, so they are bounded and printable: no escapes, no blanks.
NodeText = Annotated[
    str, StringConstraints(min_length=1, max_length=120, pattern=r"^[^\s\x00-\x1f\x7f-\x9f]+$")
]


class Capabilities(BaseModel):
    """What a node can do. A Spore of the original system sends the first seven fields."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    skills: tuple[NodeText, ...] = Field(default=(), max_length=1000)
    tags: tuple[NodeText, ...] = Field(default=(), max_length=1000)
    cpu_cores: int = Field(default=1, ge=1, le=100_000)
    memory_mb: int = Field(default=1024, ge=0, le=1 << 40)
    has_gpu: bool = False
    has_docker: bool = False
    platform: NodeText = "linux"
    slots: int = Field(default=1, ge=1, le=10_000)
    """How many tasks it runs at a time. A node that does not say runs one after another."""
    version: str = Field(default="", max_length=60)


class NodeInfo(BaseModel):
    """A node as anybody may see it."""

    model_config = ConfigDict(extra="ignore")

    node_id: str
    node_name: str
    capabilities: Capabilities
    last_heartbeat: datetime
    cpu_usage: float
    """0.0 to 1.0, of all cores."""
    memory_usage: float
    active_tasks: int
    is_online: bool
    registered_at: datetime
    is_local: bool = False
    """True for the engine's own node."""
    held_tasks: int = 0
    """Tasks of the queue that the engine has placed there."""


class NodeList(BaseModel):
    """All nodes, or those online."""

    status: str = "success"
    count: int
    online_count: int
    nodes: list[NodeInfo]


class NodeReply(BaseModel):
    """One node."""

    status: str = "success"
    node: NodeInfo


class ExecuteRequest(BaseModel, extra="forbid", frozen=True):
    """A direct call of a node's skill, outside the queue: not stored, not retried."""

    skill_name: str = Field(min_length=1, max_length=120)
    method_name: str = Field(min_length=1, max_length=120)
    parameters: dict[str, JsonValue] = {}
    timeout: float = Field(default=30, gt=0, le=86_400)


class ExecuteReply(BaseModel):
    """What the node answered."""

    success: bool
    result: JsonValue = None
    error: str | None = None
    execution_time: float
