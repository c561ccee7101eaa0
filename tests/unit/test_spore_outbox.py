"""The outbox: nothing is forgotten before the engine has stored it, and nothing grows without a bound."""

from typing import Any

import pytest

from spore.outbox import Outbox
from spore.parcel import FLUSH_SECONDS, PIECE_BYTES, PIECE_COST, UNSTORED_BYTES
from venom_engine.protocol.messages import NodeResponse, OutputMessage, OutputPiece, Stored


def an_outbox(*request_ids: str, confirmed: bool = True) -> Outbox:
    """An outbox with a session, and these calls of tasks under way."""
    outbox = Outbox()
    outbox.begin(confirmed=confirmed)
    for request_id in request_ids or ("r1",):
        outbox.open(request_id, f"task of {request_id}", attempt=1)
    return outbox


def an_answer(request_id: str = "r1", **fields: Any) -> NodeResponse:
    return NodeResponse(request_id=request_id, node_id="node-1", **{"success": True, **fields})


def taken(outbox: Outbox, now: float = 1e9) -> list[OutputMessage | NodeResponse]:
    """All that can be sent now, as a link would take it."""
    frames = []
    while (frame := outbox.take(now)) is not None:
        outbox.was_sent(frame)
        frames.append(frame)
    return frames


def pieces(frames: list[OutputMessage | NodeResponse]) -> list[OutputPiece]:
    return [piece for frame in frames if isinstance(frame, OutputMessage) for piece in frame.pieces]


def test_lines_of_one_stream_travel_together_and_pieces_count_up_from_one() -> None:
    """Not a frame per line; another stream begins another piece; the answer comes last."""
    outbox = an_outbox()
    for stream, text in (("stdout", "a\n"), ("stdout", "b\n"), ("stderr", "c\n"), ("stdout", "d\n")):
        outbox.add("r1", stream, text, at=1.0)  # type: ignore[arg-type]
    outbox.finish(an_answer(), size=4)

    output, answer = taken(outbox)

    assert isinstance(output, OutputMessage)
    assert [(p.n, p.stream, p.text) for p in output.pieces] == [
        (1, "stdout", "a\nb\n"),
        (2, "stderr", "c\n"),
        (3, "stdout", "d\n"),
    ]
    assert answer == an_answer(timestamp=answer.timestamp) if isinstance(answer, NodeResponse) else False


def test_the_first_piece_goes_at_once_and_the_next_after_the_flush_interval() -> None:
    """A person sees the first line immediately; a flood of lines is sent in batches."""
    outbox = an_outbox()
    outbox.add("r1", "stdout", "first", at=1.0)
    assert outbox.take(10.0) is not None

    outbox.add("r1", "stdout", "second", at=1.0)

    assert outbox.take(10.0) is None
    assert outbox.due_in(10.0) == pytest.approx(FLUSH_SECONDS)
    assert outbox.take(10.0 + FLUSH_SECONDS) is not None
    assert outbox.due_in(11.0) is None


def test_a_full_piece_does_not_wait_for_the_interval() -> None:
    """32 KB are enough for a frame of their own."""
    outbox = an_outbox()
    outbox.add("r1", "stdout", "first", at=1.0)
    outbox.take(10.0)
    outbox.add("r1", "stdout", "x" * PIECE_BYTES, at=1.0)
    assert outbox.take(10.0) is not None


def test_what_was_not_stored_is_sent_again_in_a_new_session() -> None:
    """The engine may have died after it heard and before it wrote."""
    outbox = an_outbox()
    outbox.add("r1", "stdout", "one", at=1.0)
    taken(outbox)
    outbox.add("r1", "stdout", "two", at=1.0)
    outbox.finish(an_answer(), size=4)
    taken(outbox)
    outbox.stored(Stored(output={"r1": 1}))
    assert taken(outbox) == []

    outbox.end()
    outbox.begin(confirmed=True)

    output, answer = taken(outbox)
    assert [(p.n, p.text) for p in pieces([output])] == [(2, "two")]
    assert isinstance(answer, NodeResponse)


def test_a_stored_answer_is_forgotten_and_one_that_is_not_stays_held() -> None:
    """`held` of the handshake names what runs and what is not stored, with task and attempt."""
    outbox = an_outbox("runs", "ended", "stored")
    for request_id in ("ended", "stored"):
        outbox.finish(an_answer(request_id), size=100)
    taken(outbox)
    outbox.stored(Stored(responses=("stored", "unknown")))

    assert [(item.request_id, item.task_id, item.attempt) for item in outbox.held()] == [
        ("runs", "task of runs", 1),
        ("ended", "task of ended", 1),
    ]
    assert outbox.to_renew() == ("runs",)
    assert outbox.answers_size == 100


def test_stored_does_not_forget_a_call_that_still_runs() -> None:
    """Only an ended call can have a stored answer, whatever the engine says."""
    outbox = an_outbox()
    outbox.stored(Stored(responses=("r1",), output={"r1": 99, "unknown": 1}))
    assert "r1" in outbox


def test_a_call_is_told_to_wait_while_too_much_is_not_stored() -> None:
    """Four megabytes of unstored output are the bound; STORED makes room."""
    outbox = an_outbox()
    while not outbox.is_full("r1"):
        outbox.add("r1", "stdout", "x" * PIECE_BYTES, at=1.0)
    sent = pieces(taken(outbox))
    size = sum(len(piece.text) for piece in sent)
    assert UNSTORED_BYTES - PIECE_BYTES - PIECE_COST * len(sent) <= size <= UNSTORED_BYTES + PIECE_BYTES
    assert outbox.is_full("r1")

    outbox.stored(Stored(output={"r1": sent[0].n}))
    assert outbox.is_full("r1") is False


def test_many_small_pieces_count_for_more_than_their_text() -> None:
    """One character here, one there: the cost of a piece bounds their number."""
    outbox, count = an_outbox(), 0
    while not outbox.is_full("r1"):
        outbox.add("r1", ("stdout", "stderr")[count % 2], "x", at=1.0)  # type: ignore[arg-type]
        count += 1
    assert count <= UNSTORED_BYTES // PIECE_COST + 1


def test_while_the_engine_is_away_head_and_tail_are_kept_and_the_cut_is_told() -> None:
    """The numbers jump, a system piece says how many bytes are missing, and memory stays bounded."""
    outbox, total = an_outbox(), 0
    outbox.end()
    for number in range(20_000):
        text = f"{number:07d} {'x' * 992}"
        outbox.add("r1", "stdout", text, at=1.0)
        total += len(text)
        assert outbox.is_full("r1") is False
    outbox.begin(confirmed=True)

    kept = pieces(taken(outbox))

    cuts = [piece for piece in kept if piece.stream == "system"]
    numbers = [piece.n for piece in kept]
    size = sum(len(piece.text) for piece in kept if piece.stream == "stdout")
    assert len(cuts) == 1 and str(total - size) in cuts[0].text
    assert numbers == sorted(set(numbers)) and numbers[-1] > len(numbers)
    assert kept[0].text.startswith("0000000 ") and kept[-1].text.endswith(f"{19_999:07d} {'x' * 992}")
    assert size <= UNSTORED_BYTES


def test_the_mark_of_a_cut_has_a_number_that_the_engine_has_not_seen() -> None:
    """The engine stored some of what is cut, and its word got lost: the mark must still be taken."""
    outbox = an_outbox()
    outbox.add("r1", "stdout", "x" * (UNSTORED_BYTES - 10 * PIECE_BYTES), at=1.0)
    seen = pieces(taken(outbox))
    outbox.end()
    outbox.add("r1", "stdout", "y" * (20 * PIECE_BYTES), at=1.0)
    outbox.begin(confirmed=True)

    again = pieces(taken(outbox))
    (mark,) = [piece for piece in again if piece.stream == "system"]
    cut = {piece.n for piece in seen} - {piece.n for piece in again}
    assert cut and mark.n >= max(cut)


def test_an_engine_of_the_original_system_gets_answers_only_and_confirms_nothing() -> None:
    """No OUTPUT, no progress; an answer that was sent is done with."""
    outbox = an_outbox(confirmed=False)
    outbox.add("r1", "stdout", "text", at=1.0)
    outbox.set_progress("r1", 0.5)
    outbox.finish(an_answer(), size=4)

    assert [frame.TYPE for frame in taken(outbox)] == ["RESPONSE"]
    assert len(outbox) == 0


def test_a_direct_call_sends_no_output_and_is_done_with_once_sent() -> None:
    """Nobody stores it, and nobody looks at what it prints."""
    outbox = Outbox()
    outbox.begin(confirmed=True)
    outbox.open("direct", None, 0)
    outbox.add("direct", "stdout", "text", at=1.0)
    outbox.finish(an_answer("direct"), size=4)

    assert [frame.TYPE for frame in taken(outbox)] == ["RESPONSE"]
    assert len(outbox) == 0


def test_an_answer_is_sent_again_when_the_engine_asks_again() -> None:
    """A repeated request for an ended call gets the answer once more, not another run."""
    outbox = an_outbox()
    outbox.finish(an_answer(), size=4)
    taken(outbox)
    outbox.send_again("r1")
    outbox.send_again("unknown")
    assert [frame.TYPE for frame in taken(outbox)] == ["RESPONSE"]


def test_of_progress_only_the_newest_word_is_sent() -> None:
    """It rides on the next message, with or without text."""
    outbox = an_outbox()
    outbox.set_progress("r1", 0.1)
    outbox.set_progress("r1", 0.7)
    (frame,) = taken(outbox)
    assert isinstance(frame, OutputMessage)
    assert (frame.progress, frame.pieces) == (0.7, ())


def test_calls_take_turns() -> None:
    """A call that floods does not keep the others from being heard."""
    outbox = an_outbox("flood", "quiet")
    outbox.add("flood", "stdout", "x" * 1_000_000, at=1.0)
    outbox.add("quiet", "stdout", "hello", at=1.0)
    assert [frame.request_id for frame in taken(outbox)][:2] == ["flood", "quiet"]


def test_a_text_of_many_bytes_a_character_is_counted_in_bytes() -> None:
    """Four bytes a character must not make a piece four times as large as allowed."""
    outbox = an_outbox()
    outbox.add("r1", "stdout", "\N{GRINNING FACE}" * PIECE_BYTES, at=1.0)
    outbox.add("r1", "stdout", "\N{GRINNING FACE}" * PIECE_BYTES, at=1.0)
    frames = taken(outbox)
    assert all(len(piece.text.encode()) <= 4 * PIECE_BYTES for piece in pieces(frames))
    assert sum(len(piece.text) for piece in pieces(frames)) == 2 * PIECE_BYTES
