"""Text from tasks and nodes, made harmless before it reaches a terminal."""

import re

#: Whole escape sequences (colours, titles, links) go: what they wrap is still read.
_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor moves
    r"|\x1b[\]PX^_][^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"  # OSC, DCS and kin: titles, links, clipboard
)
#: Controls but \n and \t, the marks that turn the direction of text around, and halves of surrogate pairs.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def inert(text: str) -> str:
    """The same text without anything that a terminal obeys; `\\n` and `\\t` stay.

    Escape sequences are dropped, a carriage return becomes a line end, and what is left of control
    characters becomes visible (␛ for ESC). Harmless to call twice.
    """
    if not _UNSAFE.search(text):
        return text
    plain = _SEQUENCE.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _UNSAFE.sub(_shown, plain)


def _shown(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else "\ufffd"
