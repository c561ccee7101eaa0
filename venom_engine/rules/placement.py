"""Which node may run what, and which one is asked first: the one with the lowest load."""

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from venom_engine.protocol.node import Capabilities
from venom_engine.rules.records import Deal, Lane

#: The most tasks that one round of claims moves: bounds the time that the store is busy with it.
ROUND = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A connected node as placement sees it."""

    node_id: str
    name: str
    capabilities: Capabilities
    cpu: float  #: 0.0 to 1.0
    memory: float  #: 0.0 to 1.0
    active: int
    free: int  #: slots
    is_local: bool = False


def load_score(cpu: float, memory: float, active: int) -> float:
    """The lower the better. Weights of the original: 0.4 CPU, 0.3 memory, 0.3 per ten tasks."""
    return cpu * 0.4 + memory * 0.3 + (active / 10) * 0.3


def fits(node: NodeView, lane: Lane) -> bool:
    """Whether the node has what the lane asks for."""
    has, needs = node.capabilities, lane.needs
    return (
        lane.skill in has.skills
        and (not needs.gpu or has.has_gpu)
        and (needs.node is None or needs.node in (node.node_id, node.name))
        and all(tag in has.tags for tag in needs.tags)
    )


def serves(node: NodeView, lane: Lane, nodes: Iterable[NodeView]) -> bool:
    """Whether the node may run the lane's tasks now.

    The engine's own node also takes a lane that allows it when no connected node fits.
    """
    if fits(node, lane):
        return True
    if not (node.is_local and lane.needs.local_fallback and lane.skill in node.capabilities.skills):
        return False
    return not any(fits(other, lane) for other in nodes)


def best(nodes: Iterable[NodeView]) -> NodeView | None:
    """The node with the lowest load; of equals the one whose id sorts first."""
    return min(nodes, key=_rank, default=None)


def deal(nodes: Sequence[NodeView], lanes: Iterable[Lane], room: int) -> list[Deal]:
    """Who may claim how much, best node first, as if each task were placed by itself.

    `room`: the most tasks to hand out, because no more wait or because a limit says so.
    """
    waiting = tuple(lanes)
    hands = {
        node.node_id: tuple(lane for lane in waiting if serves(node, lane, nodes))
        for node in nodes
        if node.free > 0
    }
    heap = [(_rank(node), 0, node) for node in nodes if hands.get(node.node_id)]
    heapq.heapify(heap)
    room = min(room, ROUND)
    deals: list[Deal] = []
    while heap and room > 0:
        _, given, node = heapq.heappop(heap)
        share = 1 if heap else min(node.free - given, room)
        deals.append(Deal(node.node_id, node.name, hands[node.node_id], share))
        room -= share
        given += share
        if given < node.free:
            rank = (load_score(node.cpu, node.memory, node.active + given), node.node_id)
            heapq.heappush(heap, (rank, given, node))
    return deals


def _rank(node: NodeView) -> tuple[float, str]:
    return load_score(node.cpu, node.memory, node.active), node.node_id
