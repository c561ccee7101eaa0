"""The dialog for a new task: one line, an answer in place when it cannot be."""

from textual import work
from textual.widgets import Input

from venom_engine.protocol.errors import VenomError
from venom_tui.actions import Actions
from venom_tui.looks import Palette
from venom_tui.screens.prompt import Prompt


class NewTask(Prompt[str | None]):
    """Submits what is typed. The answer: the new task's id; None: nothing was submitted."""

    TITLE_TEXT = "New task"
    HINT = "!command runs a shell command, such as !uname -a. Other text goes to the default skill."

    def __init__(self, palette: Palette, actions: Actions) -> None:
        super().__init__(palette)
        self._actions = actions

    def on_input_changed(self, event: Input.Changed) -> None:
        self.say(self.HINT)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._submit(event.value)

    @work(exclusive=True)
    async def _submit(self, content: str) -> None:
        self.say("Submitting…")
        try:
            task_id = await self._actions.submit(content)
        except VenomError as error:
            self.say(str(error), wrong=True)
        else:
            self.dismiss(task_id)
