"""Text from tasks must not reach a terminal as an order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from venom_engine.protocol.text import inert

OBEYED = {*range(0x20), *range(0x7F, 0xA0)} - {0x09, 0x0A}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain\ttext\n", "plain\ttext\n"),
        ("zażółć 漢字 🎉", "zażółć 漢字 🎉"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a new title\x07x", "x"),
        ("\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\x", "x"),
        ("\x1b[2", "␛[2"),
        ("\x1b]52;c;unended", "␛]52;c;unended"),
        ("\x1b\x1b[0m[2J", "␛[2J"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("\x07\x08\x00\x7f\x9b", "␇␈␀␡\ufffd"),
        ("abc\u202egnp.exe", "abc\ufffdgnp.exe"),
        ("half \ud83c", "half \ufffd"),
    ],
)
def test_only_what_is_read_is_left(text: str, shown: str) -> None:
    """Sequences go, stray controls become visible, everything else stays."""
    assert inert(text) == shown


@given(st.text(st.sampled_from("\x1b[]P0;m\x07\\\x9b\x9c\r\nax\u202e\x00"), max_size=60) | st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    """Whatever comes in, and however often it is called."""
    shown = inert(text)
    assert not {ord(sign) for sign in shown} & OBEYED
    assert inert(shown) == shown


@pytest.mark.parametrize("text", ["\x1b]" * 200_000, "\x1b[" + "1;" * 200_000, ("\x1b]" + "a" * 999) * 400])
def test_a_megabyte_of_beginnings_costs_no_more_than_a_megabyte(text: str) -> None:
    """No input makes it go over the text again and again: it ends, long before the test's time does."""
    assert inert(text).startswith("␛")
