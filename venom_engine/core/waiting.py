"""The lanes in which something may wait, and the bell that wakes the claim loop."""

import asyncio
from collections.abc import Iterable

from venom_engine.rules.records import Lane


class Waiting:
    """What the claim loop looks at. A lane is struck off when a claim found it empty."""

    def __init__(self) -> None:
        self.lanes: set[Lane] = set()
        self._bell = asyncio.Event()

    def add(self, lanes: Iterable[Lane]) -> None:
        """Something waits there now."""
        self.lanes.update(lanes)
        self.wake()

    def strike_off(self, lanes: Iterable[Lane]) -> None:
        self.lanes.difference_update(lanes)

    def wake(self) -> None:
        """Something may have become possible: a slot, a node, an order."""
        self._bell.set()

    async def woken(self) -> None:
        await self._bell.wait()
        self._bell.clear()
