"""A picture of the terminal, cell by cell: what it should show, what it shows, and the bytes in between.

Owns: both pictures. Pure: no terminal and no Textual here, so that a test can compare it with one.
Never: trusts the width of emoji and combined characters; where they stand, the line is written whole
and the cursor is placed anew behind each of them.
"""

import re
from collections.abc import Iterable, Iterator

from rich.cells import cell_len, split_graphemes
from rich.segment import Segment

from venom_tui.ascii import to_ascii
from venom_tui.scroll_region import Shift, find_shift
from venom_tui.sgr import Look, Looks, change

#: Up to this many unchanged cells are written again rather than jumped over.
_GAP = 4
#: Characters that are one cell wide and never combine: what nearly all text is made of.
_NARROW = re.compile("[ -~\u00a0-\u00ac\u00ae-\u02ff\u0391-\u0482\u2010-\u2027\u2190-\u2193\u2500-\u25fc]*")
#: From here on terminals and tables disagree about widths.
_FIRST_EMOJI = 0x1F000


class CellScreen:
    """`paint` what should be seen, as often as you like; `flush` gives what to send."""

    def __init__(self, width: int, height: int, looks: Looks, *, ascii_only: bool = False) -> None:
        self.width, self.height = width, height
        self._looks, self._ascii = looks, ascii_only
        self._chars = [[" "] * width for _ in range(height)]
        self._look = [[looks.plain] * width for _ in range(height)]
        self._shown_chars: list[list[str]] = []
        self._shown_look: list[list[Look | None]] = []
        self._touched: set[int] = set()
        self._odd: set[int] = set()  #: Lines with a cell that is not exactly one narrow character.
        self.forget()

    def forget(self) -> None:
        """Nobody knows what the terminal shows: the next flush sends everything."""
        self._shown_chars = [[""] * self.width for _ in range(self.height)]
        self._shown_look = [[None] * self.width for _ in range(self.height)]
        self._worn: Look | None = None  #: How the next character would look.
        self._touched.update(range(self.height))

    def paint(self, y: int, x: int, segments: Iterable[Segment]) -> None:
        """What should be seen on line `y` from column `x` on."""
        if not 0 <= y < self.height:
            return
        self._touched.add(y)
        chars, looks = self._chars[y], self._look[y]
        for text, style, control in segments:
            if control or x >= self.width:
                continue
            look = self._looks.of(style)
            if _NARROW.fullmatch(text):
                text = (to_ascii(text) if self._ascii else text)[: self.width - x]
                end = x + len(text)
                chars[x:end] = text
                looks[x:end] = [look] * len(text)
                x = end
            else:
                self._odd.add(y)
                x = self._paint_odd(chars, looks, x, text, look)

    def flush(self) -> str:
        """What makes the terminal show the picture; empty when it does."""
        rows = [y for y in sorted(self._touched) if self._differs(y)]
        self._touched.clear()
        if not rows:
            return ""
        writer = _Writer(self._looks.plain, self._worn)
        shift = self._shift(rows)
        if shift:
            self._apply(shift)
            writer.shifted(shift)
            rows = [y for y in sorted({*rows, *range(shift.top, shift.bottom + 1)}) if self._differs(y)]
        for y in rows:
            self._write_row(y, writer)
            self._shown_chars[y] = self._chars[y][:]
            self._shown_look[y] = list(self._look[y])
        self._worn = writer.worn
        return writer.sent

    def _paint_odd(self, chars: list[str], looks: list[Look], x: int, text: str, look: Look) -> int:
        for start, end, width in split_graphemes(text)[0]:
            char = text[start:end]
            if width == 0:
                base = x - 2 if x > 1 and chars[x - 1] == "" else x - 1
                if base >= 0 and not self._ascii:
                    chars[base] += char
                continue
            if x + width > self.width:
                break
            if self._ascii:
                chars[x : x + width] = to_ascii(char)[0] * width
            else:
                chars[x : x + width] = [char, *[""] * (width - 1)]
            looks[x : x + width] = [look] * width
            x += width
        return x

    def _differs(self, y: int) -> bool:
        if y in self._odd:
            self._mend(self._chars[y])
        return self._chars[y] != self._shown_chars[y] or self._look[y] != self._shown_look[y]

    @staticmethod
    def _mend(chars: list[str]) -> None:
        """Half of a wide character that something else was painted over becomes a blank."""
        for x, char in enumerate(chars):
            if char == "":
                halved = x == 0 or cell_len(chars[x - 1]) != 2
            else:
                halved = cell_len(char) == 2 and (x + 1 == len(chars) or chars[x + 1] != "")
            if halved:
                chars[x] = " "

    def _shift(self, rows: list[int]) -> Shift | None:
        if len(rows) < 4:
            return None
        top, bottom = rows[0], rows[-1]
        old = ["".join(self._shown_chars[y]) for y in range(top, bottom + 1)]
        new = ["".join(self._chars[y]) for y in range(top, bottom + 1)]
        found = find_shift(old, new)
        return Shift(top + found.top, top + found.bottom, found.by) if found else None

    def _apply(self, shift: Shift) -> None:
        """What the terminal shows once it has moved its lines."""
        block = slice(shift.top, shift.bottom + 1)
        blank_chars = [[" "] * self.width for _ in range(abs(shift.by))]
        blank_look: list[list[Look | None]] = [[self._looks.plain] * self.width for _ in range(abs(shift.by))]
        chars, looks = self._shown_chars[block], self._shown_look[block]
        if shift.by > 0:
            chars, looks = chars[shift.by :] + blank_chars, looks[shift.by :] + blank_look
        else:
            chars, looks = blank_chars + chars[: shift.by], blank_look + looks[: shift.by]
        self._shown_chars[block], self._shown_look[block] = chars, looks
        # Odd lines moved with the rest; which ones is not worth keeping.
        if self._odd:
            self._odd.update(range(shift.top, shift.bottom + 1))

    def _write_row(self, y: int, writer: "_Writer") -> None:
        chars, looks = self._chars[y], self._look[y]
        if y not in self._odd:
            for start, end in self._runs(y):
                writer.write(y, start, end, chars, looks)
            return
        writer.write_odd(y, chars, looks)
        if all(len(char) == 1 for char in chars):
            self._odd.discard(y)

    def _runs(self, y: int) -> Iterator[tuple[int, int]]:
        """Stretches of a line that changed, close ones joined."""
        chars, looks = self._chars[y], self._look[y]
        old_chars, old_looks = self._shown_chars[y], self._shown_look[y]
        start = end = -1
        for x in range(self.width):
            if chars[x] == old_chars[x] and looks[x] is old_looks[x]:
                continue
            if start >= 0 and x - end > _GAP:
                yield start, end
                start = x
            elif start < 0:
                start = x
            end = x + 1
        if start >= 0:
            yield start, end


class _Writer:
    """Collects what to send, and knows where the terminal's cursor and colours stand."""

    def __init__(self, plain: Look, worn: Look | None) -> None:
        self._out: list[str] = []
        self._plain, self.worn = plain, worn
        self._x = self._y = -1  #: Unknown.

    def shifted(self, shift: Shift) -> None:
        self._out.append(shift.codes())
        self.worn = self._plain

    def write(self, y: int, start: int, end: int, chars: list[str], looks: list[Look]) -> None:
        """Cells `start`..`end` of a line of narrow characters."""
        self._go(y, start)
        x = start
        while x < end:
            look = looks[x]
            stop = x + 1
            while stop < end and looks[stop] is look:
                stop += 1
            self._wear(look)
            self._out.append("".join(chars[x:stop]))
            x = stop
        self._x, self._y = end, y
        if end >= len(chars):
            self._x = -1  # Terminals disagree about where the cursor is behind the last column.

    def write_odd(self, y: int, chars: list[str], looks: list[Look]) -> None:
        """A whole line, with the cursor placed anew behind every cell of doubtful width."""
        self._x = -1
        for x, char in enumerate(chars):
            if char == "":
                continue
            self._go(y, x)
            self._wear(looks[x])
            if _is_doubtful(char):
                wide = x + 1 < len(chars) and chars[x + 1] == ""
                self._out.append(("  " if wide else " ") + f"\x1b[{y + 1};{x + 1}H{char}")
                self._x = -1
            else:
                self._out.append(char)
                self._x = x + (2 if x + 1 < len(chars) and chars[x + 1] == "" else 1)
                self._y = y
        self._x = -1

    @property
    def sent(self) -> str:
        return "".join(self._out)

    def _go(self, y: int, x: int) -> None:
        if self._x < 0 or self._y != y or x < self._x:
            self._out.append(f"\x1b[{y + 1};{x + 1}H")
        elif x > self._x:
            self._out.append(f"\x1b[{x - self._x}C")
        self._x, self._y = x, y

    def _wear(self, look: Look) -> None:
        self._out.append(change(self.worn, look))
        self.worn = look


def _is_doubtful(char: str) -> bool:
    return len(char) > 1 or ord(char) >= _FIRST_EMOJI
