"""The queue on one line: its counts, and the keys that steer it."""

from textual.strip import Strip

from venom_tui.cells import count
from venom_tui.widgets.pane import Pane, Part


class QueueBar(Pane):
    """How much waits, runs and has ended."""

    NUMBER, NAME = "3", "Queue"
    HEAD_LINES = 0
    DEFAULT_CSS = "QueueBar { height: 1; }"

    def show(self) -> None:
        """The board has changed."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, palette, queue = self.size.width, self.palette, self.board.queue
        name = palette.title if self.has_focus else palette.title_off
        parts: list[Part] = [(f" {self.NUMBER} {self.NAME}  ", name)]
        if queue is None:
            return self.line(*parts)
        limit = f" of {queue.limit}" if queue.limit else ""
        for number, word, style in (
            (queue.pending, "waiting", palette.warn if queue.paused and queue.pending else palette.text),
            (queue.processing, f"running{limit}", palette.busy),
            (queue.completed, "done", palette.good),
            (queue.failed, "failed", palette.bad),
            (queue.aborted, "aborted", palette.off),
        ):
            parts += [
                (f" {count(number)}", style if number else palette.second),
                (f" {word} ", palette.second),
            ]
        keys: list[Part] = []
        for key, word in (("p", "resume" if queue.paused else "pause"), ("P", "purge"), ("!", "STOP ALL")):
            keys += [(f" {key}", palette.key), (f" {word} ", palette.second)]
        room = width - sum(len(text) for text, _ in (*parts, *keys))
        return self.line(*parts, (" " * room, palette.text), *keys) if room > 0 else self.line(*parts)
