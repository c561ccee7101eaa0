"""`venom-tui`: paints the first picture, then reads the command line, and only then imports the console.

Imports nothing up to the first paint but `os`, `sys` and `termios`: a person sees where things will be
before Python has loaded the rest. tests/console/test_import_hygiene.py holds us to it.
"""

import os
import sys


def main(argv: list[str] | None = None) -> int:
    """Run the console. The exit code."""
    from venom_tui.ascii import speaks_utf8
    from venom_tui.prepaint import Painted

    words = sys.argv[1:] if argv is None else argv
    colorless = bool(os.environ.get("NO_COLOR"))
    ascii_only = not speaks_utf8(dict(os.environ))
    if "-h" in words or "--help" in words or not _is_on_a_terminal():
        return _without_picture(words)
    for stale in ("COLUMNS", "LINES"):  # The terminal knows its size; what a shell exported is the old one.
        os.environ.pop(stale, None)
    with Painted(color=not colorless, ascii_only=ascii_only) as picture:
        from venom_tui.arguments import Misused, read

        try:
            options = read(words, ascii_only=ascii_only, colorless=colorless)
        except Misused as wrong:
            picture.leave()
            return _misused(wrong)
        import gc

        gc.disable()  # Until the first paint; the app turns it on again.
        from venom_tui.app import Console

        app = Console(options)
        # No mouse: the terminal keeps its own selection, and a wheel still moves as arrow keys do.
        app.run(mouse=False)
        return app.return_code or 0


def _without_picture(words: list[str]) -> int:
    from venom_tui.arguments import Misused, read

    try:
        read(words)
    except Misused as wrong:
        return _misused(wrong)
    print(
        "venom-tui needs a terminal: its input and output must not be redirected.\n"
        "For scripts there is `venom` (see `venom --help`).",
        file=sys.stderr,
    )
    return 2


def _misused(wrong: Exception) -> int:
    print(wrong, file=sys.stderr)
    return 2


def _is_on_a_terminal() -> bool:
    return all(stream and stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
