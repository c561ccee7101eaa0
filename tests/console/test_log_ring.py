"""The log: pieces of output become lines, and a line keeps its number."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.console.makers import a_chunk, a_piece, a_task, an_event, task_id
from venom_engine.protocol.task import TaskStatus
from venom_tui.log_ring import LINE_LIMIT, Kind, LogRing
from venom_tui.task_focus import TaskFocus


def texts(ring: LogRing) -> list[str]:
    return [line.text for number in range(ring.first, ring.end) if (line := ring[number])]


def write(ring: LogRing, text: str, *, kind: Kind = Kind.OUT, task: str = "a") -> None:
    ring.write(kind, text, 0.0, task)


@settings(deadline=None)
@given(st.text(alphabet="ab\n", max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_lines_do_not_depend_on_how_the_output_was_cut(text: str, cuts: list[int]) -> None:
    """However a text is cut into pieces, the same lines come out."""
    whole, cut = LogRing(1000), LogRing(1000)
    write(whole, text)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})

    for start, end in pairwise(places):
        write(cut, text[start:end])

    assert texts(cut) == texts(whole)
    assert texts(whole) == (text.removesuffix("\n").split("\n") if text else [])


def test_two_streams_do_not_mix_within_a_line() -> None:
    """A half line of stderr does not join a half line of stdout."""
    ring = LogRing(10)
    write(ring, "out ")
    write(ring, "err ", kind=Kind.ERR)
    write(ring, "more\n")
    write(ring, "and more\n", kind=Kind.ERR)

    assert texts(ring) == ["out more", "err and more"]


def test_a_progress_bar_is_one_line() -> None:
    """What follows a carriage return replaces the line, also in the next piece."""
    ring = LogRing(10)
    write(ring, "10%\r20%\r")
    write(ring, "30%")
    write(ring, "\r40%\n")

    assert texts(ring) == ["40%"]


def test_escapes_are_shown_and_not_obeyed() -> None:
    """Nothing that a terminal obeys gets into a line."""
    ring = LogRing(10)
    write(ring, "\x1b[2Jgone\x07 \x1b]0;title\x07\ttab\n")

    (line,) = texts(ring)
    assert "gone" in line
    assert not any(ord(char) < 32 for char in line)


def test_a_line_keeps_its_number_when_old_ones_go() -> None:
    """The ring forgets from the front and says how far."""
    ring = LogRing(3)
    for number in range(5):
        write(ring, f"line {number}\n")

    assert (ring.first, ring.end) == (2, 5)
    assert ring[1] is None
    line = ring[4]
    assert line is not None and line.text == "line 4"


def test_an_endless_line_is_cut() -> None:
    """Megabytes without a line end cost one bounded line."""
    ring = LogRing(3)
    for _ in range(100):
        write(ring, "x" * 1000)

    (line,) = texts(ring)
    assert len(line) == LINE_LIMIT + 1 and line.endswith("…")


def test_a_story_is_told_in_order() -> None:
    """Stage lines, output and result stand as they happened; the last stage line stands behind the output."""
    logs = [
        "2026-03-01T12:00:01.000Z Accepted",
        "2026-03-01T12:00:02.000Z Started",
        "2026-03-01T12:00:02.500Z Completed",
    ]
    task = a_task(1, status=TaskStatus.COMPLETED, logs=logs, result={"exit_code": 0})
    focus = TaskFocus(task_id(1))

    focus.loaded(task, [a_chunk(1, "one\n", seconds=3), a_chunk(2, "oops\n", stream="stderr", seconds=4)])

    assert texts(focus.ring) == ["Accepted", "Started", "one", "oops", "Completed", '{"exit_code": 0}']


def test_what_is_told_twice_is_shown_once() -> None:
    """Output that was asked for and told meanwhile does not double."""
    focus = TaskFocus(task_id(1))
    focus.loaded(a_task(1), [a_chunk(1, "one\n"), a_chunk(2, "two\n")])

    focus.heard(a_piece(2, "two\n"))
    focus.heard(a_piece(3, "three\n"))

    assert texts(focus.ring) == ["one", "two", "three"]
    assert not focus.stale


def test_a_missed_piece_is_asked_for() -> None:
    """A jump in the numbers shows nothing wrong; it makes the feed ask, and then all is there."""
    focus = TaskFocus(task_id(1))
    focus.loaded(a_task(1), [a_chunk(1, "one\n")])

    focus.heard(a_piece(3, "three\n"))
    assert focus.stale
    focus.more([a_chunk(2, "two\n"), a_chunk(3, "three\n")])

    assert texts(focus.ring) == ["one", "two", "three"]


def test_pieces_that_the_engine_did_not_keep_are_counted() -> None:
    """The middle of a long output may be cut; the log says how much."""
    focus = TaskFocus(task_id(1))
    focus.loaded(a_task(1), [a_chunk(1, "head\n"), a_chunk(41, "tail\n")])

    assert texts(focus.ring) == ["head", "… 39 pieces of a long output were not kept", "tail"]


def test_what_happens_while_the_story_is_on_its_way_is_not_lost() -> None:
    """A stage event between question and answer makes the feed ask again."""
    focus = TaskFocus(task_id(1))
    focus.loading()

    focus.heard(an_event("TASK_STARTED", task_id=task_id(1)))
    focus.loaded(a_task(1), [])

    assert focus.stale
