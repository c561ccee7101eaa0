"""The Spore's own errors, beside the tree in `venom_engine.protocol.errors`.

SkillsUnusable   a skill module cannot be loaded, or two skills have one name
NodeIdentityHeld another Spore runs on this state folder
LinkRefused      the engine does not want this node; trying again would not help
"""

from typing import ClassVar

from venom_engine.protocol.errors import VenomError
from venom_engine.protocol.messages import LinkClosed


class SkillsUnusable(VenomError):
    """A module of skills cannot be used as it is."""

    code: ClassVar[str] = "skills_unusable"


class NodeIdentityHeld(VenomError):
    """Two Spores with one identity would end each other's tasks."""

    code: ClassVar[str] = "node_identity_held"


class LinkRefused(LinkClosed):
    """The engine said no: most often a wrong token."""
