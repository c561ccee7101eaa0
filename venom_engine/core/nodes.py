"""The nodes: who is connected, how loaded each is, and calls of their skills.

Owns: the registry and the sessions' epochs. Asks: nobody; tells its `NodeListener` what nodes say
about tasks. Never: moves a task. The id of a node comes from its session, never from a payload.
"""

import asyncio
import hmac
import itertools
import logging
import time
from collections.abc import Iterable
from typing import Protocol

from pydantic import JsonValue

from venom_engine.core.background import Background
from venom_engine.core.calls import answer_call, call_skill, refused_call, went_away
from venom_engine.core.leases import lease_of
from venom_engine.core.node import Node
from venom_engine.core.session import NodeSession
from venom_engine.protocol.errors import NotFound
from venom_engine.protocol.messages import (
    FEATURE_RESUME,
    Accepted,
    Cancel,
    Disconnect,
    HeartbeatMessage,
    NodeHandshake,
    NodeResponse,
    OutputMessage,
    Payload,
    Refused,
    Verdicts,
    Welcome,
)
from venom_engine.protocol.node import NodeInfo
from venom_engine.rules.placement import NodeView, best
from venom_engine.settings import Settings
from venom_engine.store.rows import moment

#: The most nodes remembered; past it, the one that was seen longest ago and is offline is forgotten.
MAX_NODES = 20_000

log = logging.getLogger(__name__)


class NodeListener(Protocol):
    """Who hears what nodes say about tasks."""

    async def connected(self, node: Node, handshake: NodeHandshake) -> None: ...
    async def disconnected(self, node: Node, reason: str) -> None: ...
    def heartbeat(self, node: Node, held: tuple[str, ...]) -> Verdicts | None: ...
    def accepted(self, node: Node, request_id: str) -> None: ...
    def refused(self, node: Node, refusal: Refused) -> None: ...
    def output(self, node: Node, message: OutputMessage) -> None: ...
    def answered(self, node: Node, response: NodeResponse) -> None: ...
    def held_count(self, node_id: str) -> int: ...


class NodeManager:
    """The registry of nodes, and the way to reach them."""

    def __init__(self, settings: Settings, node_token: str, local_id: str, background: Background) -> None:
        self._settings, self._background = settings, background
        self._token = node_token.encode()
        self._local_id = local_id
        self._nodes: dict[str, Node] = {}
        self._epochs = itertools.count(1)
        self._loaded: set[str] = set()  #: whose load changed since it was last told
        self.listener: NodeListener | None = None

    # -- the registry

    async def register_node(self, handshake: NodeHandshake, session: NodeSession) -> Node:
        """A node said HANDSHAKE: its older session, if any, is over."""
        node = self._nodes.get(handshake.node_id)
        if node is None:
            self._make_room()
            node = Node(handshake.node_id, handshake.node_name, handshake.capabilities, time.time())
            self._nodes[node.node_id] = node
        older, node.session = node.session, session
        node.name, node.capabilities = handshake.node_name, handshake.capabilities
        node.resumes = FEATURE_RESUME in handshake.features
        node.is_local = node.node_id == self._local_id
        self._heard(node)
        self._loaded.add(node.node_id)
        if not session.is_original:
            session.send(
                Welcome(
                    epoch=session.epoch,
                    lease_seconds=self._settings.lease_seconds,
                    heartbeat_seconds=min(
                        self._settings.node_heartbeat_seconds, self._settings.lease_seconds / 3
                    ),
                )
            )
        if older is not None:  # beside us: a dead socket takes its time to close
            self._background.start(
                older.close("a newer session of this node began"), "close an older session"
            )
        if self.listener:
            await self.listener.connected(node, handshake)
        return node

    async def unregister_node(
        self, node_id: str, reason: str = "it was removed", epoch: int | None = None
    ) -> None:
        """The node is offline now. With `epoch`: only if that is still its session."""
        node = self._nodes.get(node_id)
        session = node.session if node else None
        if node is None or session is None or epoch not in (None, session.epoch):
            return
        node.session = None
        node.active = 0
        node.cpu = node.memory = 0.0
        for call in node.calls.values():
            if not call.done():
                call.set_exception(went_away(node))
        await session.close(reason)
        if self.listener:
            await self.listener.disconnected(node, reason)

    def get_node(self, node_id: str) -> Node | None:
        return self._nodes.get(node_id)

    def by_id_or_name(self, text: str) -> list[Node]:
        """The node of that id, or those of that name."""
        found = self._nodes.get(text)
        return [found] if found else [node for node in self._nodes.values() if node.name == text]

    def list_nodes(self, online_only: bool = False) -> list[Node]:
        """By name."""
        nodes = [node for node in self._nodes.values() if node.is_online or not online_only]
        return sorted(nodes, key=lambda node: (node.name, node.node_id))

    def find_nodes_by_skill(self, skill_name: str) -> list[Node]:
        """Those online that have the skill."""
        return [node for node in self.list_nodes(online_only=True) if skill_name in node.capabilities.skills]

    def find_nodes_by_tag(self, tag: str) -> list[Node]:
        """Those online that have the tag."""
        return [node for node in self.list_nodes(online_only=True) if tag in node.capabilities.tags]

    def select_best_node(self, skill_name: str, tag: str | None = None) -> Node | None:
        """The least loaded node online that has the skill (and the tag)."""
        nodes = self.find_nodes_by_skill(skill_name)
        chosen = best(self.view(node) for node in nodes if tag is None or tag in node.capabilities.tags)
        return self._nodes[chosen.node_id] if chosen else None

    def info(self, node: Node) -> NodeInfo:
        """The node as anybody may see it."""
        return NodeInfo(
            node_id=node.node_id,
            node_name=node.name,
            capabilities=node.capabilities,
            last_heartbeat=moment(node.last_heartbeat),
            cpu_usage=node.cpu,
            memory_usage=node.memory,
            active_tasks=node.active,
            is_online=node.is_online,
            registered_at=moment(node.registered_at),
            is_local=node.is_local,
            held_tasks=self.listener.held_count(node.node_id) if self.listener else 0,
        )

    def views(self) -> list[NodeView]:
        """The nodes that may be given work, as placement sees them: online, and not silent for a lease."""
        now = time.monotonic()
        return [
            self.view(node)
            for node in self._nodes.values()
            if node.session is not None
            and not node.session.ended
            and now >= node.refuses_until
            and now - node.heard <= lease_of(node, self._settings)
        ]

    def view(self, node: Node) -> NodeView:
        held = self.listener.held_count(node.node_id) if self.listener else 0
        return NodeView(
            node_id=node.node_id,
            name=node.name,
            capabilities=node.capabilities,
            cpu=node.cpu,
            memory=node.memory,
            active=max(node.active, held),
            free=max(node.capabilities.slots - held, 0),
            is_local=node.is_local,
        )

    # -- what nodes say

    def token_fits(self, token: str) -> bool:
        return hmac.compare_digest(token.encode("utf-8", "surrogatepass"), self._token)

    def new_session_epoch(self) -> int:
        return next(self._epochs)

    async def hear(self, node: Node, payload: Payload) -> None:
        """A checked message of a registered node's own session."""
        self._heard(node)
        listener = self.listener
        assert listener is not None, "the orchestrator listens before any node connects"
        match payload:
            case HeartbeatMessage():
                self.update_heartbeat(node.node_id, payload)
            case NodeResponse():
                await self.handle_response(node.node_id, payload)
            case OutputMessage():
                listener.output(node, payload)
            case Accepted():
                listener.accepted(node, payload.request_id)
            case Refused() if payload.request_id in node.calls:
                answer_call(node, refused_call(node, payload))
            case Refused():
                listener.refused(node, payload)
            case Disconnect():
                await self.unregister_node(node.node_id, payload.reason or "it said goodbye")
            case _:
                log.debug("%s sent %s, which asks for nothing", node.name, payload.TYPE)

    def update_heartbeat(self, node_id: str, heartbeat: HeartbeatMessage) -> None:
        """The node is alive, and how loaded."""
        node = self._nodes.get(node_id)
        if node is None or not node.is_online:
            return
        node.cpu, node.memory, node.active = (
            heartbeat.cpu_usage,
            heartbeat.memory_usage,
            heartbeat.active_tasks,
        )
        self._loaded.add(node_id)
        if self.listener and (verdicts := self.listener.heartbeat(node, heartbeat.held)):
            node.send(verdicts)

    async def handle_response(self, node_id: str, response: NodeResponse) -> None:
        """An answer: of a direct call, or of a task."""
        node = self._nodes.get(node_id)
        if node is None:
            return
        if response.request_id in node.calls:
            answer_call(node, response)
        elif self.listener:
            self.listener.answered(node, response)

    # -- direct calls

    async def execute_skill_on_node(
        self,
        node_id: str,
        skill_name: str,
        method_name: str,
        parameters: dict[str, JsonValue],
        timeout: float = 30,
    ) -> NodeResponse:
        """Call a skill and wait for the answer. Raises NotFound, NodeOffline, BadRequest, NodeTimeout."""
        node = self._nodes.get(node_id)
        if node is None:
            raise unknown_node(node_id)
        return await call_skill(node, skill_name, method_name, parameters, timeout)

    def stop_calls(self, reason: str) -> None:
        """Cancel every direct call, on every node."""
        for node in self._nodes.values():
            for request_id in node.calls:
                node.send(Cancel(request_id=request_id, reason=reason, grace_seconds=1.0))

    # -- health

    async def mark_silent(self, now: float) -> None:
        """Nodes that were not heard for too long are offline, whatever their socket says."""
        limit = self._settings.nexus_heartbeat_timeout
        silent = [node for node in self.list_nodes(online_only=True) if now - node.heard > limit]
        await asyncio.gather(
            *(
                self.unregister_node(node.node_id, f"it was silent for {now - node.heard:.0f} s")
                for node in silent
            )
        )

    async def close_all(self, reason: str) -> None:
        """End every session."""
        online = self.list_nodes(online_only=True)
        await asyncio.gather(*(self.unregister_node(node.node_id, reason) for node in online))

    def shift(self, seconds: float) -> None:
        """The engine itself was asleep: nobody was heard, so nobody was silent."""
        for node in self._nodes.values():
            node.heard += seconds

    def take_loads(self) -> Iterable[Node]:
        """The nodes whose load changed since this was last asked."""
        changed = [self._nodes[node_id] for node_id in self._loaded if node_id in self._nodes]
        self._loaded.clear()
        return changed

    def _heard(self, node: Node) -> None:
        node.heard, node.last_heartbeat = time.monotonic(), time.time()

    def _make_room(self) -> None:
        if len(self._nodes) < MAX_NODES:
            return
        offline = [node for node in self._nodes.values() if not node.is_online]
        if offline:
            del self._nodes[min(offline, key=lambda node: node.heard).node_id]


def unknown_node(node_id: str) -> NotFound:
    return NotFound(
        f"There is no node {node_id[:120]}.",
        kept="Nothing was run.",
        do="Look at the list of nodes for the right id.",
    )
