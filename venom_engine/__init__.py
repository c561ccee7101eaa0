"""The headless engine: takes tasks, keeps them, places them on nodes, tells whoever listens.

What a user's own code needs is here: `open_engine` and `skill`. Both are found on first use,
so that a Spore, which needs only `venom_engine.protocol`, never loads the store or the web server.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "open_engine", "skill"]

if TYPE_CHECKING:
    from venom_engine.client.open import open_engine
    from venom_engine.protocol.skill import skill


def __getattr__(name: str) -> Any:
    if name == "open_engine":
        from venom_engine.client.open import open_engine

        return open_engine
    if name == "skill":
        from venom_engine.protocol.skill import skill

        return skill
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
