"""The files of this tree, as a fresh clone has them."""

from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
SHIPPED = ("venom_engine", "spore", "venom_tui")
_MADE = {"__pycache__", "build", "dist"}
_KEPT_HIDDEN = {".ci", ".gitignore"}


def files(*suffixes: str, under: tuple[str, ...] = ("",)) -> Iterator[Path]:
    """Every file below these folders with one of these endings; with none given, every file."""
    for folder in under:
        for path in sorted((REPO / folder).rglob("*")):
            if path.is_file() and (not suffixes or path.suffix in suffixes) and not _made(path):
                yield path


def name(path: Path) -> str:
    """How a reader of a failing test finds it."""
    return str(path.relative_to(REPO))


def _made(path: Path) -> bool:
    parts = path.relative_to(REPO).parts
    return any(
        part in _MADE or part.endswith(".egg-info") or (part.startswith(".") and part not in _KEPT_HIDDEN)
        for part in parts
    )
