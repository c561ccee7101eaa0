"""The console's output as differences, against Textual's own full repaint, in a terminal emulator."""

import random
from pathlib import Path
from typing import Any

import pyte
from rich.color import ColorSystem
from textual.drivers.headless_driver import HeadlessDriver
from textual.pilot import Pilot

from tests.console.screen import engine_of, until
from venom_engine.protocol.task import TaskRequest
from venom_tui.app import Console
from venom_tui.options import Options

OFTEN, SELDOM = ["j"] * 8 + ["k"] * 3, ["ctrl+d", "ctrl+u", "G", "g", "tab", "s", "s", "2", "1", "4", "z"]
KEYS = [*OFTEN, *SELDOM, "question_mark", "escape", "n", "x", "enter", "a", "slash", "m"]
SIZES = [(120, 40), (80, 24), (100, 30), (60, 18), (30, 8)]
ODD = "żółw 字 🐢 e\u0301 ⚠️"
CONTENTS = [f"task {n}, {ODD if n % 5 == 0 else 'plain'}" for n in range(120)]

Cells = list[list[tuple[Any, ...]]]


class Emulator:
    """A terminal that remembers what it was sent."""

    def __init__(self, width: int, height: int) -> None:
        self.screen = pyte.Screen(width, height)
        self.screen.reset_mode(pyte.modes.DECAWM)
        self._stream = pyte.Stream(self.screen)

    def feed(self, data: str) -> None:
        self._stream.feed(data)

    def cells(self) -> Cells:
        return [
            [
                (cell.data, cell.fg, cell.bg, cell.bold, cell.underscore, cell.reverse)
                for cell in (self.screen.buffer[y][x] for x in range(self.screen.columns))
            ]
            for y in range(self.screen.lines)
        ]


class EmulatorDriver(HeadlessDriver):
    """A driver whose terminal can be looked at."""

    emulator: Emulator | None = None

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        width, height = self._app.size
        seen = self.emulator.screen if self.emulator else None
        if seen is None or (seen.columns, seen.lines) != (width, height):
            self.emulator = Emulator(width, height)
        assert self.emulator is not None
        self.emulator.feed(data)


def drawn(app: Console) -> Cells:
    """What the terminal shows."""
    driver = app._driver
    assert isinstance(driver, EmulatorDriver)
    return driver.emulator.cells() if driver.emulator else []


def meant(app: Console) -> Cells:
    """What a full repaint by Textual itself would show."""
    emulator = Emulator(*app.size)
    emulator.feed(app.screen._compositor.render_full_update().render_segments(app.console))
    return emulator.cells()


async def right(pilot: Pilot[None], app: Console) -> None:
    """Wait until both are the same. A wrong cell would stay wrong: nothing here repaints the screen."""
    for _ in range(100):
        if drawn(app) == meant(app):
            return
        await pilot.pause(0.05)
    there, should = drawn(app), meant(app)
    wrong = [
        (y, x, there[y][x], cell)
        for y, row in enumerate(should)
        for x, cell in enumerate(row)
        if there[y][x] != cell
    ]
    raise AssertionError(f"{len(wrong)} cells are wrong, such as {wrong[:5]}")


async def test_differences_draw_what_a_full_repaint_draws(state_dir: Path) -> None:
    """A random walk through lists, panes, pages, dialogs and sizes: no cell is ever wrong."""
    walk = random.Random(11)
    app = Console(Options(in_process=True, state_dir=state_dir))
    app.driver_class = EmulatorDriver
    app.console._color_system = ColorSystem.TRUECOLOR
    async with app.run_test(headless=False, size=(120, 40), notifications=True) as pilot:
        try:
            await until(pilot, lambda: app.feed.client is not None)
            for content in CONTENTS:
                await engine_of(pilot).submit(TaskRequest(content=content))
            for step in range(150):
                await pilot.press(walk.choice(KEYS))
                if step % 15 == 14:
                    await pilot.resize_terminal(*walk.choice(SIZES))
                if step % 5 == 4:
                    await right(pilot, app)
            await pilot.resize_terminal(120, 40)
            await right(pilot, app)
        finally:
            await app.disconnect()
