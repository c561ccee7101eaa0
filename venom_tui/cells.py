"""Words and bars for the panes: plain functions from data to text of a known width."""

import time

from rich.cells import cell_len, chop_cells, set_cell_size

STATES = {
    "PENDING": "P pending",
    "PROCESSING": "R running",
    "COMPLETED": "D done",
    "FAILED": "F failed",
    "ABORTED": "A aborted",
}
_BLOCKS = " ▏▎▍▌▋▊▉"


def fitted(text: str, width: int) -> str:
    """Exactly `width` cells; a text that is cut says so."""
    cells = cell_len(text)
    if cells <= width:
        return text + " " * (width - cells)
    return f"{set_cell_size(text, width - 1)}…" if width > 1 else set_cell_size(text, width)


def state(status: str) -> str:
    """A task's state: letter and word."""
    return STATES.get(status, f"? {status.lower()}")


def clock(at: float) -> str:
    """The time of day, local."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def moment(at: float, now: float) -> str:
    """When something happened, in eight characters: the time today, the day before that."""
    there, here = time.localtime(at), time.localtime(now)
    if there[:3] == here[:3]:
        return time.strftime("%H:%M:%S", there)
    return time.strftime("%b %d" if there.tm_year == here.tm_year else "%Y-%m", there).ljust(8)


def span(seconds: float) -> str:
    """A length of time in at most five characters."""
    if seconds < 0.95:
        return f"{max(0, seconds) * 1000:.0f}ms"
    if seconds < 59.5:
        return f"{seconds:.1f}s" if seconds < 9.95 else f"{seconds:.0f}s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes}m" if minutes > 9 else f"{int(seconds) // 60}m{int(seconds) % 60:02d}"
    hours = round(seconds / 3600)
    return f"{hours}h" if hours < 100 else f"{round(seconds / 86400)}d"


def running_span(seconds: float) -> str:
    """The same for something that still goes on: whole seconds, so that it changes once a second."""
    return f"{max(0, int(seconds))}s" if seconds < 60 else span(int(seconds))


def bar(share: float, width: int) -> str:
    """A bar of `width` characters, filled in eighths."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    full, rest = divmod(eighths, 8)
    text = "█" * full + (_BLOCKS[rest] if rest else "")
    return text.ljust(width, "·")


def percent(share: float) -> str:
    """A share in four characters."""
    return f"{round(max(0.0, min(1.0, share)) * 100):3d}%"


def heat(share: float) -> str:
    """A share as one digit, 0 to 9."""
    return str(min(9, int(max(0.0, share) * 10)))


def count(number: int) -> str:
    """A number that can be read: 1,204."""
    return f"{number:,}"


def counted(number: int, noun: str, nouns: str | None = None) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number:,} {noun if number == 1 else nouns or noun + 's'}"


def short_id(task_id: str) -> str:
    """The last eight characters of an id: its front is the time, the same for all tasks of a minute."""
    return task_id[-8:]


def cut(text: str, width: int) -> list[str]:
    """The text in pieces of at most `width` cells, wherever they end."""
    width = max(8, width)
    if text.isascii():
        return [text[i : i + width] for i in range(0, len(text), width)] or [""]
    return chop_cells(text, width) or [""]


def wrapped(text: str, width: int) -> list[str]:
    """Sentences in lines of at most `width` cells, cut between words where that can be."""
    lines: list[str] = []
    for word in text.split():
        if lines and cell_len(lines[-1]) + 1 + cell_len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines += cut(word, width)
    return lines or [""]
