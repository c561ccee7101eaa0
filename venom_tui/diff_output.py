"""Sends the terminal only the cells that changed, where Textual would send whole regions again.

Mixed into the App before `App` itself; overrides the private hook `App._display`, which is why the
version of Textual is bounded and tests/console/test_diff_output.py compares with full repaints.
While the terminal is slow to take what was sent, pictures are put together and not queued.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.segment import Segment
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.app import App
from textual.geometry import Offset
from textual.screen import Screen

from venom_tui.cell_screen import CellScreen
from venom_tui.sgr import Looks

if TYPE_CHECKING:
    _Base = App[Any]
else:
    _Base = object

#: Writes that the terminal has not taken yet; past this, wait.
_BACKLOG = 2
_RETRY_SECONDS = 0.03
#: Less than this arrives in one piece, so it needs no brackets of "do not draw yet".
_ONE_PACKET = 1_000


class DiffOutput(_Base):
    """A Textual app whose output is the difference to what the terminal shows."""

    ascii_only: bool = False
    colorless: bool = False
    _cells: CellScreen | None = None
    _cursor_sent: Offset | None = None
    _retrying: bool = False

    def repaint_everything(self) -> None:
        """Send the whole picture: something else has written to the terminal."""
        self._cells = None
        self.screen.refresh(layout=True)

    def _display(self, screen: Screen[Any], renderable: RenderableType | None) -> None:
        if renderable is None or self._batch_count:
            return super()._display(screen, renderable)
        if not isinstance(renderable, (LayoutUpdate, ChopsUpdate)) or not self._on_a_terminal():
            self._cells = None  # Somebody else draws: what is shown is no longer known.
            return super()._display(screen, renderable)
        try:
            self._paint(renderable)
            self._send()
        finally:
            self.post_display_hook()

    def _suspend_signal(self) -> None:
        self._cells = None
        if self._driver is not None:
            self._driver.write("\x1b[0m")
        super()._suspend_signal()

    def _resume_signal(self) -> None:
        self._cells = None
        super()._resume_signal()

    def _on_a_terminal(self) -> bool:
        driver = self._driver
        return bool(
            self._running and not self._closed and not self.is_headless and driver and not driver.is_inline
        )

    def _paint(self, update: LayoutUpdate | ChopsUpdate) -> None:
        width, height = self.size
        cells = self._cells
        if cells is None or (cells.width, cells.height) != (width, height):
            looks = Looks(None if self.colorless else self.console._color_system)
            cells = self._cells = CellScreen(width, height, looks, ascii_only=self.ascii_only)
            self._cursor_sent = None
            if not (isinstance(update, LayoutUpdate) and update.region.size == self.size):
                # A part of a picture that is not there: ask for all of it.
                self.call_next(self.screen.refresh, layout=True)
        for y, x, segments in pieces(update):
            cells.paint(y, x, segments)

    def _send(self) -> None:
        driver, cells = self._driver, self._cells
        if driver is None or cells is None:
            return
        if self._backlog() > _BACKLOG:
            if not self._retrying:
                self._retrying = True
                self.set_timer(_RETRY_SECONDS, self._send_again)
            return
        out = cells.flush()
        cursor = self.screen.outer_size.clamp_offset(self.cursor_position)
        self._previous_cursor_position = cursor
        if cursor != self._cursor_sent or (out and cursor):  # It is hidden; only a line to type in places it.
            self._cursor_sent = cursor
            out += f"\x1b[{cursor.y + 1};{cursor.x + 1}H"
        if len(out) > _ONE_PACKET:
            self._begin_update()
            driver.write(out)
            self._end_update()
        elif out:
            driver.write(out)

    def _send_again(self) -> None:
        self._retrying = False
        self._send()

    def _backlog(self) -> int:
        writer = getattr(self._driver, "_writer_thread", None)
        return writer._queue.qsize() if writer else 0


def pieces(update: LayoutUpdate | ChopsUpdate) -> Iterator[tuple[int, int, list[Segment]]]:
    """Line, column and segments of everything that an update draws."""
    if isinstance(update, LayoutUpdate):
        for y, line in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in line:
                yield y, x, strip._segments
                x += strip.cell_length
        return
    for y, first, last in update.spans:
        for end, (x, piece) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
            if piece is None or x > last or end <= first:
                continue
            if end > last:
                piece = piece.crop(0, last - x)
            yield y, x, piece._segments
