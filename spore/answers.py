"""What a call's end looks like to the engine: a result that is JSON, or an error that says what and where."""

import json
import traceback
from collections.abc import Iterable
from typing import Any

from pydantic import JsonValue
from pydantic_core import from_json

from spore.skills.base import SkillFailed

MAX_RESULT_BYTES = 3 * 1024 * 1024
MAX_ERROR_CHARS = 10_000


def checked_result(value: Any) -> tuple[JsonValue, int]:
    """The value as JSON and its encoded size. Raises SkillFailed when it is none, or too large."""
    if value is None or isinstance(value, bool):
        return value, 5
    try:
        encoded = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        if len(encoded) > MAX_RESULT_BYTES:
            raise SkillFailed(
                f"The result is {len(encoded)} bytes as JSON, the limit is {MAX_RESULT_BYTES}. "
                "Write it to a file, or show it with context.output()."
            )
        return from_json(encoded), len(encoded)
    except (TypeError, ValueError, RecursionError) as error:
        raise SkillFailed(f"The result is not JSON: {error}") from error


def encoded_size(result: JsonValue) -> int:
    """How large a checked result is as JSON."""
    return len(json.dumps(result, ensure_ascii=False).encode())


def error_text(error: BaseException, source: str = "") -> str:
    """`TypeName: message (at file:line)`, where the line is the last one in the skill's own file."""
    if isinstance(error, SkillFailed):
        return printable(str(error))
    frames = traceback.extract_tb(error.__traceback__)
    where = _last(frames, source)
    said = "; ".join(line.strip() for line in traceback.format_exception_only(error)).strip()
    name = f"{type(error).__module__}."
    said = said.removeprefix(name)
    return printable(f"{said} (at {where})" if where else said)


def printable(text: str) -> str:
    """Bounded, and safe to encode."""
    text = text.encode(errors="replace").decode()
    return text if len(text) <= MAX_ERROR_CHARS else text[: MAX_ERROR_CHARS - 2] + " …"


def _last(frames: Iterable[traceback.FrameSummary], source: str) -> str:
    where = ""
    in_source = ""
    for frame in frames:
        where = f"{frame.filename}:{frame.lineno}"
        if frame.filename == source:
            in_source = where
    return in_source or where
