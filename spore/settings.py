"""Every knob of the Spore, read once at the edge and passed down.

A setting's environment variable is `SPORE_` and its name in capitals; a `.env` file in the working
folder is read.
"""

import os
import re
import socket
from pathlib import Path
from typing import Annotated

from platformdirs import user_state_path
from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from venom_engine.protocol.node import NodeText


def default_name() -> str:
    """This machine's name."""
    return re.sub(r"[^\w.-]", "-", socket.gethostname())[:120] or "spore"


def default_slots() -> int:
    """One for each core, and at least four: most tasks wait more than they compute."""
    return max(4, os.cpu_count() or 1)


def _split(value: object) -> object:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


Comma = (NoDecode, BeforeValidator(_split))


class SporeSettings(BaseSettings):
    """Every knob of the Spore."""

    model_config = SettingsConfigDict(
        env_prefix="SPORE_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )

    node_name: NodeText = Field(default_factory=default_name)
    """What operators call this node."""
    node_tags: Annotated[tuple[NodeText, ...], *Comma] = ()
    """Comma-separated, such as `gpu,location:server_room`."""
    nexus_host: str = "localhost"
    """Where the engine is."""
    nexus_port: int = Field(default=8000, ge=1, le=65535)
    """The engine's port."""
    nexus_url: str | None = None
    """The engine's whole address (ws, wss, http or https), instead of host and port."""
    shared_token: SecretStr | None = None
    """What the engine calls NEXUS_SHARED_TOKEN. None: read from the state folder of an engine on this machine."""
    enable_shell: bool = True
    """Whether this node has the ShellSkill."""
    enable_file: bool = True
    """Whether this node has the FileSkill."""
    skills: Annotated[tuple[str, ...], *Comma] = ()
    """Modules with skills of your own, comma-separated."""
    slots: int = Field(default_factory=default_slots, ge=1, le=10_000)
    """How many tasks run at a time."""
    heartbeat_interval: float = Field(default=30, gt=0)
    """The longest silence, in seconds. The engine may ask for heartbeats more often."""
    drain_seconds: float = Field(default=0, ge=0)
    """How long a stopping node lets its tasks end by themselves before it interrupts them."""
    state_dir: Path = Field(default_factory=lambda: user_state_path("venom-spore"))
    """Where the node keeps its identity, and answers that it could not hand over."""
    workspace: Path | None = None
    """The folder of the node's tasks. None: `workspace` in the state folder."""
