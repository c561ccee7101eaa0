"""Lets something happen often enough to be seen and not oftener: repaints are paced, not queued."""

import asyncio
import time
from collections.abc import Callable


class Pace:
    """Runs `paint` soon after `want`, at most once in `seconds`, and never when nobody wants."""

    def __init__(self, seconds: float, paint: Callable[[], None]) -> None:
        self._seconds, self._paint = seconds, paint
        self._next = 0.0
        self._due: asyncio.TimerHandle | None = None

    def want(self) -> None:
        """There is something new to show."""
        if self._due is None:
            wait = max(0.0, self._next - time.monotonic())
            self._due = asyncio.get_running_loop().call_later(wait, self._run)

    def stop(self) -> None:
        """Paint no more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _run(self) -> None:
        self._due = None
        self._next = time.monotonic() + self._seconds
        self._paint()
