"""What the commands print, and with which code they end. stdout is data, stderr is talk.

Exit codes: 0 done, 1 the engine said no or the task failed, 2 wrong usage, 3 no engine reached,
130 interrupted.
"""

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TextIO

import typer
from pydantic import BaseModel, ValidationError

from venom_engine.protocol.errors import EngineUnreachable, VenomError
from venom_engine.protocol.text import inert

REFUSED, MISUSED, UNREACHED, INTERRUPTED = 1, 2, 3, 130


def write(text: str, stream: TextIO | None = None) -> None:
    """Print as it is into a file or pipe; harmless on a terminal. Ends no line by itself."""
    target = stream or sys.stdout
    target.write(inert(text) if target.isatty() else text)
    target.flush()


def say(text: str) -> None:
    """Talk: a line on stderr."""
    write(f"{text}\n", sys.stderr)


def put(text: str) -> None:
    """Data: a line on stdout."""
    write(f"{text}\n")


def put_json(data: BaseModel | Sequence[BaseModel]) -> None:
    """Data as JSON, on one line."""
    if isinstance(data, BaseModel):
        put(data.model_dump_json(exclude_none=False))
    else:
        put(f"[{','.join(each.model_dump_json() for each in data)}]")


@contextmanager
def errors_told(*, as_json: bool = False) -> Iterator[None]:
    """Turn an error into its text on stderr (with --json: an object) and its exit code."""
    try:
        yield
    except VenomError as error:
        tell(error, as_json=as_json)
        raise typer.Exit(UNREACHED if isinstance(error, EngineUnreachable) else REFUSED) from None


def tell(error: VenomError, *, as_json: bool = False) -> None:
    """What happened, what was kept, what to do next."""
    if as_json:
        say(json.dumps({"code": error.code, "what": error.what, "kept": error.kept, "do": error.do}))
        return
    say(f"Error: {error.what}")
    for part in (error.kept, error.do):
        if part:
            say(f"       {part}")


def misused(error: ValidationError) -> typer.BadParameter:
    """What does not hold in what was typed, without repeating it."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return typer.BadParameter(f"{where}: {first['msg'].removeprefix('Value error, ')}")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows under their heads, as wide as the terminal (80 in a pipe); the last column gives way."""
    width = shutil.get_terminal_size().columns
    cells = [list(heads), *([one_line(cell) for cell in row] for row in rows)]
    columns = [max(wide(row[at]) for row in cells) for at in range(len(heads) - 1)]
    room = max(8, width - sum(columns) - 2 * len(columns))
    lines = []
    for row in cells:
        front = [f"{cell}{' ' * (wanted - wide(cell))}" for cell, wanted in zip(row, columns, strict=False)]
        lines.append("  ".join([*front, cut(row[-1], room)]).rstrip())
    return "\n".join(lines)


def one_line(text: str) -> str:
    """The text without line ends and tabs, harmless in a table."""
    return " ".join(inert(text[:2000]).split())


def cut(text: str, room: int) -> str:
    """The text in so many cells, with … where something is missing."""
    if wide(text) <= room:
        return text
    kept, used = [], 1
    for sign in text:
        used += wide(sign)
        if used > room:
            break
        kept.append(sign)
    return f"{''.join(kept)}…"


def wide(text: str) -> int:
    """How many cells the text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        for sign in text
    )


def ended(app: Callable[[], object]) -> int:
    """Run a typer app; its exit code. A reader that closes the pipe early is no error."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        app()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
