"""What the operator does to the engine from the keyboard: each key asks if it must, acts, says what came of it.

Owns: the questions and the toasts. Asks: `actions` to act. Dialogs are imported when they are first
opened: what the first paint does not need must not delay it.
"""

import time
from collections.abc import Awaitable
from typing import Literal

from textual import on, work
from textual.app import App

from venom_engine.protocol.errors import VenomError
from venom_engine.protocol.text import inert
from venom_tui import looks
from venom_tui.actions import Actions
from venom_tui.board import Board
from venom_tui.cells import counted, short_id, state
from venom_tui.door import Door
from venom_tui.feed import Feed
from venom_tui.messages import AbortAsked
from venom_tui.options import Options
from venom_tui.screens.main import Main

_TOAST_SECONDS = 6.0
Severity = Literal["information", "warning", "error"]


class Controls(App[None], inherit_bindings=False):
    """An app that can steer an engine."""

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.options = options
        self.palette = looks.MONO if options.colorless else looks.COLOR
        self.board = Board()
        self.door = Door(options)
        self.board.engine = self.door.label
        self.feed = Feed(self.board, self.door, slow=options.slow_link)
        self.actions = Actions(self.feed, self.door, read_only=options.read_only)
        self.main = Main(self.board, self.palette, read_only=options.read_only)
        self._said: dict[str, float] = {}

    @on(AbortAsked)
    @work(exclusive=True, group="dialog")
    async def _abort(self, message: AbortAsked) -> None:
        row = message.row
        if row.is_final:
            self.say(f"Task {short_id(row.id)} has ended already: {state(row.status)[2:]}.", "warning")
        elif self._may_act():
            if row.status == "PROCESSING":
                where = self.board.node_name(row.node_id)
                effect = f"It runs on {where}. It and every process that it started will be killed."
            else:
                effect = "It waits in the queue. It will not start."
            question = f"Abort task {short_id(row.id)}?  {row.content}"[:200]
            if await self.sure(question, effect, yes="Abort it"):
                await self._do(self.actions.abort(row.id))

    @work(exclusive=True, group="dialog")
    async def action_new_task(self) -> None:
        from venom_tui.screens.new_task import NewTask

        if not self._may_act(connected=False):  # what is typed is kept until there is an engine
            return
        task_id = await self.push_screen_wait(NewTask(self.palette, self.actions))
        if task_id is not None:
            if self.board.filter:
                self.say(f"Submitted task {short_id(task_id)}. The filter may hide it.")
            else:
                self.main.tasks.pin(task_id)
            self.feed.refresh()

    @work(exclusive=True, group="pause")
    async def action_toggle_pause(self) -> None:
        await self._do(self.actions.toggle_pause())

    @work(exclusive=True, group="dialog")
    async def action_purge(self) -> None:
        if not self._may_act():
            return
        waiting = self.board.queue.pending if self.board.queue else 0
        if not waiting:
            self.say("Nothing waits in the queue.")
            return
        what = counted(waiting, "waiting task")
        effect = f"{what} will be aborted and will never start. Running tasks go on."
        if await self.sure(f"Purge the queue: abort {what}?", effect, yes="Purge"):
            await self._do(self.actions.purge())

    def action_emergency_stop(self) -> None:
        from venom_tui.screens.stop import EmergencyStop

        if self.options.read_only:
            self._may_act()
        elif not any(isinstance(screen, EmergencyStop) for screen in self.screen_stack):
            self.push_screen(EmergencyStop(self.palette, self.board, self.actions))

    # -- helpers

    def _may_act(self, *, connected: bool = True) -> bool:
        try:
            self.actions.allowed(connected=connected)
        except VenomError as error:
            self._say_no(error)
            return False
        return True

    async def sure(self, question: str, effect: str, *, yes: str) -> bool:
        """Ask. False, unless the operator says yes."""
        from venom_tui.screens.confirm import Confirm

        return await self.push_screen_wait(Confirm(self.palette, question, effect=effect, yes=yes))

    async def _do(self, action: Awaitable[str]) -> None:
        try:
            self.say(await action)
        except VenomError as error:
            self._say_no(error)
        self.feed.refresh()

    def _say_no(self, error: VenomError) -> None:
        self.say(str(error), "error")

    def say(self, text: str, severity: Severity = "information") -> None:
        """A toast. What still stands on the screen is not said again."""
        now = time.monotonic()
        if now - self._said.get(text, -_TOAST_SECONDS) >= _TOAST_SECONDS:
            self._said = {text: now}
            self.notify(inert(text), severity=severity, timeout=_TOAST_SECONDS, markup=False)
