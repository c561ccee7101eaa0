"""The statements of queries.sql, by name, and the forward-only migrations."""

import re
from functools import cache
from importlib.resources import files

TASK_COLUMNS = (
    "id, n, lane, content, method, parameters, priority, max_retries, timeout, status, attempt, excused, "
    "node_id, created_at, started_at, finished_at, result, error"
)


@cache
def statements() -> dict[str, str]:
    """Every statement of queries.sql; `{columns}` stands for the columns of a task."""
    text = (files("venom_engine.store") / "queries.sql").read_text()
    parts = re.split(r"^-- (\w+) --$", text, flags=re.MULTILINE)
    named = zip(parts[1::2], parts[2::2], strict=True)
    return {name: body.strip().rstrip(";").replace("{columns}", TASK_COLUMNS) for name, body in named}


@cache
def migrations() -> list[str]:
    """The scripts in order; the schema version is how many of them a file has seen."""
    folder = files("venom_engine.store") / "migrations"
    found = sorted(
        (item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name
    )
    return [item.read_text() for item in found]
