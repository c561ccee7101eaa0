"""Submit a task from Python, print its lines as they come, then its result and its stage log.

With VENOM_ENGINE set it speaks to that engine; without, it runs an engine inside this program.
"""

import asyncio
import os

from venom_engine import open_engine
from venom_engine.client.wait import follow, wait_for
from venom_engine.protocol.task import TaskRequest


async def main() -> None:
    """One task, the whole way."""
    async with open_engine(os.environ.get("VENOM_ENGINE")) as engine:
        accepted = await engine.submit(TaskRequest(content="!for i in 1 2 3; do echo line $i; done"))
        async for chunk in follow(engine, accepted.task_id):
            print(chunk.text, end="")
        task = await wait_for(engine, accepted.task_id)
        print(task.status, task.result)
        print(*task.logs, sep="\n")


if __name__ == "__main__":
    asyncio.run(main())
