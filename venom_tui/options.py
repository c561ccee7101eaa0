"""What the command line asked for."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How this console was started."""

    engine: str | None = None  #: An address; None: the engine of the state folder.
    token: str | None = None
    state_dir: Path | None = None
    read_only: bool = False
    in_process: bool = False
    slow_link: bool = False
    ascii_only: bool = False
    colorless: bool = False
