"""`venom queue`: how the queue stands, and its controls. Purge and stop ask first, on a terminal."""

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from venom_engine.cli.out import REFUSED, errors_told, put, put_json, say
from venom_engine.cli.reach import AsJson, EngineUrl, StateDir, Token, Where, me, reached, run
from venom_engine.cli.show import queue_text
from venom_engine.client.base import EngineClient
from venom_engine.protocol.queue import QueueReply, QueueStatus

Control = Callable[[EngineClient], Awaitable[QueueReply]]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def queue(
    context: typer.Context,
    engine: EngineUrl = None,
    token: Token = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Show how the queue stands, or control it.

    \b
    Example:
      venom queue
      venom queue pause
      venom queue stop --yes
    """
    if context.invoked_subcommand is None:
        _show(Where(engine, token, state_dir), as_json)


@app.command()
def status(
    engine: EngineUrl = None, token: Token = None, state_dir: StateDir = None, as_json: AsJson = False
) -> None:
    """Show how the queue stands.

    \b
    Example:
      venom queue status --json
    """
    _show(Where(engine, token, state_dir), as_json)


@app.command()
def pause(
    engine: EngineUrl = None, token: Token = None, state_dir: StateDir = None, as_json: AsJson = False
) -> None:
    """Start nothing new; running tasks go on.

    \b
    Example:
      venom queue pause
    """
    _control(Where(engine, token, state_dir), lambda client: client.pause(by=me()), as_json)


@app.command()
def resume(
    engine: EngineUrl = None, token: Token = None, state_dir: StateDir = None, as_json: AsJson = False
) -> None:
    """End a pause or an emergency stop.

    \b
    Example:
      venom queue resume
    """
    _control(Where(engine, token, state_dir), lambda client: client.resume(by=me()), as_json)


@app.command()
def purge(
    yes: Yes = False,
    engine: EngineUrl = None,
    token: Token = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Abort every task that waits; running tasks go on.

    \b
    Example:
      venom queue purge --yes
    """
    where = Where(engine, token, state_dir)
    if not yes:
        _ask(where, lambda now: f"Abort the {_tasks(now.pending)} now waiting?", as_json)
    _control(where, lambda client: client.purge(by=me()), as_json)


@app.command()
def stop(
    yes: Yes = False,
    engine: EngineUrl = None,
    token: Token = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Emergency stop: pause, kill every running task on every node, abort what waits.

    \b
    Example:
      venom queue stop --yes
    """
    where = Where(engine, token, state_dir)
    if not yes:
        _ask(
            where,
            lambda now: f"Kill {_tasks(now.processing)} on all nodes and abort {now.pending} waiting?",
            as_json,
        )
    _control(where, lambda client: client.emergency_stop(by=me()), as_json)


def _show(where: Where, as_json: bool) -> None:
    with errors_told(as_json=as_json):
        found = run(_status(where))
    if as_json:
        put_json(found)
    else:
        put(queue_text(found))


async def _status(where: Where) -> QueueStatus:
    async with reached(where) as client:
        return await client.queue_status()


def _control(where: Where, control: Control, as_json: bool) -> None:
    async def work() -> QueueReply:
        async with reached(where) as client:
            return await control(client)

    with errors_told(as_json=as_json):
        reply = run(work())
    put(reply.model_dump_json(exclude_none=True) if as_json else reply.message)
    if not reply.success:
        raise typer.Exit(REFUSED)


def _ask(where: Where, question: Callable[[QueueStatus], str], as_json: bool) -> None:
    """Name what is about to happen and to how many; anything but `y` ends the command."""
    if not sys.stdin.isatty():
        raise typer.BadParameter("without a terminal to ask on, --yes is needed", param_hint="--yes")
    with errors_told(as_json=as_json):
        now = run(_status(where))
    if not typer.confirm(question(now), default=False, err=True):
        say("Nothing was changed.")
        raise typer.Exit(REFUSED)


def _tasks(count: int) -> str:
    return f"{count} task" if count == 1 else f"{count} tasks"
