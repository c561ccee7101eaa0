"""Words and bars: what they say and how wide they are."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from venom_tui import cells
from venom_tui.ascii import speaks_utf8, to_ascii


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0421, "42ms"),
        (0.96, "1.0s"),
        (9.94, "9.9s"),
        (42, "42s"),
        (61, "1m01"),
        (3599, "60m"),
        (90_000, "25h"),
        (1e6, "12d"),
    ],
)
def test_a_span_reads_at_a_glance(seconds: float, text: str) -> None:
    """Milliseconds to days, in the unit that fits."""
    assert cells.span(seconds) == text


@settings(deadline=None)
@given(st.floats(0, 1e9, allow_nan=False))
def test_a_span_fits_its_column(seconds: float) -> None:
    """Never more than five characters, up to a century."""
    assert len(cells.span(min(seconds, 3e9))) <= 6
    if seconds < 8_000_000:
        assert len(cells.span(seconds)) <= 5


@settings(deadline=None)
@given(st.floats(-1, 2, allow_nan=False), st.integers(1, 40))
def test_a_bar_is_as_wide_as_asked(share: float, width: int) -> None:
    """Also for shares that cannot be."""
    assert len(cells.bar(share, width)) == width


@settings(deadline=None)
@given(st.text(max_size=30), st.integers(1, 20))
def test_a_fitted_text_has_exactly_its_width(text: str, width: int) -> None:
    """Wide characters are counted as the terminal counts them."""
    clean = "".join(char for char in text if char.isprintable())
    assert cell_len(cells.fitted(clean, width)) == width


def test_every_state_has_a_letter_of_its_own() -> None:
    """A state can be told without colour."""
    letters = [text[0] for text in cells.STATES.values()]
    assert len(set(letters)) == len(letters)


@pytest.mark.parametrize(
    ("environment", "yes"),
    [
        ({"LANG": "en_US.UTF-8"}, True),
        ({"LANG": "de_DE.utf8"}, True),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "C"}, False),
        ({"LC_ALL": "pl_PL.ISO-8859-2"}, False),
        ({"LC_CTYPE": "pl_PL.UTF-8", "LANG": "C"}, True),
        ({}, False),
    ],
)
def test_the_locale_decides_about_glyphs(environment: dict[str, str], yes: bool) -> None:
    """What the user asked for counts, whether or not the machine has that locale."""
    assert speaks_utf8(environment) is yes


@settings(deadline=None)
@given(st.text(alphabet="─│┌█▌·●▶▸▲…x é字", max_size=20))
def test_ascii_is_ascii_and_as_long(text: str) -> None:
    """One character for one character."""
    assert to_ascii(text).isascii() and len(to_ascii(text)) == len(text)
