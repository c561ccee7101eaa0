"""The first picture, by raw escapes, before anything heavy is imported: a person sees it at once.

Owns: the terminal's settings until Textual takes over, and giving them back at the end. While the
block runs, what is typed is kept for Textual and not echoed.
"""

import os
import termios

_IN, _OUT = 0, 2  #: Where Textual reads and writes, too.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[H"
_LEAVE = "\x1b[?1049l\x1b[?25h"
_PLAIN = "\x1b[0m"


class Painted:
    """While the block runs the terminal is ours; then it is as it was."""

    def __init__(self, *, color: bool, ascii_only: bool) -> None:
        self._color, self._ascii_only = color, ascii_only
        self._before = termios.tcgetattr(_IN)

    def __enter__(self) -> "Painted":
        quiet = termios.tcgetattr(_IN)
        quiet[0] &= ~(termios.ICRNL | termios.IXON)
        quiet[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(_IN, termios.TCSANOW, quiet)
        width, height = os.get_terminal_size(_IN)
        _write(_ENTER + skeleton(width, height, color=self._color, ascii_only=self._ascii_only))
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            self.leave()
        _write(_PLAIN)
        termios.tcsetattr(_IN, termios.TCSANOW, self._before)

    def leave(self) -> None:
        """Show what was there before; for when Textual has not come to do so."""
        _write(_PLAIN + _LEAVE)


def skeleton(width: int, height: int, *, color: bool, ascii_only: bool) -> str:
    """Where the lines of the overview will stand."""
    ground = "\x1b[48;2;13;17;23m" if color else ""
    bar = "\x1b[48;2;22;27;34m\x1b[38;5;246m" if color else ""
    if width < 40 or height < 10:
        return f"{ground}\x1b[2J"
    rule = "-" if ascii_only else "─"
    lines = (
        (1, f"{bar}{' venom   connecting':<{width}}"),
        (3, f"{ground}{f'{rule} 1 Tasks ':{rule}<{width}}"),
        (height, f"{bar}{' ? keys  q quit':<{width - 1}}"),
    )
    text = "".join(f"\x1b[{y};1H{line}{_PLAIN}" for y, line in lines)
    return f"{ground}\x1b[2J{text}"


def _write(text: str) -> None:
    os.write(_OUT, text.encode())
