"""The command `venom-spore`: a node, until SIGTERM or SIGINT.

Standard library up to the moment when the arguments are understood, so that `--help` is quick.
Exit codes: 0 stopped, 1 the engine refused this node, 2 wrong usage.
"""

import argparse
import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spore.agent import Agent
    from spore.settings import SporeSettings

EPILOG = """\
example:
  SPORE_SHARED_TOKEN=... venom-spore --nexus ws://engine.lan:8000 --name gpu-1 --tag gpu --slots 4

The node token: SPORE_SHARED_TOKEN in the environment or in a .env file here, or --token @FILE. With an
engine on this machine none is needed: it is read from the engine's state folder (VENOM_STATE_DIR).
Every option has a variable: SPORE_NODE_NAME, SPORE_NODE_TAGS, SPORE_SLOTS and so on.
For wss:// with a certificate authority of your own: SSL_CERT_FILE=ca.pem.
"""

logger = logging.getLogger("spore")


class WrongUsage(Exception):
    """The command cannot be carried out as it was given."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = _parser().parse_args(argv)
    from venom_engine.protocol.errors import VenomError

    try:
        settings = _settings(options)
        _set_up_logging(options.log_format)
        return asyncio.run(_serve(settings))
    except WrongUsage as error:
        return _told(f"{error}", 2)
    except VenomError as error:
        return _told(f"{error}", 2 if error.code in ("bad_request", "skills_unusable") else 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="venom-spore",
        description="Run a node of Venom: connects to an engine, and runs the tasks that it is given.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--nexus", metavar="URL", help="the engine: ws://, wss://, or its http(s):// address")
    add(
        "--token",
        metavar="T",
        help="@FILE to read the node token from it; T itself shows in the process list",
    )
    add("--name", metavar="N", help="what operators call this node (default: the machine's name)")
    add("--tag", metavar="T", action="append", help="a tag that tasks may ask for; may be repeated")
    add("--slots", metavar="N", help="how many tasks run at a time")
    add("--state-dir", metavar="DIR", help="where the node keeps its identity")
    add("--workspace", metavar="DIR", help="the folder of the node's tasks (default: in the state folder)")
    add("--skills", metavar="MODULE", action="extend", nargs="+", help="modules with skills of your own")
    add("--log-format", choices=("text", "json"), default="text", help="how to log, on stderr")
    return parser


def _settings(options: argparse.Namespace) -> "SporeSettings":
    from pydantic import ValidationError

    from spore.settings import SporeSettings

    given = {
        "nexus_url": options.nexus,
        "shared_token": _token_given(options.token),
        "node_name": options.name,
        "node_tags": options.tag and tuple(options.tag),
        "slots": options.slots,
        "state_dir": options.state_dir,
        "workspace": options.workspace,
        "skills": options.skills and tuple(options.skills),
    }
    try:
        return SporeSettings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        name = str(problem["loc"][0])
        raise WrongUsage(f"SPORE_{name.upper()} (or its option): {problem['msg']}.") from None


def _token_given(text: str | None) -> str | None:
    if text is None or not text.startswith("@"):
        return text
    try:
        token = Path(text[1:]).read_text().strip()
    except (OSError, ValueError) as error:
        raise WrongUsage(f"The token file {text[1:]} cannot be read: {error}.") from None
    if not token:
        raise WrongUsage(f"The token file {text[1:]} is empty.")
    return token


async def _serve(settings: "SporeSettings") -> int:
    from spore.agent import Agent
    from spore.errors import LinkRefused
    from spore.identity import owned_identity
    from spore.link_nexus import connect_nexus, is_loopback, nexus_url
    from spore.skills.registry import default_registry

    url = nexus_url(settings.nexus_url or f"ws://{settings.nexus_host}:{settings.nexus_port}")
    if settings.shared_token is None and not is_loopback(url):
        raise WrongUsage("No token. Set SPORE_SHARED_TOKEN, or use --token @FILE; --help says more.")
    sys.path.insert(0, os.getcwd())  # where a user's own modules are
    registry = default_registry(
        settings.skills, enable_shell=settings.enable_shell, enable_file=settings.enable_file
    )
    with owned_identity(settings.state_dir) as node_id:
        agent = Agent(
            name=settings.node_name,
            node_id=node_id,
            registry=registry,
            state_dir=settings.state_dir,
            workspace=(settings.workspace or settings.state_dir / "workspace").absolute(),
            token=lambda: _token(settings),
            tags=settings.node_tags,
            slots=settings.slots,
            heartbeat_seconds=settings.heartbeat_interval,
        )
        stops = _stop_on_signals(agent, settings.drain_seconds)
        logger.info("Node %s (%s) for the engine at %s.", settings.node_name, node_id, url)
        try:
            await agent.run(lambda: connect_nexus(url))
        except LinkRefused as error:
            return _told(f"{url} refused this node: {error}. {_advice(settings)}", 1)
        if stops:
            await asyncio.wait(stops)
        if agent.stuck:
            # A function that does not return must not keep the node from ending.
            _leave_at_once(0)
    return 0


def _token(settings: "SporeSettings") -> str:
    """Read at each try: the engine of this machine may start, or start anew, after the node."""
    if settings.shared_token is not None:
        return settings.shared_token.get_secret_value()
    try:
        return (_engine_state_dir() / "node-token").read_text().strip()
    except OSError:
        return ""


def _engine_state_dir() -> Path:
    from platformdirs import user_state_path

    return Path(os.environ.get("VENOM_STATE_DIR") or user_state_path("venom"))


def _advice(settings: "SporeSettings") -> str:
    if settings.shared_token is not None:
        return "Check the token: it is the engine's NEXUS_SHARED_TOKEN, or `node-token` in its state folder."
    return (
        f"No token was given, and the one in {_engine_state_dir()} (if any) is not that engine's. "
        "Set SPORE_SHARED_TOKEN, or VENOM_STATE_DIR to the engine's state folder."
    )


def _stop_on_signals(agent: "Agent", drain: float) -> set[asyncio.Task[None]]:
    """The first signal drains, the next one does not wait."""
    loop = asyncio.get_running_loop()
    stops: set[asyncio.Task[None]] = set()

    def stop(name: str) -> None:
        logger.info("%s: stopping.", name)
        stops.add(loop.create_task(agent.stop(drain=0.0 if stops else drain)))

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, stop, number.name)
    return stops


def _leave_at_once(code: int) -> None:
    logging.shutdown()
    os._exit(code)


def _told(message: str, code: int) -> int:
    print(f"venom-spore: {message}", file=sys.stderr)
    return code


def _set_up_logging(form: str) -> None:
    handler = logging.StreamHandler()
    text = logging.Formatter("%(asctime)s %(levelname)s %(message)s")
    handler.setFormatter(_JsonLines() if form == "json" else text)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("websockets").setLevel(logging.WARNING)


class _JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter`."""
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
