"""Log lines of the engine: text for people, or one JSON object a line. Neither ever holds a token."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Literal

from venom_engine.protocol.text import inert

LogFormat = Literal["text", "json"]

#: Libraries that would tell of every request.
_QUIET = ("uvicorn", "uvicorn.error", "uvicorn.access", "websockets", "httpx", "httpcore", "asyncio")


class Lines(logging.Formatter):
    """One record, one line; a traceback follows indented (text) or inside (json)."""

    def __init__(self, kind: LogFormat) -> None:
        super().__init__()
        self._kind = kind
        self._secrets: frozenset[str] = frozenset()

    def hide(self, *secrets: str) -> None:
        """From now on these never appear, wherever they come from."""
        self._secrets |= {secret for secret in secrets if secret}

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        message = record.getMessage()
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        if self._kind == "json":
            fields = {"time": at, "level": record.levelname, "logger": record.name, "message": message}
            if trace:
                fields["exception"] = trace
            return self._without_secrets(json.dumps(fields, ensure_ascii=False))
        line = f"{at} {record.levelname:<7} {record.name}: {inert(message).replace(chr(10), ' | ')}"
        return self._without_secrets(f"{line}\n{inert(trace)}" if trace else line)

    def _without_secrets(self, line: str) -> str:
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line


def log_to_stderr(kind: LogFormat) -> Lines:
    """Send all logging to stderr in this format; the formatter, to tell it secrets."""
    lines = Lines(kind)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(lines)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    return lines
