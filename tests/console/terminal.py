"""A terminal to run the console in: a real pty, and an emulator that shows what a person would see."""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pyte

from tests.processes import REPO, clean_environment

WAIT_SECONDS = 40
#: What the emulator does not know and would print.
_UNKNOWN = re.compile(rb"\x1b\[[<=>][0-9;:]*[a-z]|\x1b\[\??[0-9;]*\$[a-z]|\x1b\[\?[0-9;]*u")
_PARTIAL = re.compile(rb"\x1b(?:\[[0-9;:<=>?]*)?$")

Cell = tuple[str, str, str, bool, bool]


class Terminal:
    """`python -m venom_tui` with these arguments, on a terminal of its own."""

    def __init__(self, *arguments: str, size: tuple[int, int], env: dict[str, str]) -> None:
        width, height = size
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.Stream(self.screen)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._rest = b""
        self.sent = b""
        self._ours, theirs = pty.openpty()
        self._set_size(width, height)
        self.settings = termios.tcgetattr(theirs)
        self._theirs = theirs
        self.process = subprocess.Popen(
            [sys.executable, "-m", "venom_tui", *arguments],
            cwd=REPO,
            env={**clean_environment(), "TERM": "xterm-256color", "COLORTERM": "truecolor", **env},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            preexec_fn=lambda: os.login_tty(theirs),
        )

    @property
    def text(self) -> str:
        """What a person reads."""
        return "\n".join(self.screen.display)

    def cells(self) -> list[list[Cell]]:
        """Every cell with its colours."""
        return [
            [
                (cell.data, cell.fg, cell.bg, cell.bold, cell.reverse)
                for cell in (self.screen.buffer[y][x] for x in range(self.screen.columns))
            ]
            for y in range(self.screen.lines)
        ]

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def resize(self, width: int, height: int) -> None:
        self._set_size(width, height)
        self.screen.resize(height, width)

    def spoil(self) -> None:
        """Write over the screen, as another program on the same terminal would."""
        self._stream.feed("\x1b[5;1H\x1b[41m" + "somebody else was here " * 40)

    def until(self, holds: "str | Callable[[], bool]") -> None:
        """Wait until the words are on the screen, or something else is true."""
        end = time.monotonic() + WAIT_SECONDS
        while not (holds in self.text if isinstance(holds, str) else holds()):
            if time.monotonic() > end:
                raise AssertionError(f"{holds!r} did not come true; the terminal showed:\n{self.text}")
            self.read(0.05)

    def until_still(self) -> None:
        """Wait until nothing has been sent for a while."""
        while self.read(0.4):
            pass

    def read(self, seconds: float) -> bool:
        """Take what is sent within this time. False: nothing."""
        ready, _, _ = select.select([self._ours], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:
            return False
        self.sent += data
        data = _UNKNOWN.sub(b"", self._rest + data)
        partial = _PARTIAL.search(data)
        self._rest = partial[0] if partial else b""
        self._stream.feed(self._decode(data[: len(data) - len(self._rest)]))
        return bool(data)

    def wait(self) -> int:
        """Wait until the console has ended. The exit code."""
        self.until(lambda: self.process.poll() is not None)
        self.read(0.1)
        code = self.process.returncode
        assert code is not None
        return code

    def is_restored(self) -> bool:
        """Whether the terminal is as it was, settings and screen."""
        left = self.sent.rfind(b"\x1b[?1049l") > self.sent.rfind(b"\x1b[?1049h")
        shown = self.sent.rfind(b"\x1b[?25h") > self.sent.rfind(b"\x1b[?25l")
        return left and shown and termios.tcgetattr(self._theirs) == self.settings

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.wait()
            except AssertionError:
                self.process.kill()
                self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def _set_size(self, width: int, height: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


@contextmanager
def terminal(*arguments: str, size: tuple[int, int] = (120, 40), **env: str) -> Iterator[Terminal]:
    """The console in a terminal; whatever happens, it ends with the block."""
    opened = Terminal(*arguments, size=size, env={"LANG": "C.UTF-8", "LC_ALL": "", **env})
    try:
        yield opened
    finally:
        opened.close()
