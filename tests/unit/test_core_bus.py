"""The bus tells in order, and drops who is too slow without delaying anybody."""

from datetime import UTC, datetime

import pytest

from venom_engine.core.bus import BEHIND, EventBus
from venom_engine.protocol.errors import EngineUnreachable
from venom_engine.protocol.event import Event, EventType

NOW = datetime.now(UTC)


def an_event(seq: int | None, kind: str = EventType.TASK_NOTE) -> Event:
    return Event(type=kind, message="", timestamp=NOW, seq=seq)


async def test_a_slow_reader_gets_a_gap_and_is_dropped() -> None:
    """It learns after which number it missed something; another reader missed nothing."""
    bus = EventBus()
    with bus.watching(output=False, load=False) as slow, bus.watching(output=False, load=False) as quick:
        heard = 0
        for seq in range(1, BEHIND + 3):
            bus.publish([an_event(seq)])
            if seq % 1000 == 0:
                quick_events = quick.events()
                heard += len([await anext(quick_events) for _ in range(1000)])
        last = [event async for event in slow.events()][-2:]

    assert heard == BEHIND
    assert last[0].seq == BEHIND
    assert (last[1].type, last[1].data) == (EventType.GAP, {"after": BEHIND, "before": BEHIND + 1})


async def test_output_and_load_come_only_to_those_who_asked() -> None:
    """A thousand lines a second are nothing to a watcher of the queue."""
    bus = EventBus()
    with bus.watching(output=False, load=True) as watcher:
        bus.publish([an_event(None, EventType.TASK_OUTPUT), an_event(None, EventType.NODE_LOAD), an_event(1)])
        bus.close()
        events = watcher.events()
        kinds = [(await anext(events)).type for _ in range(2)]
        with pytest.raises(EngineUnreachable):
            await anext(events)

    assert kinds == [EventType.NODE_LOAD, EventType.TASK_NOTE]


async def test_an_event_is_encoded_once() -> None:
    """However many watch."""
    event = an_event(7)

    assert event.frame() is event.frame()
    assert Event.model_validate_json(event.frame()).seq == 7
