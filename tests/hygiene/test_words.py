"""Nothing in the tree speaks of the machine on which it was written, or of what is not done."""

import re

from tests.hygiene.tree import SHIPPED, files, name

TEXT = (".py", ".sql", ".tcss", ".md", ".toml", ".txt", ".in", ".sh", ".yml", ".yaml", ".json", "")
#: Written in pieces, so that this file does not find itself.
MACHINE = re.compile(
    r"(?<![\w.])/(?:wo" r"rk|ro" r"ot|home/\w+)/\w|pypi\.o" r"rg|python" r"hosted|file:/" r"//"
)
UNFINISHED = re.compile(r"\bTO" r"DO\b|\bFIX" r"ME\b|except Exception:\s*pass")


def found(pattern: re.Pattern[str], *suffixes: str, under: tuple[str, ...] = ("",)) -> list[str]:
    """`file:line: text` for each line that has it."""
    return [
        f"{name(path)}:{number}: {line.strip()[:120]}"
        for path in files(*suffixes, under=under)
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_folder_of_its_author_or_a_registry() -> None:
    """No absolute path of a developer's machine, no address of a package registry."""
    assert found(MACHINE, *TEXT) == []


def test_nothing_shipped_is_a_stub() -> None:
    """What is not built yet is simply not there."""
    assert found(UNFINISHED, ".py", ".sql", under=SHIPPED) == []
