"""`venom tasks`, `show`, `logs`, `nodes`, `abort`: looking at an engine, and stopping one task."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import ValidationError

from venom_engine.cli.out import REFUSED, errors_told, misused, put, put_json, say
from venom_engine.cli.reach import AsJson, EngineUrl, StateDir, TaskId, Token, Where, reached, run, task_id_of
from venom_engine.cli.show import ending, node_table, task_table, task_text
from venom_engine.cli.submitting import print_chunk, to_its_end
from venom_engine.client.wait import printed
from venom_engine.protocol.task import OutputChunk, TaskPage, TaskQuery, TaskStatus


def tasks(
    status: Annotated[list[TaskStatus] | None, typer.Option(help="Only these. May be repeated.")] = None,
    queue: Annotated[str | None, typer.Option(help="Only this queue.")] = None,
    skill: Annotated[str | None, typer.Option(help="Only this skill.")] = None,
    node: Annotated[str | None, typer.Option(help="Only on this node, by id or name.")] = None,
    text: Annotated[str | None, typer.Option(help="Only with this text in the content.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Go on after the page that named it.")] = None,
    engine: EngineUrl = None,
    token: Token = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """List tasks, newest first.

    \b
    Example:
      venom tasks --status FAILED --status ABORTED --limit 50
      venom tasks --text backup --json
    """
    fields = {
        "status": status or (),
        "queue": queue,
        "skill": skill,
        "node": node,
        "text": text,
        "cursor": cursor,
    }
    try:
        query = TaskQuery.model_validate({**fields, "limit": limit, "logs": as_json})
    except ValidationError as error:
        raise misused(error) from None

    async def work() -> TaskPage:
        async with reached(Where(engine, token, state_dir)) as client:
            return await client.tasks(query)

    with errors_told(as_json=as_json):
        page = run(work())
    if as_json:
        put_json(page.tasks)
    else:
        put(task_table(page.tasks, datetime.now(UTC)))
    if page.next_cursor:
        say(f"{len(page.tasks)} of {page.total}; more with --cursor {page.next_cursor}")


def show(
    task_id: TaskId,
    engine: EngineUrl = None,
    token: Token = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Show one task, with its stage log and result.

    \b
    Example:
      venom show 0198c5f2-7c1e-7d62-b1a7-5f0c3f6f9a11
    """

    async def work() -> None:
        async with reached(Where(engine, token, state_dir)) as client:
            task = await client.task(await task_id_of(client, task_id))
        if as_json:
            put_json(task)
        else:
            put(task_text(task))

    with errors_told(as_json=as_json):
        run(work())


def logs(
    task_id: TaskId,
    live: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the task ends.")] = False,
    stages: Annotated[bool, typer.Option("--stages", help="The stage log instead of the output.")] = False,
    tail: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Only the last pieces of output.")
    ] = None,
    engine: EngineUrl = None,
    token: Token = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Print what a task printed.

    Its stdout goes to stdout, its stderr to stderr. With --follow the exit code is 0 only when the
    task COMPLETED; Ctrl-C ends the following, not the task.

    \b
    Example:
      venom logs -f 0198c5f2-7c1e-7d62-b1a7-5f0c3f6f9a11
    """
    if live and (stages or tail):
        raise typer.BadParameter("goes with neither --stages nor --tail", param_hint="--follow")

    async def work() -> int:
        async with reached(Where(engine, token, state_dir)) as client:
            found = await task_id_of(client, task_id)
            if live:
                task = await to_its_end(client, found, live=True, as_json=as_json)
                say(ending(task))
                return 0 if task.status is TaskStatus.COMPLETED else REFUSED
            if stages:
                for line in (await client.task(found)).logs:
                    put(line)
                return 0
            await client.task(found)  # An unknown task is an error, not an empty log.
            chunks = _each(await client.tail(found, limit=tail)) if tail else printed(client, found)
            async with aclosing(chunks) as pieces:
                async for chunk in pieces:
                    print_chunk(chunk, as_json=as_json)
            return 0

    with errors_told(as_json=as_json):
        code = run(work())
    raise typer.Exit(code)


def nodes(
    online: Annotated[bool, typer.Option("--online", help="Only those online.")] = False,
    engine: EngineUrl = None,
    token: Token = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """List the nodes, and how loaded each is.

    \b
    Example:
      venom nodes --online
    """

    async def work() -> None:
        async with reached(Where(engine, token, state_dir)) as client:
            found = await client.nodes(online_only=online)
        if as_json:
            put_json(found.nodes)
        else:
            put(node_table(found.nodes))
            say(f"{found.online_count} online")

    with errors_told(as_json=as_json):
        run(work())


def abort(
    task_id: TaskId,
    engine: EngineUrl = None,
    token: Token = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Stop one task, with every process that it started.

    \b
    Example:
      venom abort 0198c5f2-7c1e-7d62-b1a7-5f0c3f6f9a11
    """

    async def work() -> None:
        async with reached(Where(engine, token, state_dir)) as client:
            reply = await client.abort(await task_id_of(client, task_id))
        if as_json:
            put_json(reply)
        else:
            put(reply.message)

    with errors_told(as_json=as_json):
        run(work())


async def _each(chunks: list[OutputChunk]) -> AsyncGenerator[OutputChunk, None]:
    for chunk in chunks:
        yield chunk
