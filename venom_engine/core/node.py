"""A node as the engine knows it."""

import asyncio
from dataclasses import dataclass, field

from venom_engine.core.session import NodeSession
from venom_engine.protocol.messages import NodeResponse, Payload
from venom_engine.protocol.node import Capabilities


@dataclass(slots=True)
class Node:
    """A node, connected or not."""

    node_id: str
    name: str
    capabilities: Capabilities
    registered_at: float
    is_local: bool = False
    resumes: bool = False  #: It keeps its tasks over a broken connection.
    session: NodeSession | None = None
    last_heartbeat: float = 0.0
    heard: float = 0.0  #: monotonic
    cpu: float = 0.0
    memory: float = 0.0
    active: int = 0
    refuses_until: float = 0.0  #: monotonic; it refused a task lately
    calls: dict[str, asyncio.Future[NodeResponse]] = field(default_factory=dict)

    @property
    def is_online(self) -> bool:
        return self.session is not None

    def send(self, payload: Payload) -> bool:
        return self.session is not None and self.session.send(payload)
