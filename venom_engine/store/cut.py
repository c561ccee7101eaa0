"""Output, capped per task: the first half of the limit and the last half stay, the middle goes.

The sizes of what is kept are known per task that prints now; the rows themselves stay in the store.
"""

import sqlite3
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from venom_engine.protocol.task import OutputChunk
from venom_engine.rules.records import Piece
from venom_engine.store.rows import moment
from venom_engine.store.sql import statements

#: Tasks whose sizes are remembered; past it, the one that printed longest ago is read again.
REMEMBERED = 4096


@dataclass(slots=True)
class Kept:
    """What is kept of one task's output. Sizes are bytes."""

    attempt: int
    last_piece: int
    next_n: int = 1
    head: int = 0
    head_open: bool = True
    tail: int = 0
    tail_sizes: deque[tuple[int, int]] = field(default_factory=deque)  #: (n, size), oldest first


class Outputs:
    """The output of the tasks that print now. Runs inside the writer's transaction."""

    def __init__(self, connection: sqlite3.Connection, limit: int) -> None:
        self._db = connection
        self._sql = statements()
        self._half = limit // 2
        self._kept: OrderedDict[int, Kept] = OrderedDict()

    def add(self, task: int, attempt: int, pieces: Sequence[Piece]) -> list[OutputChunk]:
        """Keep what is new, forget what falls out of the middle; the new chunks, also those not kept."""
        kept = self._of(task, attempt)
        rows, chunks, dropped = [], [], []
        for piece in pieces:
            if piece.piece <= kept.last_piece:
                continue
            kept.last_piece = piece.piece
            n, size = kept.next_n, len(piece.text.encode())
            kept.next_n += 1
            rows.append((task, n, attempt, piece.piece, piece.stream, piece.at, piece.text))
            chunks.append(
                OutputChunk(
                    n=n, attempt=attempt, stream=piece.stream, text=piece.text, timestamp=moment(piece.at)
                )
            )
            dropped += self._make_room(kept, n, size)
        gone = set(dropped)
        self._db.executemany(self._sql["add_output"], (row for row in rows if row[1] not in gone))
        if dropped:
            self._db.execute(self._sql["cut_output"], (task, dropped[0], dropped[-1]))
        return chunks

    def forget(self, task: int) -> None:
        self._kept.pop(task, None)

    def forget_all(self) -> None:
        self._kept.clear()

    def _make_room(self, kept: Kept, n: int, size: int) -> list[int]:
        if kept.head_open and kept.head + size <= self._half:
            kept.head += size
            return []
        kept.head_open = False
        kept.tail += size
        kept.tail_sizes.append((n, size))
        dropped = []
        while kept.tail > self._half and len(kept.tail_sizes) > 1:
            old, freed = kept.tail_sizes.popleft()
            kept.tail -= freed
            dropped.append(old)
        return dropped

    def _of(self, task: int, attempt: int) -> Kept:
        kept = self._kept.get(task)
        if kept is None:
            kept = self._kept[task] = self._read(task, attempt)
            if len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)
        elif kept.attempt != attempt:
            kept.attempt, kept.last_piece = attempt, self._last_piece(task, attempt)
        self._kept.move_to_end(task)
        return kept

    def _read(self, task: int, attempt: int) -> Kept:
        kept = Kept(attempt, self._last_piece(task, attempt))
        for n, size in self._db.execute(self._sql["output_sizes"], (task,)):
            if n != kept.next_n:
                kept.head_open = False  # the middle was cut here
            kept.next_n = n + 1
            self._make_room(kept, n, size)
        return kept

    def _last_piece(self, task: int, attempt: int) -> int:
        (last,) = self._db.execute(self._sql["last_piece"], (task, attempt)).fetchone()
        return int(last)
