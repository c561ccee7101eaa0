"""The emergency stop: says what it will do, takes the word `stop`, and shows what came of it.

Has a connection of its own, so it works while everything else is slow.
"""

from rich.text import Text
from textual import events, work
from textual.widgets import Input, Static

from venom_engine.protocol.errors import VenomError
from venom_tui.actions import Actions
from venom_tui.board import Board
from venom_tui.cells import counted
from venom_tui.looks import Palette
from venom_tui.messages import BoardChanged
from venom_tui.screens.prompt import Prompt, TypedLine

WORD = "stop"


class EmergencyStop(Prompt[None]):
    """Type the word. It stays open until the operator has read the outcome."""

    TITLE_TEXT = "EMERGENCY STOP"
    BOX = "box danger"
    MAX_LENGTH = 20
    LINE = TypedLine

    def __init__(self, palette: Palette, board: Board, actions: Actions) -> None:
        super().__init__(palette)
        self._board, self._actions = board, actions
        self._done = False

    def on_mount(self) -> None:
        self._say_effect()

    def on_board_changed(self, message: BoardChanged) -> None:
        if not self._done:
            self._say_effect()

    def on_key(self, event: events.Key) -> None:
        if self._done and event.key in ("enter", "escape", "q"):
            event.prevent_default()
            event.stop()
            self.dismiss(None)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if self.is_type_ahead:  # Nobody types the word as fast as that: it was pasted.
            self.line.clear()
        elif event.value.strip().lower() == WORD:
            self._stop()
        else:
            self.say(
                f"Type the word `{WORD}` and press enter, or press esc to leave everything as it is.",
                wrong=True,
            )

    @work(exclusive=True)
    async def _stop(self) -> None:
        self.say("Stopping…")
        try:
            reply = await self._actions.emergency_stop()
        except VenomError as error:
            self.say(f"NOT STOPPED. {error}", wrong=True)
            return
        self._done = True
        self.line.display = False
        self.query_one("#title", Static).update(Text(reply.message, style=self.palette.bad))
        self.say("enter closes this. Then p lets the queue run again.")

    def _say_effect(self) -> None:
        queue = self._board.queue
        running = counted(queue.processing, "running task") if queue else "every running task"
        waiting = counted(queue.pending, "waiting task") if queue else "every waiting task"
        effect = f"Kills {running} on all nodes, aborts {waiting}, and lets nothing start until you resume."
        text = Text.assemble(
            (f"{self.TITLE_TEXT}\n\n", self.palette.bad),
            (f"{effect}\n\n", self.palette.text),
            (f"Type {WORD} and press enter:", self.palette.second),
        )
        self.query_one("#title", Static).update(text)
