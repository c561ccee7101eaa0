"""The command line of `venom-tui`."""

import argparse
from pathlib import Path
from typing import NoReturn

from venom_tui.options import Options

_ABOUT = "The console of Venom: see and steer an engine and its nodes from a terminal."
_END = (
    "Without --engine it joins the engine that runs on the state folder, or starts one in the background. "
    "Environment: VENOM_ENGINE, VENOM_TOKEN, VENOM_STATE_DIR; NO_COLOR for no colours."
)


class Misused(Exception):
    """The command line cannot be understood; the text says why and how it is used."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Not printed here: the first picture may be on the screen."""
        raise Misused(f"{self.format_usage()}{self.prog}: {message}")


def read(words: list[str], *, ascii_only: bool = False, colorless: bool = False) -> Options:
    """What is asked for. Raises Misused; prints the help and exits when that is asked for."""
    given = _parser().parse_args(words)
    if given.engine and given.in_process:
        raise Misused("venom-tui: --engine and --in-process exclude each other.")
    return Options(
        engine=given.engine,
        token=given.token,
        state_dir=given.state_dir,
        read_only=given.read_only,
        in_process=given.in_process,
        slow_link=given.slow_link,
        ascii_only=ascii_only,
        colorless=colorless,
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="venom-tui", description=_ABOUT, epilog=_END)
    parser.add_argument("--engine", metavar="URL", help="the engine's address, such as http://127.0.0.1:8000")
    parser.add_argument(
        "--token", metavar="T", help="the operator token; a local engine's is found by itself"
    )
    parser.add_argument("--state-dir", metavar="DIR", type=Path, help="the state folder of the engine")
    parser.add_argument("--read-only", action="store_true", help="show everything, change nothing")
    parser.add_argument("--in-process", action="store_true", help="run the engine inside this console")
    parser.add_argument("--slow-link", action="store_true", help="paint and ask less often")
    return parser
