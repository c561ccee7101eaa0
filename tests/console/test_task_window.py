"""The window on the task list and the cursor in it: pure, so every move can be tried."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.console.makers import a_row, task_id
from venom_tui.task_cursor import TaskCursor
from venom_tui.task_window import Span, TaskWindow

HEIGHT = 10


def load(window: TaskWindow, total: int, first: int = 0, count: int = HEIGHT) -> None:
    """Do what the feed does: ask, and place an answer in which task n is the n-th ever made."""
    span = window.want(first, count)
    if span is not None:
        window.asked()
        newest = total - span.offset
        rows = [a_row(number) for number in range(newest, max(0, newest - span.limit), -1)]
        window.placed(span.offset, span.limit, rows, total)


def loaded(total: int) -> TaskWindow:
    window = TaskWindow()
    load(window, total)
    return window


def test_the_first_look_asks_for_the_top() -> None:
    """Before anything is known the rows of the view and a view below are wanted."""
    assert TaskWindow().want(0, HEIGHT) == Span(0, 20)


def test_nothing_is_asked_while_nothing_changes() -> None:
    """What is here is not asked for again."""
    assert loaded(500).want(0, HEIGHT) is None


def test_rows_keep_their_task_while_new_ones_arrive() -> None:
    """Three new tasks push every row down by three; none is fetched again."""
    window = loaded(500)
    old_top = window[0]

    window.placed(0, 3, [a_row(503), a_row(502), a_row(501)], 503)

    assert window[3] == old_top
    assert window.index_of(task_id(500)) == 3


def test_a_jump_far_away_asks_for_what_is_there() -> None:
    """The end of a long list is one request, not all the list."""
    window = loaded(1_000_000)

    assert window.is_urgent(999_990, HEIGHT)
    assert window.want(999_990, HEIGHT) == Span(999_980, 30)


def test_only_rows_near_the_view_are_kept() -> None:
    """However far an operator scrolls, the window does not grow."""
    window = loaded(100_000)
    for first in range(0, 20_000, 20):
        load(window, 100_000, first)

    assert len(window._rows) <= 4_000
    assert window[19_980] is not None


def test_a_short_answer_is_not_asked_for_for_ever() -> None:
    """Rows that the engine did not send are remembered as not there."""
    window = TaskWindow()
    window.asked()
    window.placed(0, 20, [a_row(5)], total=5)

    assert window.want(0, HEIGHT) is None


def test_the_cursor_stays_on_its_task_while_thousands_arrive() -> None:
    """Once moved, it is pinned to a task, and the line on the screen does not move."""
    window, cursor = loaded(500), TaskCursor()
    cursor.settle(window, HEIGHT)
    cursor.move(15, window, HEIGHT)
    load(window, 500, cursor.top)
    cursor.settle(window, HEIGHT)
    chosen, line = cursor.task_id, cursor.index - cursor.top

    window.look_again()
    load(window, 3_500, cursor.top)
    cursor.settle(window, HEIGHT)

    assert cursor.task_id == chosen == task_id(485)
    assert cursor.index == 3_015
    assert cursor.index - cursor.top == line


def test_the_cursor_follows_the_newest_until_it_is_moved() -> None:
    """At the top it is on whatever is newest; `j` pins it; `g` follows again."""
    window, cursor = loaded(5), TaskCursor()
    cursor.settle(window, HEIGHT)
    assert cursor.task_id == task_id(5)

    window.placed(0, 20, [a_row(n) for n in (6, 5, 4, 3, 2, 1)], 6)
    cursor.settle(window, HEIGHT)
    assert cursor.task_id == task_id(6)

    cursor.move(1, window, HEIGHT)
    window.placed(0, 20, [a_row(n) for n in (7, 6, 5, 4, 3, 2, 1)], 7)
    cursor.settle(window, HEIGHT)
    assert (cursor.task_id, cursor.index, cursor.top) == (task_id(5), 2, 0)

    cursor.newest(window, HEIGHT)
    assert cursor.task_id == task_id(7)


def test_when_its_task_leaves_the_list_the_cursor_takes_the_one_in_its_place() -> None:
    """In a filtered list a task may go; the cursor does not jump."""
    window, cursor = loaded(6), TaskCursor()
    cursor.settle(window, HEIGHT)
    cursor.move(2, window, HEIGHT)
    assert cursor.task_id == task_id(4)

    window.look_again(all_rows=True)
    window.placed(0, 20, [a_row(n) for n in (6, 5, 3, 2, 1)], 5)
    cursor.settle(window, HEIGHT)

    assert cursor.task_id == task_id(5)
    assert 0 <= cursor.index < 5


def test_a_pinned_task_is_found_when_it_comes() -> None:
    """After a submit the cursor waits for the new task, and takes it when it is here."""
    window, cursor = loaded(3), TaskCursor()
    cursor.settle(window, HEIGHT)
    cursor.pin(task_id(4))
    cursor.settle(window, HEIGHT)
    assert cursor.task_id == task_id(4)

    window.placed(0, 20, [a_row(n) for n in (5, 4, 3, 2, 1)], 5)
    cursor.settle(window, HEIGHT)

    assert (cursor.task_id, cursor.index) == (task_id(4), 1)


@settings(deadline=None)
@given(
    st.integers(0, 60),
    st.lists(
        st.one_of(
            st.tuples(st.just("move"), st.integers(-30, 30)),
            st.tuples(st.just("grow"), st.integers(0, 40)),
            st.tuples(st.sampled_from(["newest", "oldest"]), st.just(0)),
        ),
        max_size=12,
    ),
    st.integers(1, 12),
)
def test_the_cursor_is_always_in_view_and_on_its_task(
    total: int, steps: list[tuple[str, int]], height: int
) -> None:
    """Whatever is pressed and whatever arrives: in the list, in view, and on the task it says."""
    window, cursor = TaskWindow(), TaskCursor()
    for step, by in [("grow", 0), *steps]:
        before = cursor.task_id
        match step:
            case "grow":
                total += by
                window.look_again()
            case "move":
                cursor.move(by, window, height)
            case "newest":
                cursor.newest(window, height)
            case "oldest":
                cursor.oldest(window, height)
        while window.want(cursor.top, height) is not None:
            load(window, total, cursor.top, height)
            cursor.settle(window, height)
        assert 0 <= cursor.top <= cursor.index < cursor.top + height
        assert cursor.index < max(1, total)
        row = cursor.row(window)
        assert (row.id if row else None) == cursor.task_id
        if step == "grow" and before and not cursor.follows:
            assert cursor.task_id == before
