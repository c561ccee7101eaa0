"""Echo, the skill that a task with only `content` runs out of the box."""

from spore.skills.base import Skill


class Echo(Skill):
    """Says back what it was given."""

    async def run(self, content: str) -> str:
        """`Processed: ` and the content."""
        return f"Processed: {content}"
