"""`venom submit`, and what it shares with `venom logs -f`: following a task to its end."""

import asyncio
import json
import sys
from contextlib import aclosing
from typing import Annotated
from uuid import UUID

import typer
from pydantic import JsonValue, ValidationError

from venom_engine.cli.out import REFUSED, errors_told, misused, put, put_json, say, write
from venom_engine.cli.reach import AsJson, EngineUrl, StateDir, Token, Where, reached, run
from venom_engine.cli.show import ending, result_text
from venom_engine.client.base import EngineClient
from venom_engine.client.wait import follow, wait_for
from venom_engine.protocol.errors import EngineUnreachable
from venom_engine.protocol.task import DEFAULT_PRIORITY, OutputChunk, TaskRequest, TaskStatus, VenomTask


def submit(
    content: Annotated[
        str,
        typer.Argument(
            metavar="CONTENT", help="What to do: `!command` for the shell. `-` reads it from stdin."
        ),
    ],
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for the end, then print the result too.")
    ] = False,
    live: Annotated[
        bool, typer.Option("--follow", "-f", help="Print the task's output as it comes.")
    ] = False,
    skill: Annotated[str | None, typer.Option(help="Call this skill instead.")] = None,
    method: Annotated[str | None, typer.Option(help="Its method [default: run].")] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(metavar="K=V", help="A parameter; V is JSON, else text. May be repeated."),
    ] = None,
    priority: Annotated[int, typer.Option(min=0, max=10, help="10 runs first.")] = DEFAULT_PRIORITY,
    queue: Annotated[str, typer.Option(help="The queue to wait in.")] = "default",
    tag: Annotated[list[str] | None, typer.Option(help="A tag the node must have. May be repeated.")] = None,
    node: Annotated[str | None, typer.Option(help="This node only, by id or name.")] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="Only a node with a GPU.")] = False,
    local_fallback: Annotated[
        bool, typer.Option("--local-fallback", help="The engine's own node may run it when no other fits.")
    ] = False,
    retries: Annotated[
        int | None, typer.Option(min=0, help="How often to try again after a failure.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds one attempt may take.")] = None,
    engine: EngineUrl = None,
    token: Token = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Submit a task and print its id.

    By then it is on disk. With --follow, stdout is the task's output and the id goes to stderr. With --wait or --follow
    the exit code is 0 only when the task COMPLETED. Ctrl-C ends the following, not the task.

    \b
    Example:
      venom submit --follow '!for i in 1 2 3; do date; sleep 1; done'
      venom submit --skill FileSkill --method read_file --param path=a.txt get
    """
    request = _request(
        content=sys.stdin.read().removesuffix("\n") if content == "-" else content,
        skill=skill,
        method=method,
        parameters=parameters(param or []),
        priority=priority,
        queue=queue,
        requirements={"tags": tag or [], "gpu": gpu, "node": node, "local_fallback": local_fallback},
        max_retries=retries,
        timeout=timeout,
    )
    with errors_told(as_json=as_json):
        where = Where(engine, token, state_dir)
        code = run(_submitted(where, request, wait=wait, live=live, as_json=as_json))
    raise typer.Exit(code)


def parameters(pairs: list[str]) -> dict[str, JsonValue]:
    """`k=v` pairs: v as JSON where it is some, else as text."""
    found: dict[str, JsonValue] = {}
    for pair in pairs:
        name, mark, value = pair.partition("=")
        if not mark or not name:
            raise typer.BadParameter(f"{pair!r} is not K=V", param_hint="--param")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def print_chunk(chunk: OutputChunk, *, as_json: bool) -> None:
    """Output of a task: its stdout to ours, everything else to stderr."""
    if as_json:
        put_json(chunk)
    else:
        write(chunk.text, sys.stdout if chunk.stream == "stdout" else sys.stderr)


async def to_its_end(client: EngineClient, task_id: UUID, *, live: bool, as_json: bool) -> VenomTask:
    """Wait for a task, printing its output if `live`. Ctrl-C leaves the task alone, and says so."""
    try:
        if not live:
            return await wait_for(client, task_id)
        last = "\n"
        async with aclosing(follow(client, task_id)) as chunks:
            async for chunk in chunks:
                print_chunk(chunk, as_json=as_json)
                last = chunk.text
        if sys.stdout.isatty() and not last.endswith("\n"):
            put("")
        return await client.task(task_id)
    except asyncio.CancelledError:
        say(f"\nTask {task_id} goes on. To stop it: venom abort {task_id}")
        raise
    except EngineUnreachable:
        say(f"Task {task_id} is on disk. To look at it again: venom show {task_id}")
        raise


async def _submitted(where: Where, request: TaskRequest, *, wait: bool, live: bool, as_json: bool) -> int:
    async with reached(where) as client:
        reply = await client.submit(request)
        if live or (wait and as_json):
            say(f"task {reply.task_id}")
        elif as_json:
            put_json(reply)
        else:
            put(str(reply.task_id))
        if not (wait or live):
            return 0
        task = await to_its_end(client, reply.task_id, live=live, as_json=as_json)
    if as_json:
        put_json(task)
    elif not live and task.result is not None:
        put(result_text(task.result))
    say(ending(task))
    return 0 if task.status is TaskStatus.COMPLETED else REFUSED


def _request(**fields: object) -> TaskRequest:
    try:
        return TaskRequest.model_validate(fields)
    except ValidationError as error:
        raise misused(error) from None
