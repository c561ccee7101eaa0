"""Keeps what calls printed and answered until the engine says that it is stored.

Owns: the parcels of all calls, whose turn it is, the order (a call's answer after all of its output),
and what has to be sent again in a new session.
Full: while a session is up the skill waits; while the engine is away the middle is cut, and said so.
Never: sends, waits, or looks at a clock.
"""

from collections.abc import Callable, Iterator

from spore.parcel import PIECE_BYTES, UNSTORED_BYTES, Parcel
from spore.skills.base import Stream
from venom_engine.protocol.messages import HeldTask, NodeResponse, OutputMessage, Stored


class Outbox:
    """The parcels of all calls, by request id. `on_forgotten` hears of each that is done with."""

    def __init__(self, on_forgotten: Callable[[Parcel], None] = lambda parcel: None) -> None:
        self._on_forgotten = on_forgotten
        self._parcels: dict[str, Parcel] = {}
        self._ready: dict[str, Parcel] = {}  # insertion order is whose turn it is
        self._away = True
        self._confirmed = True
        self.answers_size = 0
        """Encoded bytes of the results that wait here."""

    def __len__(self) -> int:
        return len(self._parcels)

    def __contains__(self, request_id: str) -> bool:
        return request_id in self._parcels

    def __iter__(self) -> Iterator[Parcel]:
        return iter(list(self._parcels.values()))

    @property
    def away(self) -> bool:
        """Whether no session is up."""
        return self._away

    def to_renew(self) -> tuple[str, ...]:
        """What a heartbeat names. An answer that is under way needs no lease any more."""
        return tuple(key for key, parcel in self._parcels.items() if not parcel.response_given)

    def held(self) -> tuple[HeldTask, ...]:
        """What a handshake names: calls that run, and those whose answer is kept."""
        return tuple(
            HeldTask(request_id=parcel.request_id, task_id=parcel.task_id, attempt=parcel.attempt)
            for parcel in self._parcels.values()
        )

    def begin(self, *, confirmed: bool) -> None:
        """A session is up. `confirmed`: its engine says STORED; else output is unwanted, and sent is done."""
        self._away = False
        self._confirmed = confirmed
        if not confirmed:
            for parcel in self._parcels.values():
                parcel.forget_output()
        self._ready = {key: parcel for key, parcel in self._parcels.items() if parcel.has_news}

    def end(self) -> None:
        """The session is over: what was not stored will be sent again."""
        self._away = True
        for parcel in self._parcels.values():
            parcel.rewind()

    def open(self, request_id: str, task_id: str | None, attempt: int) -> None:
        """A call begins."""
        self._parcels[request_id] = Parcel(request_id, task_id, attempt)

    def restore(self, parcel: Parcel) -> None:
        """A call that had ended, from an earlier run of this node."""
        self._parcels[parcel.request_id] = parcel
        self.answers_size += parcel.response_size

    def add(self, request_id: str, stream: Stream, text: str, at: float) -> None:
        """The call printed. Only of tasks is output kept: nobody looks at that of a direct call."""
        parcel = self._parcels.get(request_id)
        if parcel is None or parcel.task_id is None or not self._confirmed:
            return
        for start in range(0, len(text), PIECE_BYTES):
            parcel.add(stream, text[start : start + PIECE_BYTES], at)
        self._ready[request_id] = parcel
        if self._away and parcel.size > UNSTORED_BYTES:
            parcel.cut_middle()

    def set_progress(self, request_id: str, fraction: float) -> None:
        """How far the call is. Only the newest word is kept, and only until it is sent."""
        parcel = self._parcels.get(request_id)
        if parcel is not None and parcel.task_id is not None and self._confirmed:
            parcel.progress = fraction
            self._ready[request_id] = parcel

    def is_full(self, request_id: str) -> bool:
        """Whether the call should wait before it prints more."""
        parcel = self._parcels.get(request_id)
        return parcel is not None and not self._away and parcel.size > UNSTORED_BYTES

    def finish(self, response: NodeResponse, size: int) -> None:
        """The call has ended."""
        parcel = self._parcels.get(response.request_id)
        if parcel is not None:
            parcel.finish(response, size)
            self.answers_size += size
            self._ready[response.request_id] = parcel

    def take(self, now: float) -> OutputMessage | NodeResponse | None:
        """The next frame to send; None when nothing is due."""
        for request_id, parcel in self._ready.items():
            if parcel.due_at() <= now:
                frame = parcel.next_frame(now)
                del self._ready[request_id]
                if parcel.has_news:
                    self._ready[request_id] = parcel
                return frame
        return None

    def due_in(self, now: float) -> float | None:
        """Seconds until `take` has something; None when nothing waits."""
        return max(0.0, min(p.due_at() for p in self._ready.values()) - now) if self._ready else None

    def was_sent(self, frame: OutputMessage | NodeResponse) -> None:
        """The link took the frame. An answer that nobody will confirm is done with."""
        parcel = self._parcels.get(frame.request_id)
        if isinstance(frame, NodeResponse) and parcel and (parcel.task_id is None or not self._confirmed):
            self.forget(frame.request_id)

    def stored(self, note: Stored) -> None:
        """The engine has these on disk."""
        for request_id, number in note.output.items():
            if request_id in self._parcels:
                self._parcels[request_id].forget_through(number)
        for request_id in note.responses:
            parcel = self._parcels.get(request_id)
            if parcel is not None and parcel.response is not None:
                self.forget(request_id)

    def forget(self, request_id: str) -> None:
        """Nobody waits for it."""
        parcel = self._parcels.pop(request_id, None)
        self._ready.pop(request_id, None)
        if parcel is not None:
            self.answers_size -= parcel.response_size
            self._on_forgotten(parcel)

    def send_again(self, request_id: str) -> None:
        """The engine asked once more for a call that has ended."""
        parcel = self._parcels.get(request_id)
        if parcel is not None and parcel.response is not None:
            parcel.response_given = False
            self._ready[request_id] = parcel
