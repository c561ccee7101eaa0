"""How commands print: tables, widths, exit codes, log lines."""

import json
import logging
from datetime import UTC, datetime
from uuid import UUID

import pytest
import typer
from pydantic import JsonValue

from venom_engine.cli.log_format import Lines
from venom_engine.cli.out import cut, ended, errors_told, one_line, table, wide
from venom_engine.cli.show import event_text, queue_text, result_text, span, task_table, task_text
from venom_engine.cli.submitting import parameters
from venom_engine.protocol.errors import BadRequest, EngineUnreachable, VenomError
from venom_engine.protocol.event import Event
from venom_engine.protocol.queue import QueueStatus
from venom_engine.protocol.task import TaskStatus, VenomTask

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def a_task(content: str = "hello", **fields: object) -> VenomTask:
    known = {
        "id": UUID(int=7),
        "content": content,
        "created_at": NOW,
        "status": TaskStatus.PENDING,
        "skill": "Echo",
        "method": "run",
    }
    return VenomTask.model_validate({**known, **fields})


@pytest.mark.parametrize("columns", [80, 120, 70])
def test_a_table_is_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    """The last column gives way; 80 where nobody says how wide."""
    monkeypatch.setenv("COLUMNS", str(columns))
    text = task_table([a_task("x" * 500), a_task("漢字" * 200), a_task("two\nlines\x1b[31m")], NOW)
    lines = text.splitlines()
    assert len(lines) == 4
    assert max(map(wide, lines)) <= columns
    assert all(wide(line) >= columns - 2 for line in lines[1:3])
    assert lines[3].endswith("two lines")


def test_text_is_cut_by_cells_not_by_signs() -> None:
    """Wide signs take two cells, combining marks none."""
    assert cut("abc", 3) == "abc"
    assert cut("abcd", 3) == "ab…"
    assert cut("漢字漢字", 5) == "漢字…"
    assert wide("e\u0301") == 1
    assert one_line("a\tb\n\n c\x1b[0m") == "a b c"
    assert table(("A", "B"), []) == "A  B"


def test_a_task_is_told_whole_and_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fields that say nothing are left out; log lines cannot make lines of their own."""
    text = task_text(a_task(result={"n": 1}, logs=["accepted\nstatus   COMPLETED"], error=None))
    assert "status    PENDING" in text
    assert 'result    {"n": 1}' in text
    assert "error" not in text
    assert text.endswith("log\n  accepted status COMPLETED")


def test_the_queue_says_who_paused_it() -> None:
    """And a stop is more than a pause."""
    assert "paused by night" in queue_text(
        QueueStatus(paused=True, paused_by="night", pending=1, active=0, processing=0)
    )
    stopped = queue_text(
        QueueStatus(paused=True, stopped=True, pending=0, active=0, processing=0, problem="disk full")
    )
    assert "STOPPED" in stopped
    assert "disk full" in stopped


def test_an_event_is_one_line() -> None:
    """Whatever its message holds."""
    event = Event(type="SYSTEM_LOG", message="a\nb\x1b]0;t\x07", timestamp=NOW, data={"node_id": "n1"})
    assert event_text(event).endswith("SYSTEM_LOG        a b (n1)")
    output = Event(type="TASK_OUTPUT", message="", timestamp=NOW, data={"task_id": "t", "text": "x\ny"})
    assert "x y (t)" in event_text(output)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.004, "0.00s"), (-1, "0.00s"), (3.21, "3.2s"), (59, "59s"), (60, "1m"), (7300, "2h"), (2e5, "2d")],
)
def test_spans_are_short(seconds: float, text: str) -> None:
    """One number, one unit."""
    assert span(seconds) == text


def test_results_are_text_or_json() -> None:
    """Text as it is."""
    results: list[JsonValue] = [None, "a\n", [1, "ż"], False]
    assert [result_text(each) for each in results] == ["", "a\n", '[1, "ż"]', "false"]


def test_parameters_are_json_where_they_can_be() -> None:
    """`k=v`; anything that is no JSON is text."""
    assert parameters(["n=1", "s=a=b", "l=[1, 2]", 'q="x"', "e="]) == {
        "n": 1,
        "s": "a=b",
        "l": [1, 2],
        "q": "x",
        "e": "",
    }
    with pytest.raises(typer.BadParameter):
        parameters(["nothing"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (BadRequest("No.", kept="Nothing.", do="Else."), 1),
        (EngineUnreachable("Gone.", kept="All.", do="Look."), 3),
    ],
)
def test_errors_are_told_in_three_parts_on_stderr(
    error: VenomError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """stdout stays clean; with --json it is one object."""
    for as_json in (False, True):
        with pytest.raises(typer.Exit) as end, errors_told(as_json=as_json):
            raise error
        assert end.value.exit_code == code
        printed = capsys.readouterr()
        assert printed.out == ""
        if as_json:
            assert json.loads(printed.err) == {
                "code": error.code,
                "what": error.what,
                "kept": error.kept,
                "do": error.do,
            }
        else:
            assert [error.what in printed.err, error.kept in printed.err, error.do in printed.err] == [
                True
            ] * 3


def test_exit_codes_are_passed_on() -> None:
    """SystemExit and Ctrl-C become numbers."""

    def leave(value: object) -> None:
        if value == "interrupt":
            raise KeyboardInterrupt
        raise SystemExit(value)

    assert [ended(lambda v=v: leave(v)) for v in (0, 2, None, "text", "interrupt")] == [0, 2, 0, 1, 130]


def a_record(message: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("venom_engine.core", logging.WARNING, "f", 1, message, args, None)


def test_log_lines_are_lines_and_hold_no_secret() -> None:
    """Text and JSON alike, wherever the secret came from."""
    for kind in ("text", "json"):
        lines = Lines(kind)  # type: ignore[arg-type]
        lines.hide("sesame", "")
        line = lines.format(a_record("node %r said\nINFO fake line \x1b[31m sesame", "sesame"))
        assert "sesame" not in line
        assert "\n" not in line
        assert "\x1b" not in line
        if kind == "json":
            told = json.loads(line)
            assert (told["level"], told["logger"]) == ("WARNING", "venom_engine.core")
            assert datetime.fromisoformat(told["time"]).tzinfo is not None


def test_a_traceback_is_part_of_the_json_object() -> None:
    """One record, one line, also for errors."""
    try:
        raise ValueError("sesame")
    except ValueError as error:
        record = a_record("failed")
        record.exc_info = (type(error), error, error.__traceback__)
    lines = Lines("json")
    lines.hide("sesame")
    line = lines.format(record)
    assert "\n" not in line
    assert "ValueError: ***" in json.loads(line)["exception"]
