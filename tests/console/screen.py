"""A real console on a real engine, and eyes for its screen."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from venom_engine.client.base import EngineClient
from venom_engine.protocol.task import TaskRequest
from venom_tui.app import Console
from venom_tui.options import Options

WAIT_SECONDS = 40


def shown(app: Console) -> str:
    """What a person reads on the screen."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def until(pilot: Pilot[None], holds: "str | Callable[[], Any]") -> None:
    """Wait until the words are on the screen, or something else is true."""
    app = pilot.app
    assert isinstance(app, Console)
    for _ in range(int(WAIT_SECONDS / 0.02)):
        if holds in shown(app) if isinstance(holds, str) else holds():
            return
        await pilot.pause(0.02)
    raise AssertionError(f"{holds!r} did not come true; the screen was:\n{shown(app)}")


async def settled(pilot: Pilot[None]) -> None:
    """Wait until a dialog has been there long enough to take an answer."""
    await pilot.pause(0.35)


@asynccontextmanager
async def console(
    state_dir: Path | None = None, *, size: tuple[int, int] = (120, 40), live: bool = True, **options: Any
) -> AsyncIterator[Pilot[None]]:
    """A console. With a folder and no address: on an engine inside it, once that answers."""
    given = {"in_process": "engine" not in options, "state_dir": state_dir, **options}
    app = Console(Options(**given))
    async with app.run_test(size=size, notifications=True) as pilot:
        try:
            if live:
                await until(pilot, lambda: app.board.is_live and app.board.tasks.known and app.board.queue)
            yield pilot
        finally:
            await app.disconnect()


def app_of(pilot: Pilot[None]) -> Console:
    assert isinstance(pilot.app, Console)
    return pilot.app


def engine_of(pilot: Pilot[None]) -> EngineClient:
    """The engine that the console speaks to."""
    client = app_of(pilot).feed.client
    assert client is not None
    return client


async def submitted(pilot: Pilot[None], *contents: str) -> list[str]:
    """Submit tasks beside the console, and wait until it lists them."""
    engine = engine_of(pilot)
    ids = [str((await engine.submit(TaskRequest(content=content))).task_id) for content in contents]
    tasks = app_of(pilot).board.tasks
    await until(pilot, lambda: all(tasks.index_of(task_id) is not None for task_id in ids))
    return ids
