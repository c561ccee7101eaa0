"""Writes docs/settings.md from the settings themselves.

`python -m tools.settings_page docs/settings.md`; tests/hygiene/test_settings_page.py compares.
"""

import sys
import types
from pathlib import Path
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from spore.settings import SporeSettings
from venom_engine.settings import Settings

INTRODUCTION = """\
# Which settings are there?

Every setting is an environment variable; a `.env` file in the working folder is read too. They are
read once, when a command starts, and a flag of the command wins over the variable.

<!-- Written by `make docs`; the text is the docstring under each field. -->
"""
EXAMPLE = """\
```console
$ MAX_CONCURRENT_TASKS=4 LOCAL_SLOTS=8 venom-engine
```
"""
ENDING = """\
## Whoever speaks to an engine

| variable | kind | default | what it does |
| --- | --- | --- | --- |
| `VENOM_ENGINE` | text | none | The engine's address. None: the engine of the state folder. |
| `VENOM_TOKEN` | secret | none | The operator token. None: read from the state folder, for an engine on this machine. |
| `VENOM_STATE_DIR` | path | `venom` in the user's state folder | Where to look for both. |

## When it goes wrong

- **A value is refused**: the command names the variable and what it must be, and starts nothing.
- **A setting seems to have no effect**: an engine that was already running keeps what it was started
  with; stop it (`kill` with the pid in `engine.json`) and start it again.

## Files to open

`venom_engine/settings.py`, `spore/settings.py`.
"""


def settings_page() -> str:
    """The whole page."""
    parts = [
        INTRODUCTION,
        EXAMPLE,
        "## The engine\n",
        table(Settings),
        "## A Spore\n",
        table(SporeSettings),
        ENDING,
    ]
    return "\n".join(parts)


def table(settings: type[BaseModel]) -> str:
    """One row for each setting, in the order of the class."""
    prefix = str(settings.model_config.get("env_prefix", ""))
    rows = [
        f"| `{(prefix + name).upper()}` | {_kind(field)} | {_default(field)} | {_words(field)} |"
        for name, field in settings.model_fields.items()
    ]
    return "\n".join(["| variable | kind | default | what it does |", "| --- | --- | --- | --- |", *rows, ""])


def _words(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|")


def _kind(field: FieldInfo) -> str:
    return _named(field.annotation)


def _named(annotation: Any) -> str:
    if get_origin(annotation) in (types.UnionType, Union):
        kinds = [_named(kind) for kind in get_args(annotation) if kind is not type(None)]
        return " or ".join(dict.fromkeys(kinds))
    if get_origin(annotation) in (tuple, list, frozenset, set):
        return "list"
    names = {SecretStr: "secret", str: "text", bool: "true/false", int: "whole number", float: "number"}
    return names.get(annotation, getattr(annotation, "__name__", str(annotation)).lower())


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return _made(field.default_factory)
    default = field.default
    if default is PydanticUndefined:
        return "required"
    if default in (None, "", ()):
        return "none"
    text = ",".join(map(str, default)) if isinstance(default, tuple | list) else str(default)
    return f"`{text.lower() if isinstance(default, bool) else text}`"


def _made(factory: Any) -> str:
    """A default that this machine decides, told without what this machine decided."""
    made = factory()
    if isinstance(made, Path):
        return f"`{made.name}` in the user's state folder"
    return (factory.__doc__ or "by the machine").split(":")[0].strip().rstrip(".").lower()


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(settings_page(), encoding="utf-8")
