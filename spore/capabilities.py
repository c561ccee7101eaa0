"""What this machine can do, and how loaded it is."""

import os
import shutil
import sys
import time
from collections.abc import Iterable
from glob import glob

import psutil

from venom_engine import __version__
from venom_engine.protocol.node import Capabilities

#: psutil compares with its last reading; over a shorter time the figure says nothing.
MIN_READING_SECONDS = 0.5


def node_capabilities(skills: Iterable[str], *, tags: Iterable[str] = (), slots: int = 1) -> Capabilities:
    """The machine's, together with what the node was told about itself."""
    return Capabilities(
        skills=tuple(skills),
        tags=tuple(dict.fromkeys(tags)),
        cpu_cores=os.cpu_count() or 1,
        memory_mb=psutil.virtual_memory().total // (1024 * 1024),
        has_gpu=has_gpu(),
        has_docker=has_docker(),
        platform=sys.platform,
        slots=slots,
        version=__version__,
    )


def has_gpu() -> bool:
    """An NVIDIA device, or its tool."""
    return bool(glob("/dev/nvidia[0-9]*")) or shutil.which("nvidia-smi") is not None


def has_docker() -> bool:
    """A docker command, or the daemon's socket."""
    return shutil.which("docker") is not None or os.path.exists("/var/run/docker.sock")


class LoadMeter:
    """CPU and memory of the whole machine, each 0.0 to 1.0."""

    def __init__(self) -> None:
        psutil.cpu_percent(interval=None)
        self._at = time.monotonic()
        self._cpu = 0.0

    def read(self) -> tuple[float, float]:
        """CPU since the last reading, and memory now."""
        now = time.monotonic()
        if now - self._at >= MIN_READING_SECONDS:
            self._at, self._cpu = now, _unit(psutil.cpu_percent(interval=None))
        return self._cpu, _unit(psutil.virtual_memory().percent)


def _unit(percent: float) -> float:
    return min(1.0, max(0.0, percent / 100.0))
