"""The board: what each event changes in the picture, and what it makes the feed ask for."""

from tests.console.makers import a_node, a_page, a_piece, a_task, an_event, nodes, task_id
from venom_engine.protocol.task import TaskStatus
from venom_tui.board import Board, Filter, Topic
from venom_tui.log_ring import LogRing
from venom_tui.task_window import Span


def a_board(*tasks: int) -> Board:
    """A board that has asked for everything once."""
    board = Board()
    board.tasks.asked()
    board.take_tasks(Span(0, 20), a_page(*(a_task(number) for number in tasks)))
    board.counts_stale = board.nodes_stale = False
    return board


def lines(ring: LogRing) -> list[tuple[str, str]]:
    found = (ring[number] for number in range(ring.first, ring.end))
    return [(line.kind.name, line.text) for line in found if line is not None]


def test_a_started_task_changes_its_row_at_once() -> None:
    """The row is right before the engine is asked again; nothing is fetched for it."""
    board = a_board(2, 1)

    topics = board.fold(
        an_event(
            "TASK_STARTED", task_id=task_id(1), status="PROCESSING", attempt=1, node_id="id-local", seq=7
        )
    )

    row = board.tasks[1]
    assert row is not None and (row.status, row.attempt, row.node_id) == ("PROCESSING", 1, "id-local")
    assert row.started is not None
    assert Topic.TASKS in topics and board.counts_stale
    assert board.tasks.want(0, 10) is None
    assert board.seq == 7


def test_a_new_task_makes_the_feed_look() -> None:
    """The list is asked for, because only the engine knows where the row goes."""
    board = a_board(1)

    board.fold(an_event("TASK_CREATED", task_id=task_id(2), status="PENDING"))

    assert board.tasks.want(0, 10) is not None


def test_a_replayed_event_does_not_turn_a_row_back() -> None:
    """After a reconnect old events come again; a row that knows more stays as it is."""
    board = Board()
    done = a_task(
        1, status=TaskStatus.COMPLETED, started_at=a_task(10).created_at, finished_at=a_task(20).created_at
    )
    board.take_tasks(Span(0, 20), a_page(done))

    board.fold(an_event("TASK_STARTED", task_id=task_id(1), status="PROCESSING", seconds=10))

    row = board.tasks[0]
    assert row is not None and row.status == "COMPLETED"


def test_a_list_of_one_state_is_asked_for_again_when_a_task_moves() -> None:
    """With a state filter a task may leave the list or come to it."""
    board = a_board(1)
    board.look(Filter(status="PENDING"))
    board.tasks.asked()
    board.take_tasks(Span(0, 20), a_page(a_task(1)))

    board.fold(an_event("TASK_STARTED", task_id=task_id(1), status="PROCESSING"))

    assert board.tasks.want(0, 10) is not None


def test_a_purge_makes_every_row_doubtful() -> None:
    """Purged tasks are not told one by one."""
    board = a_board(2, 1)

    board.fold(an_event("QUEUE_PURGED", purged=2))

    assert board.tasks.want(0, 10) is not None
    assert board.counts_stale


def test_output_goes_to_the_log_of_everything_and_to_the_task_in_focus() -> None:
    """One event, two logs; stderr stays told apart."""
    board = a_board(1)
    board.focus_on(task_id(1))
    assert board.focus is not None
    board.focus.loaded(a_task(1), [])

    board.fold(a_piece(1, "to one\n"))
    board.fold(a_piece(1, "to another\n", of=2, stream="stderr"))

    assert lines(board.log) == [("OUT", "to one"), ("ERR", "to another")]
    assert lines(board.focus.ring) == [("OUT", "to one")]


def test_a_load_report_moves_the_bars_and_nothing_else() -> None:
    """CPU, memory and tasks of the nodes that are known; no other part of the picture is touched."""
    board = a_board()
    board.take_nodes(nodes(a_node("local", is_local=True), a_node("spore-1")))

    topics = board.fold(
        an_event("NODE_LOAD", nodes=[["id-spore-1", 0.9, 0.1, 3], ["unknown", 1, 1, 1], "junk"])
    )

    node = board.nodes["id-spore-1"]
    assert (node.cpu, node.memory, node.tasks) == (0.9, 0.1, 3)
    assert topics == {Topic.NODES}


def test_nodes_are_asked_for_when_one_comes_or_goes() -> None:
    """A node's coming and going is an event; what it is like is asked."""
    board = a_board()

    board.fold(an_event("NODE_DISCONNECTED", "Node spore-1 disconnected: gone", node_id="id-spore-1"))

    assert board.nodes_stale


def test_a_gap_makes_everything_doubtful_and_is_said() -> None:
    """What was not told is asked for, and the log says that something is missing."""
    board = a_board(1)

    board.fold(an_event("GAP", after=1, before=900))

    assert board.counts_stale and board.nodes_stale and board.tasks.want(0, 10) is not None
    assert board.log.lost == 1


def test_an_event_of_a_newer_engine_is_shown_and_harms_nothing() -> None:
    """Unknown types are lines in the log."""
    board = a_board(1)

    assert board.fold(an_event("MOON_ROSE", "The moon rose", seq=3)) == {Topic.LOG, Topic.STATUS}
    line = board.log[0]
    assert line is not None and line.text == "The moon rose"


def test_text_of_tasks_and_nodes_is_inert_on_the_board() -> None:
    """Nothing that comes from outside can steer the terminal."""
    board = a_board()
    board.take_tasks(Span(0, 20), a_page(a_task(1, "a\x1b]52;c;ZXZpbA==\x07b\nsecond line")))
    board.fold(an_event("TASK_FAILED", "Failed: \x1b[31mred", task_id=task_id(1)))

    row, line = board.tasks[0], board.log[0]
    assert row is not None and row.content == "ab"
    assert line is not None and "\x1b" not in line.text
