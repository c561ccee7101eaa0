"""Imports point one way, and nothing heavy is loaded by those who do not need it."""

import subprocess
import sys

import pytest
from importlinter.cli import lint_imports

from tests.hygiene.tree import REPO
from tests.processes import clean_environment


def test_imports_point_one_way(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The layers of pyproject.toml hold: what `make arrows` checks."""
    monkeypatch.syspath_prepend(str(REPO))
    monkeypatch.chdir(REPO)

    assert lint_imports(no_cache=True, no_logo=True) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("spore.cli", "fastapi starlette uvicorn textual sqlite3 httpx typer rich"),
        ("spore.agent", "fastapi starlette uvicorn textual sqlite3 httpx typer rich"),
        ("venom_engine.core.engine", "textual fastapi uvicorn typer"),
        ("venom_engine.client", "textual fastapi uvicorn typer sqlite3"),
        ("venom_tui.cli", "pydantic httpx websockets fastapi sqlite3"),
    ],
)
def test_what_a_module_does_not_load(module: str, heavy: str) -> None:
    """A Spore never loads a web server or a database, an engine no screen, a console nothing before its paint."""
    program = f"import sys, {module}; print(*(set({heavy.split()!r}) & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], env=clean_environment(), capture_output=True, text=True, check=False
    )

    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.split() == []
