"""Once a second: leases that ended, deadlines that passed, nodes that fell silent, loads to tell.

Times are the monotonic clock's. If we ourselves were stopped for a while, nobody could reach us, so
nobody is late: everything is put off by as long as we slept.
"""

import asyncio
import logging
import time

from venom_engine.core.bus import EventBus
from venom_engine.core.node import Node
from venom_engine.core.nodes import NodeManager
from venom_engine.core.settler import Settler
from venom_engine.protocol.errors import StoreFailed
from venom_engine.protocol.event import Event, EventType
from venom_engine.protocol.messages import now_utc
from venom_engine.settings import Settings
from venom_engine.store.base import Store

TICK = 1.0
#: A tick that comes this much late means that the process did not run.
ASLEEP = 3.0
PRUNE_EVERY = 60.0
#: Each drops up to 10,000 events; what is left goes the next time.
PRUNE_ROUNDS = 50

log = logging.getLogger(__name__)


class Janitor:
    """Takes back what nobody cares for any more."""

    def __init__(
        self, settings: Settings, store: Store, settler: Settler, nodes: NodeManager, bus: EventBus
    ) -> None:
        self._settings, self._store = settings, store
        self._settler, self._nodes, self._bus = settler, nodes, bus

    async def run(self) -> None:
        before = looked = pruned = time.monotonic()
        while True:
            await asyncio.sleep(TICK)
            now = time.monotonic()
            if (slept := now - before - TICK) > ASLEEP:
                log.warning(
                    "The engine did not run for %.0f s; leases and silences are put off by that", slept
                )
                self._settler.holds.shift(slept)
                self._nodes.shift(slept)
            self._take_back(now)
            if self._settler.waiting.lanes:  # a node that was silent may be heard again
                self._settler.waiting.wake()
            self._tell_loads()
            if now - looked >= self._settings.nexus_health_check_interval:
                looked = now
                await self._nodes.mark_silent(now)
            if now - pruned >= PRUNE_EVERY:
                pruned = now
                await self._prune()
            before = time.monotonic()  # what we waited for ourselves is not sleep

    def _take_back(self, now: float) -> None:
        for hold in self._settler.holds.expired(now):
            node = self._nodes.get_node(hold.node_id)
            name = node.name if node else "its node"
            self._settler.lost(hold, f"{name} did not renew its lease")
        for hold in self._settler.holds.overdue(now):
            self._settler.timed_out(hold)

    def _tell_loads(self) -> None:
        nodes = list(self._nodes.take_loads())
        if nodes and self._bus.watched:
            self._bus.publish([_load_event(nodes)])

    async def _prune(self) -> None:
        try:
            for _ in range(PRUNE_ROUNDS):
                if not await self._store.prune(keep_events=self._settings.event_limit):
                    return
        except StoreFailed as error:
            log.error("Old events could not be pruned: %s", error)


def _load_event(nodes: list[Node]) -> Event:
    loads = [[node.node_id, node.cpu, node.memory, node.active] for node in nodes]
    return Event(
        type=EventType.NODE_LOAD,
        message="",
        timestamp=now_utc(),
        data={"nodes": loads},
    )
