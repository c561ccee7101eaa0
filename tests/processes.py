"""Engines and Spores as real processes, for tests that want what a user has."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from threading import Condition, Thread
from typing import Protocol

from venom_engine.settings import Settings

REPO = Path(__file__).resolve().parents[1]
START_SECONDS = 20


def configures_us(variable: str) -> bool:
    """Whether this environment variable is one of our settings."""
    name = variable.upper()
    return name.startswith(("VENOM_", "SPORE_")) or name.lower() in Settings.model_fields


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without anything that would configure us, plus `extra`."""
    kept = {name: value for name, value in os.environ.items() if not configures_us(name)}
    return {**kept, "PYTHONPATH": str(REPO), "PYTHONUNBUFFERED": "1", **extra}


class RunningProcess:
    """A process of ours: in a session of its own, heard on stderr, ended for certain."""

    def __init__(self, module: str, *arguments: str, folder: Path, env: dict[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.command = [sys.executable, "-m", module, *arguments]
        self.folder, self.env = folder, env
        self._news = Condition()
        self.start()

    def start(self) -> None:
        """Start it, or start it again with the same arguments."""
        self._said, self._silent = "", False
        self._process = subprocess.Popen(
            self.command,
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = Thread(target=self._read, args=(self._process,), daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    @property
    def said(self) -> str:
        """Everything on stderr since the last start."""
        with self._news:
            return self._said

    def hear(self, pattern: str, timeout: float = START_SECONDS) -> re.Match[str]:
        """Wait until stderr says so. Fails when the process ends, or stays silent, before that."""
        with self._news:
            self._news.wait_for(lambda: self._silent or re.search(pattern, self._said), timeout)
            found = re.search(pattern, self._said)
            if found is None:
                state = "ended" if self._silent else f"did not in {timeout:g} s"
                raise AssertionError(f"{self.command[2:]} was to say {pattern!r}, but {state}:\n{self._said}")
            return found

    def signal(self, number: int) -> None:
        """Send a signal to the process itself."""
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        self._process.kill()
        self.wait()

    def stop(self, timeout: float = 20) -> int:
        """Ask it to end (TERM), and wait. The exit code; fails when it does not end."""
        if self.exit_code is None:
            self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def wait(self, timeout: float = 20) -> int:
        """Wait until it has ended by itself. The exit code."""
        code = self._process.wait(timeout)
        self._reader.join(timeout)
        return code

    def end(self) -> None:
        """Leave nothing behind, whatever the test did."""
        try:
            self.stop(timeout=15)
        except subprocess.TimeoutExpired:
            self.kill()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                with self._news:
                    self._said += line
                    self._news.notify_all()
        with self._news:
            self._silent = True
            self._news.notify_all()


class EngineProcess(RunningProcess):
    """`python -m venom_engine` on a free port and a state folder of its own."""

    def __init__(self, state_dir: Path | str, *arguments: str, **env: str) -> None:
        self.state_dir = Path(state_dir)
        self.url = ""
        super().__init__(
            "venom_engine",
            "--port",
            "0",
            "--state-dir",
            str(state_dir),
            *arguments,
            folder=self.state_dir.parent,
            env=clean_environment(**env),
        )
        self.ready()

    def ready(self, timeout: float = START_SECONDS) -> str:
        """Wait until it accepts. Its URL. One that does not get so far is ended."""
        try:
            self.url = self.hear(r'ready on (https?://[^\s,;"]+)', timeout)[1]
        except AssertionError:
            self.kill()
            raise
        return self.url

    def restart(self, *, kill: bool = True) -> None:
        """End it (by default as a power cut would) and start it again on the same folder and port."""
        if kill:
            self.kill()
        else:
            self.stop()
        self.command[self.command.index("--port") + 1] = self.url.rsplit(":", 1)[1]
        self.start()
        self.ready()

    @property
    def token(self) -> str:
        """The operator token."""
        return (self.state_dir / "token").read_text().strip()

    @property
    def node_token(self) -> str:
        """What nodes present."""
        return (self.state_dir / "node-token").read_text().strip()


class SporeProcess(RunningProcess):
    """`python -m spore` that connects to an engine's URL, with folders of its own."""

    def __init__(
        self, folder: Path, url: str, token: str, *arguments: str, name: str = "spore-1", **env: str
    ) -> None:
        self.name = name
        self.workspace = folder / "workspace"
        super().__init__(
            "spore",
            "--nexus",
            url,
            "--name",
            name,
            "--state-dir",
            str(folder / "state"),
            "--workspace",
            str(self.workspace),
            *arguments,
            folder=folder,
            env=clean_environment(SPORE_SHARED_TOKEN=token, **env),
        )


class EngineStarter(Protocol):
    def __call__(self, *arguments: str, state_dir: Path | str | None = None, **env: str) -> EngineProcess:
        """Start an engine; `env` are settings by their variable's name."""


class SporeStarter(Protocol):
    def __call__(
        self, engine: EngineProcess, *arguments: str, name: str = "spore-1", **env: str
    ) -> SporeProcess:
        """Start a Spore of that engine; `env` are settings by their variable's name."""
