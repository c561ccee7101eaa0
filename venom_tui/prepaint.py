"""The first picture, by raw escapes, before anything heavy is imported: a person sees it at once.

Owns: the terminal's settings until Textual takes over, and giving them back at the end. While the
block runs, what is typed is kept for Textual and not echoed.
"""

import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

_ENTER = "\x1b[?1049h\x1b[?25l\x1b[H"
_LEAVE = "\x1b[?1049l\x1b[?25h\x1b[0m"


@contextmanager
def painted(engine: str, *, color: bool, ascii_only: bool) -> Iterator[None]:
    """Show the skeleton of the overview; put the terminal back as it was when the block ends."""
    stdin = sys.__stdin__.fileno() if sys.__stdin__ else 0
    before = termios.tcgetattr(stdin)
    quiet = termios.tcgetattr(stdin)
    quiet[0] &= ~(termios.ICRNL | termios.IXON)
    quiet[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(stdin, termios.TCSANOW, quiet)
    width, height = os.get_terminal_size(stdin)
    _write(_ENTER + skeleton(engine, width, height, color=color, ascii_only=ascii_only))
    try:
        yield
    except BaseException:
        _write(_LEAVE)
        raise
    finally:
        _write("\x1b[0m")
        termios.tcsetattr(stdin, termios.TCSANOW, before)


def skeleton(engine: str, width: int, height: int, *, color: bool, ascii_only: bool) -> str:
    """Where the lines of the overview will stand."""
    ground = "\x1b[48;2;13;17;23m" if color else ""
    bar = "\x1b[48;2;22;27;34m\x1b[38;2;139;148;158m" if color else ""
    rule = "-" if ascii_only else "─"
    lines = {
        0: f"{bar}{f' venom  {engine}  connecting'[:width]:<{width}}",
        2: f"{ground}{f'{rule} 1 Tasks '[:width]:{rule}<{width}}",
        height - 1: f"{bar}{' ? keys   q quit'[: width - 1]:<{width - 1}}",
    }
    if width < 40 or height < 10:
        return f"{ground}\x1b[2J"
    text = "".join(f"\x1b[{y + 1};1H{line}\x1b[0m" for y, line in sorted(lines.items()))
    return f"{ground}\x1b[2J{text}"


def _write(text: str) -> None:
    stream = sys.__stderr__.fileno() if sys.__stderr__ else 2
    os.write(stream, text.encode())
