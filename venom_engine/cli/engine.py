"""`venom-engine`: serves; prints tokens; moves the JSON state dump in and out."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from venom_engine.cli.out import MISUSED, REFUSED, ended, errors_told, put, say
from venom_engine.protocol.address import is_loopback
from venom_engine.protocol.errors import VenomError
from venom_engine.settings import Settings
from venom_engine.store.folder import NODE_TOKEN, TOKEN, owned_folder, read_secret

app = typer.Typer(
    name="venom-engine", rich_markup_mode=None, add_completion=False, pretty_exceptions_enable=False
)


class Format(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was said before the subcommand."""

    state_dir: Path | None


StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", metavar="DIR", help="Where tasks and tokens are kept [env VENOM_STATE_DIR]."),
]
DumpFile = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="The dump [default: what STATE_FILE_PATH says].")
]


@app.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8000,
    state_dir: StateDir = None,
    no_local_node: Annotated[
        bool, typer.Option("--no-local-node", help="Run no tasks in this process.")
    ] = False,
    no_auth: Annotated[bool, typer.Option("--no-auth", help="Ask for no token (on loopback only).")] = False,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Serve TLS with this certificate.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its key, when in another file.")
    ] = None,
    log_format: Annotated[Format, typer.Option(help="Log lines for people, or JSON.")] = Format.TEXT,
) -> None:
    """Run an engine until SIGTERM or Ctrl-C. Says `ready on URL` on stderr when it accepts.

    Every setting can also come from the environment or a .env file.

    \b
    Example:
      venom-engine --port 8000
      venom-engine --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem
    """
    context.obj = Chosen(state_dir)
    if context.invoked_subcommand is not None:
        return
    if no_auth and not is_loopback(host):
        raise typer.BadParameter(
            f"refused: {host} can be reached from other machines", param_hint="--no-auth"
        )
    if tls_key and not tls_cert:
        raise typer.BadParameter("needs --tls-cert", param_hint="--tls-key")
    settings = _settings(state_dir)

    from venom_engine.api.server import Listening
    from venom_engine.cli.log_format import log_to_stderr
    from venom_engine.cli.serve import run_engine

    lines = log_to_stderr(log_format.value)
    listening = Listening(host, port, settings.nexus_port, tls_cert, tls_key, require_token=not no_auth)

    def ready(url: str) -> None:
        if log_format is Format.TEXT:
            say(f"ready on {url}")
        else:
            logging.getLogger("venom_engine").info("ready on %s", url)

    with errors_told(as_json=log_format is Format.JSON), _one_error():
        run_engine(settings, listening, local_node=not no_local_node, lines=lines, say=ready)


@app.command()
def token(
    context: typer.Context,
    node: Annotated[bool, typer.Option("--node", help="The token that nodes present.")] = False,
    state_dir: StateDir = None,
) -> None:
    """Print the operator token; makes it when there is none yet.

    \b
    Example:
      VENOM_TOKEN=$(venom-engine token) venom tasks --engine http://localhost:8000
      SPORE_SHARED_TOKEN=$(venom-engine token --node) venom-spore
    """
    settings = _settings(state_dir or context.obj.state_dir)
    told = settings.nexus_shared_token if node else settings.venom_token
    folder = settings.venom_state_dir
    with errors_told():
        found = told.get_secret_value() if told else read_secret(folder / (NODE_TOKEN if node else TOKEN))
        if found is None:
            with owned_folder(folder) as owned:
                found = owned.node_token() if node else owned.operator_token()
    put(found)


@app.command("import-state")
def import_state(context: typer.Context, file: DumpFile = None, state_dir: StateDir = None) -> None:
    """Take the tasks of a JSON state dump into the state folder. No engine may run on it.

    \b
    Example:
      venom-engine import-state data/memory/state_dump.json
    """
    settings = _settings(state_dir or context.obj.state_dir)
    from venom_engine.store.dump import import_dump

    dump = file or settings.state_file_path
    with errors_told():
        count = asyncio.run(import_dump(settings.venom_state_dir, dump, default_skill=settings.default_skill))
    say(f"{count} tasks imported from {dump}")


@app.command("export-state")
def export_state(context: typer.Context, file: DumpFile = None, state_dir: StateDir = None) -> None:
    """Write every task of the state folder to a JSON state dump. No engine may run on it.

    \b
    Example:
      venom-engine export-state backup.json
    """
    settings = _settings(state_dir or context.obj.state_dir)
    from venom_engine.store.dump import export_dump

    dump = file or settings.state_file_path
    with errors_told():
        count = asyncio.run(export_dump(settings.venom_state_dir, dump))
    say(f"{count} tasks exported to {dump}")


def main() -> int:
    """The command `venom-engine`; its exit code."""
    return ended(app)


def _settings(state_dir: Path | None) -> Settings:
    try:
        return Settings(venom_state_dir=state_dir) if state_dir else Settings()
    except ValidationError as error:
        for each in error.errors(include_url=False, include_context=False, include_input=False):
            name = ".".join(str(part) for part in each["loc"]).upper()
            say(f"Error: the setting {name} cannot be used: {each['msg']}.")
        say("       Nothing was started.\n       Mend it in the environment or in .env.")
        raise typer.Exit(MISUSED) from None


@contextmanager
def _one_error() -> Iterator[None]:
    """Out of a group of errors, the one to tell; what nobody expected goes to the log with its trace."""
    try:
        yield
    except VenomError:
        raise
    except asyncio.CancelledError:
        raise typer.Exit(REFUSED) from None
    except BaseExceptionGroup as group:
        told = _first_told(group)
        if told is not None:
            raise told from group
        _crashed(group)
    except Exception as error:
        _crashed(error)


def _first_told(error: BaseException) -> VenomError | None:
    if isinstance(error, BaseExceptionGroup):
        return next((found for each in error.exceptions if (found := _first_told(each))), None)
    return error if isinstance(error, VenomError) else None


def _crashed(error: BaseException) -> None:
    logging.getLogger("venom_engine").critical("the engine ended by an error nobody expected", exc_info=error)
    raise typer.Exit(REFUSED) from None
