"""The cell-diff layer against a terminal emulator: sending differences shows what sending everything shows."""

from collections.abc import Iterator

import pyte
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.color import ColorSystem
from rich.segment import Segment
from rich.style import Style

from venom_tui.cell_screen import CellScreen
from venom_tui.scroll_region import find_shift
from venom_tui.sgr import Looks

WIDTH, HEIGHT = 24, 9
STYLES = [
    None,
    Style.parse("bold"),
    Style.parse("#ff0000"),
    Style.parse("#00ff00 on #101418"),
    Style.parse("on #205080"),
    Style.parse("reverse"),
    Style.parse("bold underline #123456 on #654321"),
]
PIECES = st.tuples(
    st.text(alphabet=st.sampled_from("ab c─█·字e\u0301…"), min_size=1, max_size=12), st.sampled_from(STYLES)
)
PAINTS = st.lists(
    st.tuples(
        st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1), st.lists(PIECES, min_size=1, max_size=3)
    ),
    min_size=1,
    max_size=6,
)
#: Either some pieces anywhere, or the whole screen moved by some lines.
UPDATES = st.lists(st.one_of(PAINTS, st.integers(-HEIGHT, HEIGHT)), min_size=1, max_size=8)


class Emulator:
    """A terminal to look at."""

    def __init__(self) -> None:
        self.screen = pyte.Screen(WIDTH, HEIGHT)
        self.stream = pyte.Stream(self.screen)
        self.screen.reset_mode(pyte.modes.DECAWM)

    def cells(self) -> list[list[tuple[object, ...]]]:
        return [
            [
                (c.data, c.fg, c.bg, c.bold, c.underscore, c.reverse)
                for c in (self.screen.buffer[y][x] for x in range(WIDTH))
            ]
            for y in range(HEIGHT)
        ]


def new_screen(*, ascii_only: bool = False) -> CellScreen:
    return CellScreen(WIDTH, HEIGHT, Looks(ColorSystem.TRUECOLOR), ascii_only=ascii_only)


def as_segments(pieces: list[tuple[str, Style | None]]) -> list[Segment]:
    return [Segment(text, style) for text, style in pieces]


def row(number: int) -> list[Segment]:
    return [Segment(f"row {number:<6}", STYLES[number % 7]), Segment("x" * 14, STYLES[number % 3])]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(UPDATES)
def test_differences_show_what_a_full_repaint_shows(
    updates: list[list[tuple[int, int, list[tuple[str, Style | None]]]] | int],
) -> None:
    """After any updates, a terminal that got differences equals one that got the last picture whole."""
    screen, first = new_screen(), 100
    for y in range(HEIGHT):
        screen.paint(y, 0, row(first + y))
    followed = Emulator()
    followed.stream.feed(screen.flush())

    for update in updates:
        if isinstance(update, int):
            first += update
            for y in range(HEIGHT):
                screen.paint(y, 0, row(first + y))
        else:
            for y, x, pieces in update:
                screen.paint(y, x, as_segments(pieces))
        followed.stream.feed(screen.flush())

    repainted = Emulator()
    screen.forget()
    repainted.stream.feed(screen.flush())
    assert followed.cells() == repainted.cells()


def test_nothing_is_sent_when_nothing_changed() -> None:
    """Painting the same picture again costs no byte."""
    screen = new_screen()
    screen.paint(0, 0, row(1))
    screen.flush()

    screen.paint(0, 0, row(1))

    assert screen.flush() == ""


def test_one_changed_cell_costs_a_few_bytes() -> None:
    """A changed digit is a cursor move and the digit, not the line."""
    screen = new_screen()
    screen.paint(3, 0, [Segment("done 41")])
    screen.flush()

    screen.paint(3, 0, [Segment("done 42")])

    assert screen.flush() == "\x1b[4;7H2"


@pytest.mark.parametrize("by", [1, -1, 3])
def test_a_moved_list_is_moved_by_the_terminal(by: int) -> None:
    """A scrolled list costs the lines that came in, not all its lines."""
    screen = new_screen()
    for y in range(HEIGHT):
        screen.paint(y, 0, row(50 + y))
    whole = len(screen.flush())

    for y in range(HEIGHT):
        screen.paint(y, 0, row(50 + by + y))
    scrolled = screen.flush()

    assert "\x1b[1;9r" in scrolled
    assert len(scrolled) < whole * (abs(by) + 1) / HEIGHT


def test_lines_beside_a_moved_block_stay() -> None:
    """A heading and a footer around a moved block are left alone."""
    old = ["head", *[f"line {n}" for n in range(6)], "foot"]
    new = ["head", *[f"line {n}" for n in range(1, 7)], "foot"]

    shift = find_shift(old, new)

    assert shift is not None
    assert (shift.top, shift.bottom, shift.by) == (1, 6, 1)


def test_a_few_changed_lines_are_not_moved() -> None:
    """A shift that would save nothing is not made."""
    assert find_shift(["a", "b", "c", "d"], ["b", "x", "y", "z"]) is None


def emulated(screen: CellScreen) -> Iterator[str]:
    emulator = Emulator()
    emulator.stream.feed(screen.flush())
    yield from emulator.screen.display


def test_ascii_keeps_every_column() -> None:
    """Without UTF-8 a glyph becomes one character, and a wide one two: nothing moves."""
    screen = new_screen(ascii_only=True)
    screen.paint(0, 0, [Segment("│ 52% ████· 字e\u0301é…│")])

    line = next(emulated(screen))

    assert line.rstrip() == "| 52% ####. ??e?~|"


def test_no_colour_keeps_attributes() -> None:
    """Without colours bold and reverse are still sent, and no colour code is."""
    screen = CellScreen(WIDTH, HEIGHT, Looks(None))
    screen.paint(0, 0, [Segment("stop", STYLES[6]), Segment("here", Style.parse("reverse #ff0000"))])

    sent = screen.flush()

    assert "\x1b[0;1;4m" in sent
    assert "\x1b[22;24;7m" in sent
    assert "38;" not in sent and "48;" not in sent
