"""The console as a Textual app: owns the screens and the doors between them, and keeps no state of its own.

`feed` fills the board, screens draw it, `controls` act. Pages are imported when they are first opened:
what the first paint does not need must not delay it.
"""

import asyncio
import gc
import signal
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import events, on, work
from textual.binding import BindingType
from textual.geometry import Size
from textual.screen import Screen
from textual.theme import Theme
from textual.worker import Worker, WorkerCancelled

from venom_engine.protocol.errors import VenomError
from venom_engine.protocol.text import inert
from venom_tui import looks
from venom_tui.board import Connection, Filter, Topic
from venom_tui.cells import counted
from venom_tui.controls import Controls
from venom_tui.diff_output import DiffOutput
from venom_tui.keys import Where, bindings
from venom_tui.messages import BoardChanged
from venom_tui.options import Options
from venom_tui.pace import Pace
from venom_tui.screens.main import Main
from venom_tui.screens.too_small import TooSmall, is_too_small
from venom_tui.widgets.task_list import TaskList

#: Seconds between two paints of the same thing, and on a slow link.
_PAINT = {Topic.STATUS: 0.1, Topic.TASKS: 0.25, Topic.LOG: 0.2, Topic.NODES: 0.5}
_PAINT_SLOWLY = {Topic.STATUS: 1.0, Topic.TASKS: 1.0, Topic.LOG: 1.0, Topic.NODES: 3.0}

THEME = Theme(
    name="venom",
    primary=looks.BLUE,
    secondary=looks.CYAN,
    accent=looks.VIOLET,
    foreground=looks.TEXT,
    background=looks.GROUND,
    surface=looks.GROUND,
    panel=looks.PANEL,
    success=looks.GREEN,
    warning=looks.YELLOW,
    error=looks.RED,
    dark=True,
)


class Console(DiffOutput, Controls, inherit_bindings=False):
    """The operator's console."""

    TITLE = "venom"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [*bindings(Where.ANYWHERE)]

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.animation_level = "none"
        self.ascii_only, self.colorless = options.ascii_only, options.colorless
        seconds = _PAINT_SLOWLY if options.slow_link else _PAINT
        self._paces = {topic: Pace(seconds[topic], partial(self._paint_topic, topic)) for topic in Topic}
        self.feed.tell = self._changed
        self._feeding: Worker[None] | None = None
        self._trouble_told = False
        self.register_theme(THEME)
        self.theme = THEME.name

    def get_default_screen(self) -> Screen[Any]:
        return self.main

    def on_mount(self) -> None:
        self.call_after_refresh(self._start)
        self.set_interval(1.0, self._tick)
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self.exit)

    def on_resize(self, event: events.Resize) -> None:
        """A terminal that is too small says so, and goes on where it was once it has grown."""
        if self._feeding is not None:
            self._fit(event.size)

    def _fit(self, size: Size) -> None:
        if is_too_small(size) != isinstance(self.screen, TooSmall):
            self.pop_screen() if isinstance(self.screen, TooSmall) else self.push_screen(TooSmall())

    def _start(self) -> None:
        self._fit(self.size)
        gc.freeze()
        gc.enable()
        self._feeding = self.run_worker(self.feed.run(), name="feed")

    # -- the board has changed

    def _changed(self, topic: Topic) -> None:
        self._paces[topic].want()

    def _paint_topic(self, topic: Topic) -> None:
        if topic is Topic.STATUS:
            self._tell_trouble()
        for screen in self.screen_stack:
            screen.post_message(BoardChanged(topic))

    def _tell_trouble(self) -> None:
        """Say once why there is no connection; the status line says that there is none."""
        lost = self.board.connection in (Connection.LOST, Connection.REFUSED)
        if lost and not self._trouble_told:
            self.say(self.board.trouble, "warning")
        self._trouble_told = lost

    def _tick(self) -> None:
        for screen in self.screen_stack:
            tick = getattr(screen, "tick", None)
            if tick is not None:
                tick()

    # -- what the overview asks for

    def on_task_list_selected(self, message: TaskList.Selected) -> None:
        self.feed.select(message.task_id)

    def on_task_list_looking(self, message: TaskList.Looking) -> None:
        self.feed.look_at(message.first, message.count)

    @on(Main.DetailAsked)
    def _open_detail(self) -> None:
        from venom_tui.screens.task_page import TaskPage

        task_id = self.main.tasks.hold()
        if task_id:
            self.push_screen(TaskPage(self.board, self.palette, task_id, read_only=self.options.read_only))

    @on(Main.FilterAsked)
    @work(exclusive=True, group="dialog")
    async def _filter(self, message: Main.FilterAsked) -> None:
        from venom_tui.screens.filter import FilterPrompt

        before = self.board.filter
        if message.chosen is not None:
            self._look(message.chosen.status, message.chosen.text)
        else:
            text = await self.push_screen_wait(FilterPrompt(self.palette, value=before.text))
            self._look(before.status, before.text if text is None else text)

    def on_filter_prompt_typed(self, message: Any) -> None:
        self._look(self.board.filter.status, message.text)

    def _look(self, status: str, text: str) -> None:
        chosen = Filter(status, text.strip())
        if chosen != self.board.filter:
            self.feed.filter(chosen)
            self.main.tasks.to_first()

    # -- keys

    def action_help(self) -> None:
        from venom_tui.screens.help import Help

        if not isinstance(self.screen, Help):
            self.push_screen(Help(self.board, self.palette))

    def action_repaint(self) -> None:
        self.repaint_everything()

    def action_leave(self) -> None:
        """Quit from the overview, go back from anywhere else."""
        if self.screen is self.main or isinstance(self.screen, TooSmall):
            self.action_ask_quit()
        else:
            self.pop_screen()

    @work(exclusive=True, group="quit")
    async def action_ask_quit(self) -> None:
        from venom_tui.screens.leave import Leave

        goes_on: bool | None = True
        if isinstance(self.screen, Leave) or not self.is_running:
            pass  # ctrl+c again: leave, and leave the engine alone.
        elif self.door.started_one:
            goes_on = await self.push_screen_wait(Leave(self.palette, self.board))
        elif self.options.in_process and self.board.queue and self.board.queue.processing:
            running = counted(self.board.queue.processing, "running task")
            effect = f"The engine is inside this console. {running} go back to the queue for the next start."
            goes_on = True if await self.sure("Quit, and stop the engine?", effect, yes="Quit") else None
        if goes_on is not None:
            await self._leave(stop_engine=not goes_on)

    async def disconnect(self) -> None:
        """End the feed; an engine inside this console has ended when this returns."""
        if self._feeding is not None:
            self._feeding.cancel()
            with suppress(WorkerCancelled):
                await self._feeding.wait()

    async def _leave(self, *, stop_engine: bool) -> None:
        if stop_engine or self.options.in_process:
            self.say("Stopping the engine…")
        await self.disconnect()
        if stop_engine:
            try:
                await self.door.stop_started()
            except VenomError as error:
                self.exit(message=inert(str(error)))
                return
        self.exit()
