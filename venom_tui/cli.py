"""`venom-tui`: reads the command line, paints the first picture, and only then imports the console.

Standard library only up to the first paint. tests/console/test_import_hygiene.py holds us to it.
"""

import argparse
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from venom_tui.ascii import speaks_utf8

_ABOUT = "The console of Venom: see and steer an engine and its nodes from a terminal."
_END = (
    "Without --engine it joins the engine that runs on the state folder, or starts one in the background. "
    "Environment: VENOM_ENGINE, VENOM_TOKEN, VENOM_STATE_DIR; NO_COLOR for no colours."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console. The exit code."""
    arguments = _parser().parse_args(argv)
    if not (sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty()):
        print(
            "venom-tui needs a terminal: its input and output must not be redirected.\n"
            "For scripts there is `venom` (see `venom --help`).",
            file=sys.stderr,
        )
        return 2
    colorless = bool(os.environ.get("NO_COLOR"))
    ascii_only = not speaks_utf8(os.environ)
    from venom_tui.prepaint import painted

    engine = arguments.engine or ("inside this console" if arguments.in_process else "")
    with painted(engine, color=not colorless, ascii_only=ascii_only):
        return _run(arguments, colorless=colorless, ascii_only=ascii_only)


def _run(arguments: argparse.Namespace, *, colorless: bool, ascii_only: bool) -> int:
    gc.disable()  # Until the first paint; the app turns it on again.
    from venom_tui.app import Console
    from venom_tui.options import Options

    app = Console(
        Options(
            engine=arguments.engine,
            token=arguments.token,
            state_dir=arguments.state_dir,
            read_only=arguments.read_only,
            in_process=arguments.in_process,
            slow_link=arguments.slow_link,
            ascii_only=ascii_only,
            colorless=colorless,
        )
    )
    # No mouse: the terminal keeps its own selection, and a wheel still moves as arrow keys do.
    app.run(mouse=False)
    return app.return_code or 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="venom-tui", description=_ABOUT, epilog=_END)
    parser.add_argument("--engine", metavar="URL", help="the engine's address, such as http://127.0.0.1:8000")
    parser.add_argument(
        "--token", metavar="T", help="the operator token; a local engine's is found by itself"
    )
    parser.add_argument("--state-dir", metavar="DIR", type=Path, help="the state folder of the engine")
    parser.add_argument("--read-only", action="store_true", help="show everything, change nothing")
    parser.add_argument("--in-process", action="store_true", help="run the engine inside this console")
    parser.add_argument("--slow-link", action="store_true", help="paint and ask less often")
    return parser
