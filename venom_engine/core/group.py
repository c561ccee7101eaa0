"""A TaskGroup whose block may raise its own errors without finding them wrapped in a group."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def loops_beside() -> AsyncIterator[asyncio.TaskGroup]:
    """Loops that live no longer than the block; one that dies ends the block, with its error."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        if len(errors.exceptions) == 1:
            raise errors.exceptions[0] from errors.exceptions[0].__cause__
        raise
