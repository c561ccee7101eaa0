"""Small builders: what a test does not care about has a sensible value."""

from typing import Any

from venom_engine.protocol.messages import NodeHandshake
from venom_engine.protocol.node import Capabilities
from venom_engine.protocol.task import TaskRequest


def a_task_request(content: str = "hello", **fields: Any) -> TaskRequest:
    """What a caller asks for; by default an Echo."""
    return TaskRequest(content=content, **fields)


def a_capabilities(*skills: str, **fields: Any) -> Capabilities:
    """What a node can do; by default what every Spore can."""
    return Capabilities(skills=skills or ("Echo", "FileSkill", "ShellSkill"), **fields)


def a_handshake(name: str = "spore-1", *, token: str = "", **fields: Any) -> NodeHandshake:
    """A node that says hello."""
    return NodeHandshake(node_name=name, token=token, **{"capabilities": a_capabilities(), **fields})
