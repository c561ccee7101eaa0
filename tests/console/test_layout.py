"""Sizes: where the panes are, and what is said when there is no room."""

from pathlib import Path

import pytest

from tests.console.screen import app_of, console, shown, submitted, until
from venom_tui.screens.too_small import TooSmall

SIZES = [(240, 70), (200, 50), (120, 40), (100, 30), (80, 24), (79, 23), (60, 16), (40, 10)]


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_every_size_shows_engine_queue_and_tasks(state_dir: Path, size: tuple[int, int]) -> None:
    """From 40x10 up the console says which engine, how the queue stands, and lists tasks."""
    async with console(state_dir, size=size) as pilot:
        await submitted(pilot, "hello there")
        for words in ("venom", "RUNNING", "hello", "done"):
            await until(pilot, words)
        lines = shown(app_of(pilot)).split("\n")
        assert len(lines) == size[1]
        assert all(len(line) == size[0] for line in lines)


async def test_short_terminals_show_one_pane_at_a_time(state_dir: Path) -> None:
    """Below 24 lines the keys of the panes switch between them."""
    async with console(state_dir, size=(80, 20)) as pilot:
        await until(pilot, "1 Tasks")
        assert "4 Nodes" not in shown(app_of(pilot))

        await pilot.press("4")
        await until(pilot, "CPU ")
        assert "1 Tasks" not in shown(app_of(pilot))
        await pilot.press("tab")
        await until(pilot, "1 Tasks")


async def test_a_pane_takes_the_whole_screen_and_gives_it_back(state_dir: Path) -> None:
    """`z` on any pane, and again."""
    async with console(state_dir) as pilot:
        await pilot.press("2", "z")
        await until(pilot, lambda: "1 Tasks" not in shown(app_of(pilot)))
        assert app_of(pilot).main.log_tail.size.height > 30

        await pilot.press("z")
        await until(pilot, "1 Tasks")


async def test_a_terminal_that_is_too_small_says_so_and_recovers(state_dir: Path) -> None:
    """Shrunk below 40x10 it asks for room; enlarged it is where it was, dialog and all."""
    async with console(state_dir) as pilot:
        await pilot.press("n", *"!half a com")
        await pilot.resize_terminal(30, 8)
        await until(pilot, "This terminal is 30x8.")
        assert isinstance(app_of(pilot).screen, TooSmall)

        await pilot.resize_terminal(80, 24)
        await until(pilot, "!half a com")


async def test_it_starts_in_a_terminal_that_is_too_small(state_dir: Path) -> None:
    """It never refuses to start."""
    async with console(state_dir, size=(20, 5)) as pilot:
        await until(pilot, "needs 40x10")
        await pilot.resize_terminal(80, 24)
        await until(pilot, "RUNNING")


async def test_columns_come_with_the_width(state_dir: Path) -> None:
    """What matters least goes first."""
    async with console(state_dir) as pilot:
        await until(pilot, "CALL")
        await pilot.resize_terminal(110, 40)
        await until(pilot, lambda: "CALL" not in shown(app_of(pilot)) and "NODE  " in shown(app_of(pilot)))
        await pilot.resize_terminal(80, 40)
        await until(pilot, lambda: "NODE  " not in shown(app_of(pilot)) and "TASK" in shown(app_of(pilot)))
