"""Skills of your own: a plain module with marked functions.

Keep it where Python finds it, and name it to the Spore: `venom-spore --nexus URL --skills my_skill`.
"""

from spore.skills.base import SkillContext
from venom_engine import skill


@skill("Words.count")
def count(text: str) -> dict[str, int]:
    """How often each word occurs. A plain function runs in a thread."""
    words = text.split()
    return {word: words.count(word) for word in sorted(set(words))}


@skill("Words.spell")
async def spell(text: str, context: SkillContext) -> str:
    """Letter by letter; the lines are seen while it runs."""
    for number, letter in enumerate(text, start=1):
        await context.output(f"{letter}\n")
        context.progress(number / len(text))
    return text.upper()
