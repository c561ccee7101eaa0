"""What a node can do. A module of your own needs only what is exported here."""

from spore.skills.base import Skill, SkillContext, SkillFailed

__all__ = ["Skill", "SkillContext", "SkillFailed"]
