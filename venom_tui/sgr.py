"""How a cell looks, as the codes a terminal takes: rich styles in, shared `Look`s out."""

from dataclasses import dataclass

from rich.color import Color, ColorSystem
from rich.color_triplet import ColorTriplet
from rich.style import Style

_CACHE_LIMIT = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One appearance. Two cells look the same when they hold the same Look: compare by identity."""

    attributes: tuple[str, ...]
    foreground: str
    background: str

    @property
    def codes(self) -> str:
        """Everything, for a terminal that was reset."""
        return ";".join(code for code in (*self.attributes, self.foreground, self.background) if code)


class Looks:
    """Turns styles into Looks. Links and meta data do not count: they are not to be seen."""

    def __init__(self, system: ColorSystem | None) -> None:
        self._system = system  #: None: no colours at all, attributes only.
        self._by_style: dict[Style | None, Look] = {}
        self._by_codes: dict[tuple[tuple[str, ...], str, str], Look] = {}
        self.plain = self.of(None)

    def of(self, style: Style | None) -> Look:
        """The Look of a style; the same object for all styles that look the same."""
        look = self._by_style.get(style)
        if look is None:
            if len(self._by_style) > _CACHE_LIMIT:
                self._by_style.clear()
            look = self._by_style[style] = self._shared(style)
        return look

    def _shared(self, style: Style | None) -> Look:
        if style is None:
            codes: tuple[tuple[str, ...], str, str] = ((), "", "")
        else:
            codes = (_attributes(style), self._color(style.color, True), self._color(style.bgcolor, False))
        return self._by_codes.setdefault(codes, Look(*codes))

    def _color(self, color: Color | None, foreground: bool) -> str:
        if color is None or color.is_default or self._system is None:
            return ""
        number = _NUMBERS.get(color.triplet) if color.triplet else None
        if number is not None and self._system is ColorSystem.TRUECOLOR:
            return f"{38 if foreground else 48};5;{number}"  # The same colour in half the bytes.
        return ";".join(color.downgrade(self._system).get_ansi_codes(foreground))


def change(before: Look | None, after: Look) -> str:
    """The shortest codes from one look to another. None: nobody knows how the terminal stands."""
    if before is after:
        return ""
    if before is None:
        return f"\x1b[0;{after.codes}m" if after.codes else "\x1b[0m"
    gone = [code for code in before.attributes if code not in after.attributes]
    off = dict.fromkeys(_OFF[code] for code in gone)
    # Bold and dim are put off by the same code: what stays of the two is put on again.
    on = [code for code in after.attributes if code not in before.attributes or _OFF[code] in off]
    parts = [*off, *on]
    if after.foreground != before.foreground:
        parts.append(after.foreground or "39")
    if after.background != before.background:
        parts.append(after.background or "49")
    codes = ";".join(parts)
    return f"\x1b[{codes}m" if after.codes else "\x1b[0m"


def _attributes(style: Style) -> tuple[str, ...]:
    flags = (
        (style.bold, "1"),
        (style.dim, "2"),
        (style.italic, "3"),
        (style.underline, "4"),
        (style.blink, "5"),
        (style.reverse, "7"),
        (style.strike, "9"),
    )
    return tuple(code for flag, code in flags if flag)


def _numbers() -> dict[ColorTriplet, int]:
    """The colours that every 256-colour terminal has under a number."""
    steps = (0, 95, 135, 175, 215, 255)
    cube = [ColorTriplet(red, green, blue) for red in steps for green in steps for blue in steps]
    grays = [ColorTriplet(level, level, level) for level in range(8, 239, 10)]
    return {triplet: number for number, triplet in enumerate(cube + grays, 16)}


_NUMBERS = _numbers()
#: What puts an attribute off.
_OFF = {"1": "22", "2": "22", "3": "23", "4": "24", "5": "25", "7": "27", "9": "29"}
