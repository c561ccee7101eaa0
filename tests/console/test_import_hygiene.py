"""What must not be loaded before the first paint is not: a new Python is started and asked."""

import subprocess
import sys

HEAVY = (
    "httpx",
    "websockets",
    "pydantic",
    "sqlite3",
    "uvicorn",
    "fastapi",
    "psutil",
    "spore",
    "venom_engine.core",
)
#: Neither Textual nor what only the command line needs comes before the first pixels.
LATER = ("textual", "rich", "argparse", "dataclasses", "re", "asyncio", "pathlib")


def loaded_after(code: str, names: tuple[str, ...] = HEAVY) -> set[str]:
    """Which of these modules a fresh Python has loaded after running this."""
    ask = f"{code}\nimport sys; print(*[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, timeout=30)
    return set(done.stdout.split())


def test_the_first_pixels_load_nothing() -> None:
    """What is there before them is the standard library's smallest part."""
    code = "import venom_tui.cli, venom_tui.prepaint, venom_tui.ascii"
    assert loaded_after(code, (*HEAVY, *LATER)) == set()


def test_the_first_paint_loads_nothing_heavy() -> None:
    """The overview is on the screen before the engine's client is imported."""
    code = """
import asyncio
from venom_tui.app import Console
from venom_tui.options import Options

class UpToThePaint(Console):
    def _start(self):
        pass  # The screen is there; what would come next is the engine.

async def run():
    app = UpToThePaint(Options(engine="http://127.0.0.1:9"))
    async with app.run_test(size=(120, 40)):
        pass

asyncio.run(run())
"""
    assert loaded_after(code) == set()
