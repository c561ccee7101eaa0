"""The documents say what is true: settings, links, commands, examples."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.hygiene.tree import REPO, files, name
from tools.settings_page import settings_page
from venom_tui.keys import as_markdown

PAGES = [path for path in files(".md") if path.parts[-2] != "bodies"]
LINK = re.compile(r"(?<!`)!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"<!-- (examples/\S+) -->\n+```\w*\n(.*?)```", re.DOTALL)


def relative_links(page: Path) -> list[Path]:
    """Where the links of a page lead that stay in this tree."""
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = [target.split("#")[0] for target in LINK.findall(prose)]
    return [(page.parent / target).resolve() for target in targets if target and "://" not in target]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    """A link to a file or folder of this tree finds it."""
    assert [str(target) for target in relative_links(page) if not target.exists()] == []


def test_every_page_is_linked_from_the_index() -> None:
    """Nobody has to list a folder to find a page."""
    linked = {*relative_links(REPO / "docs/index.md"), *relative_links(REPO / "README.md")}
    assert [
        name(page) for page in files(".md", under=("docs",)) if page not in linked and page.stem != "index"
    ] == []


@pytest.mark.parametrize("page", [*files(".md", under=("docs",))], ids=name)
def test_every_page_has_a_title_and_the_questions_have_a_question_mark(page: Path) -> None:
    """A page answers one question, and its title is that question; decisions and the index state."""
    title = page.read_text(encoding="utf-8").splitlines()[0]
    assert title.startswith("# ")
    stated = page.parent.name == "decisions" or page.stem == "index"
    assert stated or title.endswith("?")


def test_settings_page_is_what_the_settings_say() -> None:
    """`make docs` writes it."""
    assert (REPO / "docs/settings.md").read_text(encoding="utf-8") == settings_page(), "run: make docs"


def test_keys_page_is_what_the_console_s_table_says() -> None:
    """`make docs` writes it."""
    assert (REPO / "docs/console-keys.md").read_text(encoding="utf-8") == as_markdown(), "run: make docs"


def test_every_make_target_that_is_named_exists() -> None:
    """README and docs name only what the Makefile has."""
    targets = set(re.findall(r"^([a-z]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        target
        for page in PAGES
        for target in re.findall(r"(?:`|\$ |^)make ([a-z]+)", page.read_text(encoding="utf-8"), re.M)
    }
    assert {"run", "test"} <= named
    assert named <= targets


def test_every_command_that_is_named_exists() -> None:
    """`venom-something` in a document is a script of the package, a package or a folder."""
    scripts = set(tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"])
    named = {
        command
        for page in PAGES
        for command in re.findall(
            r"(?:`|\$ |^)(venom(?:-[a-z]+)?) ", page.read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    assert named <= scripts


def test_quoted_examples_are_the_files() -> None:
    """A block below `<!-- examples/… -->` is that file, which tests/hygiene/test_examples.py runs."""
    quoted = [
        (name(page), *found) for page in PAGES for found in FENCE.findall(page.read_text(encoding="utf-8"))
    ]
    assert quoted
    for page, example, text in quoted:
        assert (REPO / example).read_text(encoding="utf-8") == text, f"{page} quotes another {example}"


def test_every_example_that_is_named_exists() -> None:
    """A path below examples/ in a document is a file there."""
    named = {
        found
        for page in PAGES
        for found in re.findall(r"examples/\w[\w.]*", page.read_text(encoding="utf-8"))
    }
    assert sorted(path for path in named if not (REPO / path).exists()) == []


def test_changelog_has_a_place_for_what_comes() -> None:
    """Keep a changelog: an Unreleased section, on top."""
    headings = re.findall(r"^## (.+)$", (REPO / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
