"""Following one task: nothing lost, nothing twice, and always an end."""

import asyncio
from contextlib import aclosing
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.builders import a_task_request
from venom_engine import open_engine
from venom_engine.client.base import EngineClient
from venom_engine.client.wait import follow, wait_for
from venom_engine.protocol.errors import NotFound
from venom_engine.protocol.task import OutputChunk, Requirements, TaskStatus

NOBODY = Requirements(tags=("a-tag-that-no-node-has",))
COUNTS = "!for i in $(seq 40); do echo line $i; sleep 0.01; done"
COUNTED = "".join(f"line {n}\n" for n in range(1, 41))


async def followed(engine: EngineClient, task_id: UUID, after: int = 0) -> list[OutputChunk]:
    async with asyncio.timeout(30), aclosing(follow(engine, task_id, after=after)) as chunks:
        return [chunk async for chunk in chunks]


async def test_followers_see_everything_once_whenever_they_come(state_dir: Path) -> None:
    """From the first moment, from the middle, from the end: the same chunks in the same order."""
    async with open_engine(state_dir=state_dir) as engine:
        task_id = (await engine.submit(a_task_request(COUNTS))).task_id
        early = asyncio.create_task(followed(engine, task_id))
        async with aclosing(follow(engine, task_id)) as chunks:
            first = await anext(chunks)
            middle = asyncio.create_task(followed(engine, task_id))
            rest = [chunk async for chunk in chunks]
        late = await followed(engine, task_id)

        assert "".join(chunk.text for chunk in late) == COUNTED
        assert await early == await middle == [first, *rest] == late
        assert [chunk.n for chunk in late] == sorted({chunk.n for chunk in late})
        assert await followed(engine, task_id, after=late[0].n) == late[1:]
        assert (await wait_for(engine, task_id)).status is TaskStatus.COMPLETED


@pytest.mark.parametrize("order", ["abort", "purge", "emergency_stop"])
async def test_a_stop_ends_whoever_waits(state_dir: Path, order: str) -> None:
    """A purge and an emergency stop tell no end of each task; who waits learns it all the same."""
    async with open_engine(state_dir=state_dir) as engine, asyncio.timeout(30):
        task_id = (await engine.submit(a_task_request(requirements=NOBODY))).task_id
        waiting = asyncio.create_task(wait_for(engine, task_id))
        following = asyncio.create_task(followed(engine, task_id))
        await asyncio.sleep(0)
        if order == "abort":
            await engine.abort(task_id)
        else:
            await getattr(engine, order)()
        assert (await waiting).status is TaskStatus.ABORTED
        assert await following == []


async def test_an_unknown_task_is_said_at_once(state_dir: Path) -> None:
    """NotFound, and no waiting for what will never come."""
    async with open_engine(state_dir=state_dir) as engine, asyncio.timeout(30):
        with pytest.raises(NotFound):
            await wait_for(engine, uuid4())
        with pytest.raises(NotFound):
            await followed(engine, uuid4())
