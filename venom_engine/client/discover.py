"""Finds the engine that somebody means, and its token; starts one in the background when asked.

Owns: the order in which an address is looked for (argument, environment, `.env`, state folder).
Never: hands the state folder's token to another machine.
Standard library and the state folder only, so that the console can call it before its first paint.
"""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from venom_engine.protocol.address import clean_url, is_loopback
from venom_engine.protocol.errors import EngineUnreachable, VenomError
from venom_engine.store.folder import TOKEN, RunningEngine, read_secret, running_engine_on

DEFAULT_PORT = 8000
LOG = "engine.log"
#: Past this the log of a background engine starts anew; the one before is kept beside it.
LOG_LIMIT_BYTES = 10 * 1024 * 1024
_TAIL_BYTES = 3000
_LOOK_SECONDS = 0.05

#: Background engines that this process started: kept so that they are reaped when they end.
_started: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the environment and `.env` say."""

    engine: str | None
    token: str | None
    state_dir: Path


def surroundings(state_dir: Path | None = None) -> Surroundings:
    """Read VENOM_ENGINE, VENOM_TOKEN and VENOM_STATE_DIR; an argument goes before them."""
    from pydantic import SecretStr
    from pydantic_settings import BaseSettings, SettingsConfigDict

    from venom_engine.settings import default_state_dir

    class Told(BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix="VENOM_", env_file=".env", env_ignore_empty=True, extra="ignore"
        )

        engine: str | None = None
        token: SecretStr | None = None
        state_dir: Path | None = None

    told = Told()
    token = told.token.get_secret_value() if told.token else None
    return Surroundings(told.engine, token, state_dir or told.state_dir or default_state_dir())


def find_engine(state_dir: Path) -> RunningEngine | None:
    """The live engine of this state folder; its `url` is None while it serves nobody."""
    return running_engine_on(state_dir)


def resolve(
    engine_url: str | None = None, token: str | None = None, state_dir: Path | None = None
) -> tuple[str, str | None]:
    """The address of the engine that is meant, and the token for it (None: none is known).

    Raises EngineUnreachable when no address is given and no engine serves the state folder;
    BadRequest for an address that is none.
    """
    told = surroundings(state_dir)
    here = find_engine(told.state_dir)
    own_url = here.url if here else None
    given = engine_url or told.engine
    url = clean_url(given) if given else own_url
    if url is None:
        raise _nobody(told.state_dir, here)
    token = token or told.token
    if token is None and (url == own_url or is_loopback(urlsplit(url).hostname or "")):
        token = read_secret(told.state_dir / TOKEN)
    return url, token


def start_background(state_dir: Path, *, timeout: float = 15) -> RunningEngine:
    """Start an engine on this folder that outlives us, and wait until it answers. Blocks.

    One that runs already, or that another process starts at the same moment, is taken. Raises
    VenomError with the end of its log when it does not come up.
    """
    if (engine := find_engine(state_dir)) and engine.url and answers(engine.url):
        return engine
    log = state_dir / LOG
    started, log_begins = _spawned(state_dir, log)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        ended = started.poll() is not None
        engine = find_engine(state_dir)
        if engine and engine.url and answers(engine.url):
            return engine
        if ended and engine is None:
            raise _stillborn(
                f"The engine ended at its start with exit code {started.returncode}.", log, log_begins
            )
        time.sleep(_LOOK_SECONDS)
    raise _stillborn(f"The engine did not answer within {timeout:g} s.", log, log_begins)


def stop_background(state_dir: Path, *, timeout: float = 30) -> None:
    """Ask the engine of this folder to end, and wait until it has. Blocks; harmless when none runs."""
    engine = find_engine(state_dir)
    if engine is None or engine.pid == 0:
        return
    try:
        os.kill(engine.pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + timeout
    # pid 0: its announcement is gone already, its lock not yet.
    while (left := find_engine(state_dir)) and left.pid in (engine.pid, 0):
        if time.monotonic() > deadline:
            raise VenomError(
                f"The engine with pid {engine.pid} has not ended within {timeout:g} s.",
                kept="It was asked to, and may still be finishing tasks.",
                do=f"Look at {state_dir / LOG}, or kill {engine.pid}.",
            )
        time.sleep(_LOOK_SECONDS)
    for process in _started:
        process.poll()


def answers(url: str, *, timeout: float = 2) -> bool:
    """Whether an engine answers there."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{url}/healthz", timeout=timeout) as answer:
            return b"venom-engine" in answer.read(10_000)
    except (OSError, ValueError, urllib.error.URLError):
        return False


def _spawned(state_dir: Path, log: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The new process, and where its part of the log begins."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if log.exists() and log.stat().st_size > LOG_LIMIT_BYTES:
            log.replace(log.with_suffix(".log.1"))
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise VenomError(
            f"The state folder {state_dir} cannot be used: {error.strerror}.",
            kept="No engine was started.",
            do="Make it writable, or choose another with --state-dir.",
        ) from error
    log_begins = os.fstat(output).st_size
    port = DEFAULT_PORT if _is_free(DEFAULT_PORT) else 0
    command = [sys.executable, "-m", "venom_engine", "--port", str(port), "--state-dir", str(state_dir)]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    finally:
        os.close(output)
    _started.append(process)
    return process, log_begins


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _nobody(state_dir: Path, here: RunningEngine | None) -> EngineUnreachable:
    if here is not None:
        who = f"The engine with pid {here.pid}" if here.pid else "An engine"
        return EngineUnreachable(
            f"{who} owns the state folder {state_dir}, but serves nobody: it starts just now, or runs in a program.",
            kept="Nothing was sent.",
            do="Try again in a moment, or name another engine with --engine URL.",
        )
    return EngineUnreachable(
        f"No engine runs on the state folder {state_dir}.",
        kept="Nothing was sent.",
        do="Start one with `venom-engine`, or name one with --engine URL (or VENOM_ENGINE).",
    )


def _stillborn(what: str, log: Path, log_begins: int) -> VenomError:
    try:
        with log.open("rb") as file:
            file.seek(max(log_begins, log.stat().st_size - _TAIL_BYTES))
            tail = file.read().decode(errors="replace").strip()
    except OSError:
        tail = ""
    told = f" The end of its log:\n{tail}\n" if tail else ""
    return VenomError(f"{what}{told}", kept="Tasks on disk are untouched.", do=f"See {log}.")
