"""`venom watch`: events as they come, across restarts of the engine."""

import asyncio
from typing import Annotated

import typer

from venom_engine.cli.out import errors_told, put, put_json, say
from venom_engine.cli.reach import AsJson, EngineUrl, StateDir, Token, Where, reached, run
from venom_engine.cli.show import event_text
from venom_engine.protocol.errors import EngineUnreachable
from venom_engine.protocol.event import Event, EventType

_FIRST_DELAY, _LONGEST_DELAY = 0.25, 5.0


class Watch:
    """What was seen so far, so that the next connection goes on there."""

    def __init__(self, where: Where, *, after: int | None, output: bool, load: bool, as_json: bool) -> None:
        self._where = where
        self._seq = after
        self._output, self._load, self._json = output, load, as_json
        self._heard, self._delay = False, _FIRST_DELAY

    async def run(self) -> None:
        """Print events until interrupted. Raises when the engine cannot be reached the first time."""
        while True:
            try:
                await self._listen()
            except EngineUnreachable as error:
                if not self._heard:
                    raise
                if self._delay == _FIRST_DELAY:
                    say(f"{error.what} Trying again.")
            await asyncio.sleep(self._delay)
            self._delay = min(self._delay * 2, _LONGEST_DELAY)

    async def _listen(self) -> None:
        async with (
            reached(self._where) as client,
            client.watch(after=self._seq, output=self._output, load=self._load) as events,
        ):
            if self._heard:
                say("Connected again.")
            self._heard, self._delay = True, _FIRST_DELAY
            async for event in events:
                self._print(event)
                self._seq = event.seq or self._seq
                if event.type == EventType.GAP:
                    self._mind(event)

    def _mind(self, gap: Event) -> None:
        """A GAP that ends before what was seen: the engine's state is another one, and counts anew."""
        before = gap.data.get("before")
        if isinstance(before, int) and self._seq is not None and before < self._seq:
            self._seq = before

    def _print(self, event: Event) -> None:
        if self._json:
            put_json(event)
        else:
            put(event_text(event))


def watch(
    after: Annotated[
        int | None, typer.Option(min=0, help="First all that was stored after this number.")
    ] = None,
    output: Annotated[bool, typer.Option("--output", help="Also what tasks print.")] = False,
    load: Annotated[bool, typer.Option("--load", help="Also the nodes' load.")] = False,
    engine: EngineUrl = None,
    token: Token = None,
    state_dir: StateDir = None,
    as_json: AsJson = False,
) -> None:
    """Print events as they happen, until Ctrl-C.

    One line each, with --json one object each. When the engine restarts, it connects again and misses no stored event.

    \b
    Example:
      venom watch --json --after 0 | jq -r .message
    """
    listener = Watch(Where(engine, token, state_dir), after=after, output=output, load=load, as_json=as_json)
    with errors_told(as_json=as_json):
        run(listener.run())
