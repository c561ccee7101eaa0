"""Every knob of the engine, read once at the edge and passed down.

A setting's environment variable is its name in capitals; a `.env` file in the working folder is read.
"""

from pathlib import Path

from platformdirs import user_state_path
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def default_state_dir() -> Path:
    """The user's own state folder, such as ~/.local/state/venom."""
    return user_state_path("venom")


class Settings(BaseSettings):
    """Every knob of the engine. docs/settings.md is kept equal to it by a test."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_file=".env", env_ignore_empty=True, use_attribute_docstrings=True
    )

    venom_state_dir: Path = Field(default_factory=default_state_dir)
    """Where the engine keeps its database, tokens and lock. One engine at a time."""
    venom_token: SecretStr | None = None
    """The operator token. None: made at first start and kept in `token` in the state folder."""
    state_file_path: Path = Path("data/memory/state_dump.json")
    """The original's JSON dump, for `import-state` and `export-state`."""
    default_skill: str = "Echo.run"
    """What a task with only `content` runs: `Skill.method`, called with `content`."""

    enable_queue_limits: bool = True
    """Whether `MAX_CONCURRENT_TASKS` counts."""
    max_concurrent_tasks: int | None = Field(default=None, ge=1)
    """The most tasks at a time, over all nodes. None: only the nodes' slots limit."""

    enable_nexus: bool = True
    """Whether nodes may connect to `/ws/nodes`."""
    nexus_shared_token: SecretStr | None = None
    """What a node must present. None: made at first start and kept in `node-token` in the state folder."""
    nexus_port: int | None = Field(default=None, ge=1, le=65535)
    """A second port that listens for nodes, beside the API's own."""
    nexus_heartbeat_timeout: float = Field(default=60, gt=0)
    """Seconds of silence after which a node is marked offline."""
    nexus_health_check_interval: float = Field(default=30, gt=0)
    """Seconds between two looks for silent nodes."""
    node_heartbeat_seconds: float = Field(default=5, gt=0)
    """How often nodes are asked to report."""
    lease_seconds: float = Field(default=30, gt=0)
    """A task whose node cannot renew for this long goes back to the queue."""
    local_slots: int = Field(default=16, ge=1, le=10_000)
    """How many tasks the engine's own node runs at a time."""
    local_skills: str = ""
    """Modules with skills for the engine's own node, separated by commas."""
    drain_seconds: float = Field(default=10, ge=0)
    """How long a stopping engine lets its own node's tasks end by themselves."""
    output_limit_bytes: int = Field(default=2 * 1024 * 1024, ge=4096)
    """How much of a task's output is kept; past it, the first and the last half."""
    event_limit: int = Field(default=1_000_000, ge=1000)
    """How many events are kept; the stage logs of tasks that ended before those go with them."""
