"""Notices that a block of screen lines only moved up or down, so that the terminal can move it itself."""

from collections.abc import Sequence
from dataclasses import dataclass

#: Fewer lines than this are cheaper to write again.
_LEAST_LINES = 3


@dataclass(frozen=True, slots=True)
class Shift:
    """Lines `top`..`bottom` (both included) moved by `by`: up when positive, down when negative."""

    top: int
    bottom: int
    by: int

    def codes(self) -> str:
        """What makes a terminal do it; the lines that come in are blank and plain."""
        region = f"\x1b[0m\x1b[{self.top + 1};{self.bottom + 1}r"
        if self.by > 0:
            return f"{region}\x1b[{self.bottom + 1};1H" + "\n" * self.by + "\x1b[r"
        return f"{region}\x1b[{self.top + 1};1H" + "\x1bM" * -self.by + "\x1b[r"


def find_shift(old: Sequence[str], new: Sequence[str]) -> Shift | None:
    """The shift that saves the most lines; None when writing the changes is cheaper.

    `old` and `new` are the texts of the same screen lines, before and after.
    """
    by = _most_voted(old, new)
    if by == 0:
        return None
    run = _longest_run(old, new, by)
    if run is None:
        return None
    first, last = run
    top, bottom = min(first, first + by), max(last, last + by)
    saved = sum(new[i] != old[i] for i in range(first, last + 1))
    spoilt = sum(new[i] == old[i] for i in range(top, bottom + 1) if not first <= i <= last)
    if saved < _LEAST_LINES or saved <= abs(by) + spoilt:
        return None
    return Shift(top, bottom, by)


def _most_voted(old: Sequence[str], new: Sequence[str]) -> int:
    where: dict[str, int] = {}
    for i, line in enumerate(old):
        where[line] = -1 if line in where else i
    votes: dict[int, int] = {}
    for i, line in enumerate(new):
        source = where.get(line, -1)
        if source >= 0 and line.strip():
            votes[source - i] = votes.get(source - i, 0) + 1
    return max(votes, key=lambda by: votes[by], default=0)


def _longest_run(old: Sequence[str], new: Sequence[str], by: int) -> tuple[int, int] | None:
    """First and last line of the longest block that moved, one stray line in between allowed."""
    best: tuple[int, int] | None = None
    start = last = -1
    for i in range(len(new)):
        if not 0 <= i + by < len(old) or new[i] != old[i + by]:
            continue
        start = i if last < 0 or i - last > 2 else start
        last = i
        if best is None or last - start > best[1] - best[0]:
            best = (start, last)
    if best is None:
        return None
    first, last = best
    # The row that had a cursor's mark moved too, though its text is not quite the same.
    return (
        first - _nearly_moved(old, new, first - 1, by),
        last + _nearly_moved(old, new, last + 1, by),
    )


def _nearly_moved(old: Sequence[str], new: Sequence[str], i: int, by: int) -> bool:
    if not (0 <= i < len(new) and 0 <= i + by < len(old)):
        return False
    before, after = old[i + by], new[i]
    same = sum(a == b for a, b in zip(before, after, strict=False))
    return bool(after.strip()) and same >= 0.9 * max(len(before), len(after))
