"""How long a node may be silent before its tasks are taken back."""

from venom_engine.core.node import Node
from venom_engine.settings import Settings


def lease_of(node: Node, settings: Settings) -> float:
    """Seconds. A Spore of the original system renews only by its slow heartbeat."""
    is_original = node.session is not None and node.session.is_original
    return settings.nexus_heartbeat_timeout if is_original else settings.lease_seconds
