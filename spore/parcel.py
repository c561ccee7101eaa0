"""All of one call that the engine has not stored: its output in numbered pieces, and its answer.

Owns: the numbers, the batching, and which part is cut when too much has come together.
Never: sends, waits, or looks at a clock.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from spore.skills.base import Stream
from venom_engine.protocol.messages import NodeResponse, OutputMessage, OutputPiece

#: Text of one stream is put together until it is this large or this old.
PIECE_BYTES = 32 * 1024
FLUSH_SECONDS = 0.05
#: What one OUTPUT message carries at most.
FRAME_BYTES = 256 * 1024
FRAME_PIECES = 1000
#: What is kept unstored for one call, and where a cut begins and ends.
UNSTORED_BYTES = 4 * 1024 * 1024
HEAD_BYTES = 1024 * 1024
AFTER_CUT_BYTES = 3 * 1024 * 1024
#: What a piece costs beside its text.
PIECE_COST = 200


@dataclass(slots=True)
class _Kept:
    piece: OutputPiece
    size: int
    cut: int = 0  #: Bytes that this piece stands for, when it is the mark of a cut.


@dataclass(slots=True)
class _Draft:
    stream: Stream
    at: float
    texts: list[str]
    size: int = 0


class Parcel:
    """All of one call that the engine has not stored."""

    __slots__ = (
        "attempt",
        "draft",
        "flushed_at",
        "number",
        "on_disk",
        "progress",
        "request_id",
        "response",
        "response_given",
        "response_size",
        "sent",
        "size",
        "task_id",
        "unsent",
        "unsent_size",
    )

    def __init__(self, request_id: str, task_id: str | None, attempt: int) -> None:
        self.request_id, self.task_id, self.attempt = request_id, task_id, attempt
        self.number = 0
        self.sent: deque[_Kept] = deque()
        self.unsent: deque[_Kept] = deque()
        self.draft: _Draft | None = None
        self.size = self.unsent_size = 0
        self.flushed_at = float("-inf")
        self.progress: float | None = None
        self.response: NodeResponse | None = None
        self.response_size = 0
        self.response_given = False
        self.on_disk = False

    @property
    def has_output(self) -> bool:
        return bool(self.unsent or self.draft or self.progress is not None)

    @property
    def has_news(self) -> bool:
        return self.has_output or (self.response is not None and not self.response_given)

    def due_at(self) -> float:
        """When the next frame should go."""
        if self.response is not None or self.unsent_size >= PIECE_BYTES:
            return float("-inf")
        return self.flushed_at + FLUSH_SECONDS

    @property
    def pieces(self) -> tuple[OutputPiece, ...]:
        """All that is not stored, in order; the draft is sealed for it."""
        self.seal()
        return tuple(kept.piece for kept in (*self.sent, *self.unsent))

    def restore(self, pieces: Iterable[OutputPiece]) -> None:
        """Take back what `pieces` gave in an earlier run."""
        for piece in pieces:
            self.number = piece.n
            self.unsent.append(_Kept(piece, len(piece.text.encode()) + PIECE_COST))
            self._grow(self.unsent[-1].size)

    def finish(self, response: NodeResponse, size: int) -> None:
        """The call has ended; `size` is that of its result."""
        self.response, self.response_size = response, size

    def add(self, stream: Stream, text: str, at: float) -> None:
        size = len(text) if text.isascii() else len(text.encode())
        draft = self.draft
        if draft is None or draft.stream != stream or draft.size + size > PIECE_BYTES:
            self.seal()
            draft = self.draft = _Draft(stream, at, [])
            self._grow(PIECE_COST)
        draft.texts.append(text)
        draft.size += size
        self._grow(size)

    def seal(self) -> None:
        """Make the draft a piece: from now on it has a number and does not change."""
        if self.draft is None:
            return
        draft, self.draft = self.draft, None
        self.number += 1
        piece = OutputPiece(n=self.number, stream=draft.stream, text="".join(draft.texts), at=draft.at)
        self.unsent.append(_Kept(piece, draft.size + PIECE_COST))

    def next_frame(self, now: float) -> OutputMessage | NodeResponse:
        self.seal()
        if not self.has_output and self.response is not None:
            self.response_given = True
            return self.response
        pieces: list[OutputPiece] = []
        size = 0
        while self.unsent and size < FRAME_BYTES and len(pieces) < FRAME_PIECES:
            kept = self.unsent.popleft()
            size += kept.size
            pieces.append(kept.piece)
            self.sent.append(kept)
        self.unsent_size -= size
        self.flushed_at = now
        progress, self.progress = self.progress, None
        return OutputMessage(request_id=self.request_id, pieces=tuple(pieces), progress=progress)

    def forget_through(self, number: int) -> None:
        while self.sent and self.sent[0].piece.n <= number:
            self.size -= self.sent.popleft().size
        # After a reconnect, the engine may have more than we have sent again.
        while self.unsent and self.unsent[0].piece.n <= number:
            size = self.unsent.popleft().size
            self.size -= size
            self.unsent_size -= size

    def rewind(self) -> None:
        """Nothing counts as sent any more."""
        self.unsent_size += sum(kept.size for kept in self.sent)
        self.unsent = self.sent + self.unsent
        self.sent = deque()
        self.response_given = False
        self.flushed_at = float("-inf")

    def forget_output(self) -> None:
        self.sent.clear()
        self.unsent.clear()
        self.draft = self.progress = None
        self.size = self.unsent_size = 0

    def cut_middle(self) -> None:
        """Keep the head and the tail. The numbers jump, and a `system` piece says why.

        The mark takes the last number of what was cut: an engine that had stored a part of it, and
        whose word for that got lost, still takes the mark.
        """
        head: deque[_Kept] = deque()
        head_size = 0
        while self.unsent and head_size < HEAD_BYTES:
            head.append(self.unsent.popleft())
            head_size += head[-1].size
        cut, last = 0, None
        while self.unsent and self.size > AFTER_CUT_BYTES:
            last = self.unsent.popleft()
            cut += last.cut or last.size - PIECE_COST
            self._grow(-last.size)
        if last is not None:
            text = f"\n[{cut} bytes of output were cut here: the engine was away]\n"
            mark = OutputPiece(n=last.piece.n, stream="system", text=text, at=last.piece.at)
            head.append(_Kept(mark, len(text) + PIECE_COST, cut))
            self._grow(head[-1].size)
        self.unsent = head + self.unsent

    def _grow(self, size: int) -> None:
        self.size += size
        self.unsent_size += size
