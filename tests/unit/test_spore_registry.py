"""Skills of the user's own: found by their mark or their class, checked, and told apart."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from spore.errors import SkillsUnusable
from spore.skills.registry import Registry, UnknownMethod, UnknownSkill, default_registry
from tests.unit.spore_helpers import Bench

Module = Callable[[str, str], str]


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Module:
    """Writes a module that can be imported in this test, and no longer after it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, source: str) -> str:
        (tmp_path / f"{name}.py").write_text(source)
        monkeypatch.delitem(sys.modules, name, raising=False)
        return name

    return write


def test_the_built_in_skills_can_be_switched_off() -> None:
    """ENABLE_SHELL and ENABLE_FILE: what is off is not announced and cannot be called."""
    assert default_registry().skills == ("Echo", "ShellSkill", "FileSkill")
    bare = default_registry(enable_shell=False, enable_file=False)
    assert bare.skills == ("Echo",)
    with pytest.raises(UnknownSkill, match=r"no skill 'ShellSkill'. It has: Echo"):
        bare.find("ShellSkill", "run")
    with pytest.raises(UnknownMethod, match=r"Echo has no method 'shout'. It has: run"):
        bare.find("Echo", "shout")


async def test_marked_functions_and_classes_of_a_module_become_skills(module: Module, tmp_path: Path) -> None:
    """@skill with and without a name, a Skill class with its public methods; imports are not skills."""
    name = module(
        "my_marked",
        "from __future__ import annotations\n"
        "from venom_engine import skill\n"
        "from spore.skills import Skill, SkillContext\n"
        "from spore.skills.shell import ShellSkill\n"
        "@skill\n"
        "def double(number: int) -> int:\n"
        "    return number * 2\n"
        "@skill('Images.resize')\n"
        "async def resize(width: int, ctx: SkillContext) -> str:\n"
        "    await ctx.output('resizing')\n"
        "    return f'{width}px'\n"
        "class Weather(Skill):\n"
        "    def __init__(self) -> None:\n"
        "        self.sky = 'clear'\n"
        "    async def look(self) -> str:\n"
        "        return self.sky\n"
        "    def _secret(self) -> None: ...\n"
        "    @property\n"
        "    def later(self) -> str:\n"
        "        raise RuntimeError('not looked at')\n"
        "class Named(Skill):\n"
        "    name = 'Other'\n"
        "    def run(self) -> str:\n"
        "        return 'other'\n",
    )
    registry = default_registry([name])
    assert registry.skills == ("Echo", "ShellSkill", "FileSkill", "double", "Images", "Weather", "Other")

    bench = Bench(tmp_path, registry=registry)
    assert (await bench.call("double", "run", number=21)).result == 42
    assert (await bench.call("Images", "resize", width=5)).result == "5px"
    assert (await bench.call("Weather", "look")).result == "clear"
    assert (await bench.call("Other", "run")).result == "other"
    assert "no method '_secret'" in ((await bench.call("Weather", "_secret")).error or "")
    assert "number: Input should be a valid integer" in (
        (await bench.call("double", "run", number="many")).error or ""
    )


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_thing_at_all", "cannot be imported: ModuleNotFoundError"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit"),
        ("def broken(:", "cannot be imported: SyntaxError"),
        ("x = 1", "has no skill"),
        ("from venom_engine import skill\n@skill('ShellSkill.run')\ndef f(): ...", "defined twice"),
        ("from venom_engine import skill\n@skill('two words')\ndef f(): ...", "no name for a skill"),
        ("from venom_engine import skill\n@skill\ndef f(): yield 1", "is a generator"),
        ("from spore.skills import Skill\nclass Empty(Skill): ...", "has no public method"),
        (
            "from spore.skills import Skill\nclass Needy(Skill):\n"
            "  def __init__(self, x): ...\n  def run(self): ...",
            "Needy cannot be made",
        ),
    ],
)
def test_a_module_that_cannot_be_used_says_why(module: Module, source: str, said: str) -> None:
    """At the start of the node, in words, not by a traceback."""
    with pytest.raises(SkillsUnusable, match=said):
        default_registry([module("my_broken", source)])


def test_a_module_that_is_not_there_says_so() -> None:
    """With its name, and where it would have to be."""
    with pytest.raises(SkillsUnusable, match=r"'not_there_at_all' cannot be imported.*folder"):
        default_registry(["not_there_at_all"])


def test_the_same_function_by_two_ways_is_no_clash(module: Module) -> None:
    """A package may hand on what its parts define; loading a module twice is harmless."""
    one = module("my_part", "from venom_engine import skill\n@skill\ndef f(): ...")
    two = module("my_whole", "from my_part import f")
    assert "f" in default_registry([one, two, one]).skills


def test_a_clash_names_both_homes(module: Module) -> None:
    """So that one of them can be renamed."""
    one = module("my_first", "from venom_engine import skill\n@skill('S.f')\ndef f(): ...")
    two = module("my_second", "from venom_engine import skill\n@skill('S.f')\ndef g(): ...")
    with pytest.raises(SkillsUnusable, match=r"S.f is defined twice: in my_first and in my_second"):
        default_registry([one, two])


async def test_annotations_that_nobody_can_check_are_left_alone(tmp_path: Path) -> None:
    """A hint that only a type checker understands is no reason to refuse a call."""

    class Own:
        """No JSON value is one."""

    def take(thing, other: "NotDefinedAnywhere" = None, own: Own | None = None):  # type: ignore[no-untyped-def,name-defined]  # noqa: F821
        return [thing, other]

    registry = Registry()
    registry.add_function(take, "Take")
    response = await Bench(tmp_path, registry=registry).call("Take", "run", thing={"a": 1}, other=2)
    assert response.result == [{"a": 1}, 2]
