"""Every key, in one table: bindings, the footer, the help screen and docs/console-keys.md are made from it.

A key that destroys something only asks; what asks before it acts is said in its meaning.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from textual.binding import Binding


class Where(StrEnum):
    """Where a key works. Its value is the heading in the help."""

    ANYWHERE = "Anywhere"
    OVERVIEW = "Overview"
    TASKS = "Task list"
    LOG = "Log"
    MOVE = "Moving in a list, a log or the map"
    PAGE = "A task, and this help"
    DIALOG = "In a question"


@dataclass(frozen=True, slots=True)
class Key:
    """One line of the table."""

    id: str
    keys: str  #: As Textual names them, comma-separated.
    shown: str  #: As a person reads them.
    action: str
    hint: str  #: For the footer; empty: not there.
    meaning: str
    where: Where
    always: bool = False  #: Works before anything that has the focus gets the key.


KEYS = (
    Key(
        "new",
        "n",
        "n",
        "app.new_task",
        "new task",
        "Submit a task; `!command` runs a shell command",
        Where.ANYWHERE,
    ),
    Key(
        "pause", "p", "p", "app.toggle_pause", "pause", "Pause the queue, or let it run again", Where.ANYWHERE
    ),
    Key("purge", "P", "P", "app.purge", "purge", "Abort every waiting task (asks first)", Where.ANYWHERE),
    Key(
        "stop",
        "!",
        "!",
        "app.emergency_stop",
        "",
        "Emergency stop: kill all tasks (type `stop`)",
        Where.ANYWHERE,
    ),
    Key("help", "question_mark", "?", "app.help", "", "Show every key", Where.ANYWHERE),
    Key("quit", "q", "q", "app.leave", "", "Quit; on a page of its own: back", Where.ANYWHERE),
    Key(
        "interrupt",
        "ctrl+c",
        "ctrl+c",
        "app.ask_quit",
        "",
        "Quit, from wherever you are",
        Where.ANYWHERE,
        always=True,
    ),
    Key(
        "app.repaint",
        "ctrl+l",
        "ctrl+l",
        "app.repaint",
        "",
        "Draw the screen anew",
        Where.ANYWHERE,
        always=True,
    ),
    Key("tasks", "1", "1", "pane('tasks')", "", "To the task list", Where.OVERVIEW),
    Key("log", "2,l", "2 l", "pane('log')", "", "To the log", Where.OVERVIEW),
    Key("queue", "3", "3", "pane('queue')", "", "To the queue", Where.OVERVIEW),
    Key("nodes", "4", "4", "pane('nodes')", "", "To the nodes", Where.OVERVIEW),
    Key("next", "tab", "tab", "next_pane(1)", "panes", "To the next pane", Where.OVERVIEW),
    Key("previous", "shift+tab", "shift+tab", "next_pane(-1)", "", "To the pane before", Where.OVERVIEW),
    Key("zoom", "z", "z", "zoom", "", "Give the pane the whole screen, or take it back", Where.OVERVIEW),
    Key("detail", "enter,d", "enter d", "detail", "details", "Everything about the task", Where.TASKS),
    Key("abort", "x", "x", "abort", "abort", "Abort the task (asks first)", Where.TASKS),
    Key(
        "filter",
        "slash",
        "/",
        "filter",
        "filter",
        "List the tasks whose text contains something",
        Where.TASKS,
    ),
    Key("states", "s", "s", "next_state", "state", "List one state only: the next one", Where.TASKS),
    Key("clear", "escape", "esc", "clear_filter", "", "List all tasks again", Where.TASKS),
    Key("newest", "f", "f", "follow", "", "Stay on the newest task", Where.TASKS),
    Key("follow", "f", "f", "follow", "follow", "Follow the newest line, or stay at this one", Where.LOG),
    Key(
        "all",
        "a",
        "a",
        "everything",
        "all/one task",
        "The output of all tasks, or of the selected one",
        Where.LOG,
    ),
    Key("down", "j,down", "j down", "move(1)", "", "Down", Where.MOVE),
    Key("up", "k,up", "k up", "move(-1)", "", "Up", Where.MOVE),
    Key("half_down", "ctrl+d", "ctrl+d", "page(0.5)", "", "Half a page down", Where.MOVE),
    Key("half_up", "ctrl+u", "ctrl+u", "page(-0.5)", "", "Half a page up", Where.MOVE),
    Key("page_down", "pagedown,space", "pgdn", "page(1)", "", "A page down", Where.MOVE),
    Key("page_up", "pageup", "pgup", "page(-1)", "", "A page up", Where.MOVE),
    Key("first", "g,home", "g home", "first", "", "To the top", Where.MOVE),
    Key("last", "G,end", "G end", "last", "", "To the end", Where.MOVE),
    Key("back", "escape", "esc", "back", "back", "Back to where you were", Where.PAGE),
    Key("abort_this", "x", "x", "abort", "abort", "Abort the task (asks first)", Where.PAGE),
    Key("yes", "y", "y", "answer(True)", "", "Do it", Where.DIALOG),
    Key("no", "n", "n", "answer(False)", "", "Leave it as it is", Where.DIALOG),
    Key(
        "give_up", "escape", "esc", "give_up", "", "Leave the question, and everything as it is", Where.DIALOG
    ),
    Key("other", "tab,shift+tab,left,right,h,l", "tab", "other", "", "To the other answer", Where.DIALOG),
    Key(
        "confirm",
        "enter",
        "enter",
        "confirm",
        "",
        "Give the marked answer; at first that is No",
        Where.DIALOG,
    ),
)


def bindings(where: Where, *, only: tuple[str, ...] = ()) -> list[Binding]:
    """The bindings of a widget, a screen or the app; `only` these ids."""
    return [
        Binding(
            key.keys,
            key.action,
            key.meaning,
            show=False,
            priority=key.always,
            id=f"{where.name}.{key.id}".lower(),
        )
        for key in KEYS
        if key.where is where and (not only or key.id in only)
    ]


def hints(*places: Where) -> Iterator[tuple[str, str]]:
    """What the footer says, the most particular place first: key and word."""
    for place in places:
        for key in KEYS:
            if key.where is place and key.hint:
                yield key.shown.split()[0], key.hint


def groups() -> Iterator[tuple[str, list[Key]]]:
    """The help: heading and keys."""
    for where in Where:
        yield where.value, [key for key in KEYS if key.where is where]


def as_markdown() -> str:
    """docs/console-keys.md."""
    lines = [
        "# Which keys does the console have?",
        "",
        "Press `?` in the console for this list. It is made from the one table in `venom_tui/keys.py`",
        "(`python -m venom_tui.keys > docs/console-keys.md`).",
    ]
    for heading, keys in groups():
        lines += ["", f"## {heading}", "", "| key | what it does |", "| --- | --- |"]
        lines += [f"| {_marked(key)} | {key.meaning} |" for key in keys]
    return "\n".join(lines) + "\n"


def _marked(key: Key) -> str:
    return " ".join(f"`{name}`" for name in key.shown.split())


if __name__ == "__main__":
    print(as_markdown(), end="")
