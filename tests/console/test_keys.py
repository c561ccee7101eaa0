"""The one table of keys: consistent in itself, and what docs and help are made from."""

from collections import Counter
from pathlib import Path

import pytest

from venom_tui import keys
from venom_tui.app import Console
from venom_tui.keys import KEYS, Where
from venom_tui.screens.confirm import Confirm
from venom_tui.screens.main import Main
from venom_tui.screens.task_page import TaskPage
from venom_tui.widgets.log_tail import LogTail
from venom_tui.widgets.pane import Pane

PAGE = Path(__file__).resolve().parents[2] / "docs" / "console-keys.md"
OWNERS: dict[Where, tuple[type, ...]] = {
    Where.ANYWHERE: (Console,),
    Where.OVERVIEW: (Main,),
    Where.TASKS: (Main,),
    Where.LOG: (LogTail,),
    Where.MOVE: (Pane,),
    Where.PAGE: (TaskPage,),
    Where.DIALOG: (Confirm,),
}


def test_the_docs_page_says_what_the_table_says() -> None:
    """`python -m venom_tui.keys > docs/console-keys.md` makes it anew."""
    assert PAGE.read_text(encoding="utf-8") == keys.as_markdown()


@pytest.mark.parametrize("where", list(Where))
def test_no_key_means_two_things_in_one_place(where: Where) -> None:
    """Each key has one meaning where it works."""
    used = Counter(name for key in KEYS if key.where is where for name in key.keys.split(","))
    assert [name for name, times in used.items() if times > 1] == []


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.where.name}-{key.id}".lower())
def test_every_key_has_somebody_who_acts(key: keys.Key) -> None:
    """A key in the table is a method somewhere, so the help promises nothing that is not there."""
    method = "action_" + key.action.removeprefix("app.").partition("(")[0]
    assert any(hasattr(owner, method) for owner in OWNERS[key.where])


def test_what_destroys_is_not_on_a_key_that_moves() -> None:
    """A slip while moving must not reach a control."""
    moving = {name for key in KEYS if key.where is Where.MOVE for name in key.keys.split(",")}
    acting = {
        name for key in KEYS if key.where in (Where.ANYWHERE, Where.TASKS) for name in key.keys.split(",")
    }
    assert not moving & acting
