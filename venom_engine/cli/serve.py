"""An engine that serves until it is told to stop.

Owns: the order port, state, API; signals (the first drains, the second cuts short); the word `ready`.
"""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

from venom_engine import __version__
from venom_engine.api.server import Doors, Listening, open_doors, serving
from venom_engine.cli.log_format import Lines
from venom_engine.embedded import running_local_engine
from venom_engine.protocol.address import is_loopback
from venom_engine.protocol.errors import EngineBusy
from venom_engine.settings import Settings
from venom_engine.store.folder import owned_folder

log = logging.getLogger(__name__)


def run_engine(
    settings: Settings, listening: Listening, *, local_node: bool, lines: Lines, say: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT. `say`: told where the engine listens, once it accepts.

    Raises VenomError when the engine cannot start.
    """
    with asyncio.Runner(loop_factory=_fast_loop()) as runner:
        runner.run(_serve(settings, listening, local_node, lines, say))


async def _serve(
    settings: Settings, listening: Listening, local_node: bool, lines: Lines, say: Callable[[str], None]
) -> None:
    async with _signals() as stop:
        with closing(_doors(listening, settings.venom_state_dir)) as doors:
            async with running_local_engine(settings, local_node=local_node) as engine:
                lines.hide(engine.operator_token, engine.node_token)
                async with serving(engine, doors) as ended:
                    _warn(listening)
                    log.info("venom-engine %s, state in %s", __version__, settings.venom_state_dir)
                    say(doors.url)
                    await _first(stop, ended)
                log.info("stopping: running tasks of the engine's own node get %g s", settings.drain_seconds)
    log.info("stopped")


def _doors(listening: Listening, state_dir: Path) -> Doors:
    try:
        return open_doors(listening)
    except EngineBusy:
        # Most likely it is the engine of this very folder that has the port: then that is the news.
        with owned_folder(state_dir):
            raise


def _warn(listening: Listening) -> None:
    if not listening.require_token:
        log.warning("no token is asked for: every program on this machine may use this engine")
    if not is_loopback(listening.host) and listening.tls_cert is None:
        log.warning(
            "listening on %s without TLS: tokens and tasks cross the network readable (see --tls-cert)",
            listening.host,
        )


@asynccontextmanager
async def _signals() -> AsyncIterator[asyncio.Event]:
    """Set by the first SIGTERM or SIGINT; the second cancels whoever is inside the block."""
    stop = asyncio.Event()
    loop, inside = asyncio.get_running_loop(), asyncio.current_task()

    def heard() -> None:
        if stop.is_set() and inside is not None:
            log.warning("stopping at once")
            inside.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def _fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
