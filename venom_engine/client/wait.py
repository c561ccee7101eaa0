"""Following one task to its end, through whichever client.

Both listen first and look afterwards, so that nothing falls between.
"""

from collections.abc import AsyncGenerator
from uuid import UUID

from venom_engine.client.base import EngineClient
from venom_engine.protocol.errors import EngineUnreachable
from venom_engine.protocol.event import Event, EventType
from venom_engine.protocol.task import OutputChunk, VenomTask

_PAGE = 1000
_ENDS = frozenset({EventType.TASK_COMPLETED, EventType.TASK_FAILED, EventType.TASK_ABORTED})
#: After these a task may have ended without a word of its own.
_LOOK_AGAIN = frozenset({EventType.QUEUE_PURGED, EventType.EMERGENCY_STOP})


async def wait_for(client: EngineClient, task_id: UUID) -> VenomTask:
    """The task once it has ended. NotFound when there is none; EngineUnreachable when the engine goes away."""
    while True:
        async with client.watch() as events:
            task = await client.task(task_id)
            if task.status.is_final:
                return task
            async for event in events:
                if event.type == EventType.GAP:
                    break  # We were too slow and are told nothing more: listen anew.
                if _may_have_ended(event, task_id):
                    task = await client.task(task_id)
                    if task.status.is_final:
                        return task
            else:
                raise _gone(task_id)


async def follow(client: EngineClient, task_id: UUID, *, after: int = 0) -> AsyncGenerator[OutputChunk, None]:
    """What the task prints, live and from the start (or after chunk `after`), until it has ended.

    Each chunk once and in order. NotFound when there is no such task; EngineUnreachable when the
    engine goes away.
    """
    seen, ended = after, False
    while not ended:
        async with client.watch(output=True) as events:
            ended = (await client.task(task_id)).status.is_final
            async for chunk in printed(client, task_id, after=seen):
                seen = chunk.n
                yield chunk
            while not ended:
                event = await anext(events, None)
                if event is None:
                    raise _gone(task_id)
                if event.type == EventType.GAP:
                    break
                live = _output_of(event, task_id)
                if live is not None and live.n == seen + 1:
                    seen = live.n
                    yield live
                    continue
                ended = _may_have_ended(event, task_id) and (await client.task(task_id)).status.is_final
                if ended or (live is not None and live.n > seen):
                    async for chunk in printed(client, task_id, after=seen):
                        seen = chunk.n
                        yield chunk


async def printed(
    client: EngineClient, task_id: UUID, *, after: int = 0
) -> AsyncGenerator[OutputChunk, None]:
    """All that is kept of the task's output after chunk `after`, page by page."""
    while page := await client.output(task_id, after=after, limit=_PAGE):
        for chunk in page:
            yield chunk
        after = page[-1].n
        if len(page) < _PAGE:
            return


def _may_have_ended(event: Event, task_id: UUID) -> bool:
    if event.type in _LOOK_AGAIN:
        return True
    return event.type in _ENDS and event.data.get("task_id") == str(task_id)


def _output_of(event: Event, task_id: UUID) -> OutputChunk | None:
    if event.type != EventType.TASK_OUTPUT or event.data.get("task_id") != str(task_id):
        return None
    return OutputChunk.model_validate({"timestamp": event.timestamp, **event.data})


def _gone(task_id: UUID) -> EngineUnreachable:
    return EngineUnreachable(
        "The engine stopped while it was watched.",
        kept=f"Task {task_id} is on disk.",
        do=f"Start the engine again, then look at the task: venom show {task_id}",
    )
