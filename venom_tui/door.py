"""Finds the way to the engine that is meant: a given address, the state folder's own, or one inside.

Owns: whether this console started an engine, and ending it. Nothing heavy is imported before the
first use, and then in a thread, so that the screen is there before pydantic and httpx are.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from venom_engine.protocol.errors import EngineUnreachable
from venom_tui.options import Options

if TYPE_CHECKING:
    from venom_engine.client.base import EngineClient


class Door:
    """The way to one engine."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._inside: EngineClient | None = None
        self._started: Path | None = None  #: The state folder of the engine that we started.
        self._may_start = not options.in_process
        self.label = options.engine or ("inside this console" if options.in_process else "")

    @property
    def started_one(self) -> bool:
        """Whether this console started a background engine."""
        return self._started is not None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """While the block runs, `client` can be called; an engine inside lives as long."""
        await asyncio.to_thread(_import_what_is_heavy)
        if not self._options.in_process:
            yield
            return
        from venom_engine.client.open import open_engine

        async with open_engine(state_dir=self._options.state_dir) as engine:
            self._inside = engine
            try:
                yield
            finally:
                self._inside = None

    @asynccontextmanager
    async def client(self) -> AsyncIterator["EngineClient"]:
        """The engine. Each call is a connection of its own, except to an engine inside."""
        if self._options.in_process:
            if self._inside is None:
                raise EngineUnreachable("The engine inside this console is not running.", do="Wait for it.")
            yield self._inside
            return
        from venom_engine.client.remote import RemoteClient

        url, token = await asyncio.to_thread(self._address)
        self.label = url.removeprefix("http://")
        async with RemoteClient(url, token) as client:
            yield client

    async def stop_started(self) -> None:
        """End the engine that this console started; its tasks on disk stay."""
        if self._started is not None:
            from venom_engine.client.discover import stop_background

            await asyncio.to_thread(stop_background, self._started)
            self._started = None

    def _address(self) -> tuple[str, str | None]:
        """Where the engine answers now. Starts one, once, when nobody said where and none runs."""
        from venom_engine.client import discover

        options = self._options
        told = discover.surroundings(options.state_dir)
        if options.engine or told.engine or not self._may_start:
            return discover.resolve(options.engine, options.token, options.state_dir)
        running = discover.find_engine(told.state_dir)
        if running is None:
            discover.start_background(told.state_dir)
            self._started = told.state_dir
        self._may_start = False
        return discover.resolve(None, options.token, told.state_dir)


def _import_what_is_heavy() -> None:
    import venom_engine.client.discover
    import venom_engine.client.listening
    import venom_engine.client.remote
    import venom_engine.protocol.task  # noqa: F401
