"""Everything about one task as lines for its page: facts, parameters, stage log, output, how it ended."""

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rich.style import Style

from venom_engine.protocol.text import inert
from venom_tui.board import Board
from venom_tui.cells import clock, cut, span, state
from venom_tui.log_ring import Kind
from venom_tui.looks import Palette
from venom_tui.task_focus import TaskFocus, stage_lines

if TYPE_CHECKING:
    from venom_engine.protocol.task import VenomTask

#: The page shows the last lines of the output; the log pane and `venom logs` have more.
_OUTPUT_LINES = 1_000
_RESULT_LINES = 400

Line = list[tuple[str, Style]]


def story(board: Board, focus: TaskFocus, palette: Palette, width: int) -> list[Line]:
    """The page of the task in focus, wrapped to the width."""
    task = focus.task
    if task is None:
        return [[("  …", palette.second)]]
    lines: list[Line] = list(_facts(board, task, palette, width))
    sections: list[tuple[str, Iterable[tuple[str, Style]]]] = [
        ("Content", ((line, palette.text) for line in _text(task.content))),
        ("Parameters", ((line, palette.text) for line in _text(_pretty(task.parameters)))),
        ("Stage log", _stages(task, palette)),
        ("Output", _output(focus, palette)),
        ("Error", ((line, palette.bad) for line in _text(task.error or ""))),
        ("Result", ((line, palette.good) for line in _text(_pretty(task.result)))),
    ]
    for heading, texts in sections:
        body = [[("  " + piece, style)] for text, style in texts for piece in cut(text, width - 3)]
        if body:
            lines += [[("", palette.text)], [(f" {heading}", palette.title)], *body]
    return lines


def _facts(board: Board, task: "VenomTask", palette: Palette, width: int) -> Iterator[Line]:
    ends = task.finished_at or None
    took = span((ends - task.started_at).total_seconds()) if ends and task.started_at else ""
    times = f"created {clock(task.created_at.timestamp())}"
    times += f", started {clock(task.started_at.timestamp())}" if task.started_at else ""
    times += f", ended {clock(ends.timestamp())} after {took}" if ends and took else ""
    retries = f"{task.max_retries} retries" if task.max_retries else "a failure is not retried"
    limit = f"{task.timeout:g} s" if task.timeout else "none"
    needs = ", ".join(_needs(task)) or "nothing special"
    for name, text, style in (
        ("Task", str(task.id), palette.strong),
        ("State", state(task.status.value), palette.status(task.status.value)),
        ("Calls", inert(f"{task.skill}.{task.method}"), palette.text),
        ("Node", inert(board.node_name(task.node_id)) if task.node_id else "none yet", palette.text),
        ("Times", times, palette.text),
        ("Attempt", f"{task.attempt}; {retries}", palette.text),
        ("Queue", f"{task.queue}, priority {task.priority}, time limit {limit}, needs {needs}", palette.text),
    ):
        for i, piece in enumerate(cut(text, width - 12)):
            yield [(f"  {name if i == 0 else '':<9}", palette.second), (piece, style)]


def _needs(task: "VenomTask") -> Iterator[str]:
    needs = task.requirements
    yield from (f"tag {inert(tag)}" for tag in needs.tags)
    if needs.gpu:
        yield "a GPU"
    if needs.node:
        yield f"node {inert(needs.node)}"


def _stages(task: "VenomTask", palette: Palette) -> Iterator[tuple[str, Style]]:
    for line in stage_lines(task.logs, str(task.id)):
        yield f"{clock(line.at)} {line.text}" if line.at else line.text, palette.text


def _output(focus: TaskFocus, palette: Palette) -> Iterator[tuple[str, Style]]:
    ring = focus.ring
    styles = {Kind.OUT: palette.text, Kind.ERR: palette.warn, Kind.NOTE: palette.second}
    for number in range(max(ring.first, ring.end - _OUTPUT_LINES), ring.end):
        line = ring[number]
        if line is not None and line.kind in styles:
            yield (f"! {line.text}" if line.kind is Kind.ERR else line.text), styles[line.kind]


def _text(text: str) -> Iterator[str]:
    lines = inert(text).expandtabs(8).rstrip("\n").split("\n") if text.strip() else []
    yield from lines[:_RESULT_LINES]
    if len(lines) > _RESULT_LINES:
        yield f"… {len(lines) - _RESULT_LINES:,} more lines; `venom show` has them"


def _pretty(value: object) -> str:
    if value is None or value == {}:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, indent=2, ensure_ascii=False)
