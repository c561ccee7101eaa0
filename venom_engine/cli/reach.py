"""The options that every `venom` command has, and the way from them to an engine."""

import asyncio
import getpass
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import typer

from venom_engine.cli.out import INTERRUPTED
from venom_engine.client.base import EngineClient
from venom_engine.client.discover import resolve
from venom_engine.protocol.errors import BadRequest, NotFound
from venom_engine.protocol.task import TaskQuery

Result = TypeVar("Result")

#: How many of the newest tasks are looked through for a piece of an id.
NEWEST = 1000
_SHOWN = 5

EngineUrl = Annotated[
    str | None,
    typer.Option(
        "--engine", metavar="URL", help="The engine's address [env VENOM_ENGINE; else the local one]."
    ),
]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="T", help="Its operator token [env VENOM_TOKEN; local ones are found]."),
]
StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", metavar="DIR", help="The local engine's state folder [env VENOM_STATE_DIR]."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
TaskId = Annotated[
    str, typer.Argument(metavar="ID", help="A task's id, or the unique beginning or end of it.")
]


@dataclass(frozen=True, slots=True)
class Where:
    """Which engine is meant."""

    engine: str | None
    token: str | None
    state_dir: Path | None


@asynccontextmanager
async def reached(where: Where) -> AsyncIterator[EngineClient]:
    """A client of the engine that is meant."""
    from venom_engine.client.remote import RemoteClient

    url, token = resolve(where.engine, where.token, where.state_dir)
    async with RemoteClient(url, token) as client:
        yield client


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's work to its end; Ctrl-C ends the command."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def me() -> str:
    """Who gives the order, for the log."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # No name in the environment, none in the password file.
        return ""


async def task_id_of(client: EngineClient, text: str) -> UUID:
    """The task that is meant: by its whole id, or by a piece that only one of the newest tasks has."""
    try:
        return UUID(text)
    except ValueError:
        piece = text.strip().lower()
    if len(piece) < 4 or not set(piece) <= set("0123456789abcdef-"):
        raise BadRequest(
            f"{text[:80]!r} is no task id.", kept="Nothing was changed.", do="`venom tasks` lists the ids."
        )
    page = await client.tasks(TaskQuery(limit=NEWEST, logs=False))
    found = [task.id for task in page.tasks if str(task.id).startswith(piece) or str(task.id).endswith(piece)]
    if not found:
        raise NotFound(
            f"None of the newest {len(page.tasks)} tasks has an id that begins or ends with {piece}.",
            kept="Nothing was changed.",
            do="Give the whole id; `venom tasks` lists them.",
        )
    if len(found) > 1:
        some = ", ".join(map(str, found[:_SHOWN])) + (", …" if len(found) > _SHOWN else "")
        raise BadRequest(
            f"{piece} could be any of {len(found)} tasks: {some}.",
            kept="Nothing was changed.",
            do="Give more of it.",
        )
    return found[0]
