"""The picture for terminals without UTF-8: every glyph becomes one ASCII character of the same width."""

import sys

_TABLE = str.maketrans(
    "─━│┃┌┐└┘├┤┬┴┼╭╮╰╯═▔▁█▉▊▋▌▍▎▏▐▀▄░▒▓·•●○■▶▸◀▲▼↑↓→←…✓✔✗✖"
    "\u2013\u2014\u2018\u2019\u201c\u201d\u2016\u23f8\u23f9\u00d7\u00a0",
    "--||+++++++++++++=-_#####|||#-_.:%.**o#>><^v^v><~++xx--''\"\"==#x ",
)


def to_ascii(text: str) -> str:
    """The same cells in ASCII; what has no likeness becomes `?`."""
    if text.isascii():
        return text
    return text.translate(_TABLE).encode("ascii", "replace").decode("ascii")


def speaks_utf8(environment: dict[str, str]) -> bool:
    """Whether the locale that the user asked for is a UTF-8 one.

    Python itself sets LC_CTYPE=C.UTF-8 when the locale is C, and so hides what was asked for.
    """
    ctype = environment.get("LC_CTYPE", "")
    if sys.flags.utf8_mode and ctype == "C.UTF-8":
        ctype = ""
    asked = environment.get("LC_ALL") or ctype or environment.get("LANG", "")
    return "utf" in asked.lower()
