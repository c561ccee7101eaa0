"""Makes the screenshots: a real engine and two real Spores, a mixed load, and the real console on them.

    python -m screenshots.make

Everything runs in a temporary folder and on free ports, and ends with the script. A PNG is drawn from
the console's own SVG with an explicit monospace font: without one, nothing but boxes would be seen.
"""

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import UUID

import resvg_py
from textual.pilot import Pilot

from tests.processes import EngineProcess, SporeProcess
from venom_engine.client.base import EngineClient
from venom_engine.client.remote import RemoteClient
from venom_engine.protocol.task import TaskRequest
from venom_tui.app import Console
from venom_tui.options import Options

HERE = Path(__file__).resolve().parent
#: File and family of a font with box and block characters; the first that is found is taken.
FONTS = {
    "DejaVuSansMono.ttf": "DejaVu Sans Mono",
    "LiberationMono-Regular.ttf": "Liberation Mono",
    "NotoSansMono-Regular.ttf": "Noto Sans Mono",
}
FONT_FOLDERS = ("/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", str(Path.home() / ".fonts"))
SIZES = ((120, 40), (80, 24))
SPORES = (("orchid", ("gpu", "location:server_room")), ("heron", ("location:lab",)))
LOAD = (
    "hello from a newcomer",
    "!uname -a",
    "!ls -la /etc | head -20",
    "!cat /no/such/file",
    "!for i in 1 2 3; do echo step $i of 3; sleep 0.3; done",
    "!python3 -c 'print(sum(n * n for n in range(3_000_000)))'",
    "resize the pictures of June",
    "!sleep 600",
    "!sh -c 'echo warming up; echo a warning >&2; exit 3'",
    "!df -h",
)
FOLLOWED = (
    '!for i in $(seq 1 400); do echo "$(date +%T) fetched page $i of 400"; '
    '[ $((i % 7)) = 0 ] && echo "slow answer, trying again" >&2; sleep 0.5; done'
)


class Failed(Exception):
    """A picture could not be made."""


@contextmanager
def fleet(folder: Path) -> Iterator[EngineProcess]:
    """An engine with its own node, and two Spores."""
    with ExitStack() as stack:
        engine = EngineProcess(folder / "state")
        stack.callback(engine.end)
        for name, tags in SPORES:
            arguments = [word for tag in tags for word in ("--tag", tag)]
            spore = SporeProcess(folder / name, engine.url, engine.node_token, *arguments, name=name)
            stack.callback(spore.end)
        yield engine


async def load(url: str, token: str) -> None:
    """Submit a mixed load, and last a task that still talks when the pictures are taken."""
    async with RemoteClient(url, token) as client:
        await until_true(lambda: fleet_is_there(client))
        for round_ in range(3):
            for i, content in enumerate(LOAD):
                if round_ == 0 or "sleep 600" not in content:
                    await client.submit(TaskRequest(content=content, priority=i % 10))
        await until_true(lambda: load_is_done(client))
        answer = await client.submit(TaskRequest(content=FOLLOWED))
        await until_true(lambda: it_has_talked(client, answer.task_id))


async def fleet_is_there(client: EngineClient) -> bool:
    """The engine's own node and the Spores."""
    return (await client.nodes()).online_count == 1 + len(SPORES)


async def load_is_done(client: EngineClient) -> bool:
    """All but the task that sleeps."""
    status = await client.queue_status()
    return status.processing + status.pending == 1


async def it_has_talked(client: EngineClient, task_id: UUID) -> bool:
    """Enough to fill a log pane."""
    return len(await client.tail(task_id)) >= 12


async def until_true(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until the answer is yes."""
    for _ in range(600):
        if await holds():
            return
        await asyncio.sleep(0.1)
    raise Failed("the load did not get where it was to be")


async def until(pilot: Pilot[None], text: str, *, seconds: float = 15) -> None:
    """Wait until the words are on the screen."""
    for _ in range(int(seconds / 0.05)):
        shown = "\n".join(strip.text for strip in pilot.app.screen._compositor.render_strips())
        if text in shown:
            return
        await pilot.pause(0.05)
    raise Failed(f"{text!r} did not come to the screen:\n{shown}")


def picture(app: object) -> str:
    """The screen as SVG."""
    assert isinstance(app, Console)
    return app.export_screenshot(title="venom-tui")


def save(app: object, name: str, font: Path) -> None:
    """Write the screen as a PNG."""
    family = FONTS[font.name]
    svg = re.sub(r"@font-face\s*\{.*?\}", "", picture(app), flags=re.DOTALL)
    svg = svg.replace("Fira Code", family).replace("font-family: arial", f"font-family: {family}")
    data = resvg_py.svg_to_bytes(
        svg_string=svg, font_dirs=[str(font.parent)], skip_system_fonts=True, monospace_family=family
    )
    (HERE / f"{name}.png").write_bytes(bytes(data))


def find_font() -> Path:
    """A monospace font of this machine."""
    for name in FONTS:
        for folder in FONT_FOLDERS:
            for found in Path(folder).rglob(name):
                return found
    raise Failed(f"no monospace font was found: install one of {', '.join(FONTS.values())}")


async def shoot(url: str, token: str, size: tuple[int, int], font: Path) -> None:
    """Every screen at one size."""
    app = Console(Options(engine=url, token=token))
    label = f"{size[0]}x{size[1]}"
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, "RUNNING")
        await until(pilot, "fetched page")
        save(app, f"overview-{label}", font)
        for keys, words, name in SCREENS:
            await pilot.press(*keys)
            await until(pilot, words)
            save(app, f"{name}-{label}", font)
            await pilot.press("escape")
            await pilot.pause(0.2)


#: The keys that lead to a screen, words that are on it, and the picture's name.
SCREENS: tuple[tuple[Sequence[str], str, str], ...] = (
    (("enter",), "Stage log", "task"),
    (("n", *"!uname -a"), "uname", "new-task"),
    (("x",), "Abort it", "confirm"),
    (("!", "s", "t"), "EMERGENCY STOP", "stop"),
    (("?",), "Anywhere", "help"),
)


async def main() -> None:
    font = find_font()
    with tempfile.TemporaryDirectory(prefix="venom-screenshots-") as folder, fleet(Path(folder)) as engine:
        await load(engine.url, engine.token)
        for size in SIZES:
            await shoot(engine.url, engine.token, size, font)


if __name__ == "__main__":
    asyncio.run(main())
