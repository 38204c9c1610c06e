"""What the drivers note, put together: without OpenTelemetry, and without a clock."""

import pytest

from engine.origin import Origin, TraceParent
from realtime.observer import (
    Admitted,
    Answered,
    Audible,
    Begun,
    Encoded,
    Ended,
    Floor,
    Observation,
    Outcome,
    Recognised,
    Refused,
    Said,
    Sent,
    SpeechId,
    TextCame,
    Thought,
    TurnedAway,
    Underrun,
)
from transports.tracing import turns as module
from transports.tracing.turns import Part, Told, Turn, Turns


def place(span: str = "1", *, sampled: bool = True, transport: str = "agent") -> Origin:
    return Origin("r", transport, trace=TraceParent("a" * 32, span.rjust(16, "0"), sampled))


ORIGIN = place()


def speech(number: int = 1, context: str = "7", origin: Origin | None = ORIGIN) -> SpeechId:
    return SpeechId(number, context, "hibari", True, origin)


def spoken(of: SpeechId, at: float = 10.0, outcome: Outcome = "stop") -> list[Observation]:
    """An utterance of one segment, which takes a second and a half from ``at`` on."""
    return [
        Admitted(of, at + 0.01, at),
        TextCame(of, at + 0.1),
        Said(of, at + 0.3, 0, 24, at + 0.2),
        Begun(of, at + 0.6, 0, at + 0.3, at + 0.35, at + 0.5),
        Encoded(of, at + 0.7, 0, at + 0.62),
        Sent(of, at + 0.8, at + 0.7, at + 0.1),
        Audible(of, at + 0.85, at + 0.2),
        Ended(of, at + 1.5, outcome, 2.5, 24),
    ]


def all_of(turns: Turns, events: list[Observation]) -> list[Told]:
    return [told for event in events for told in turns.note(event)]


def only(told: list[Told]) -> Turn:
    (turn,) = told
    assert isinstance(turn, Turn)
    return turn


def test_an_utterance_is_a_turn_with_its_parts_in_order() -> None:
    turns = Turns()
    turn = only(all_of(turns, spoken(speech())))
    assert [(part.name, part.start, part.end) for part in turn.parts] == [
        ("chunk", 10.2, 10.3),
        ("prefill", 10.35, 10.5),
        ("first frame", 10.5, 10.6),
        ("encode", 10.62, 10.7),
        ("send", 10.7, 10.8),
    ]
    assert (turn.start, turn.end, turn.failed, turn.origin) == (10.0, 11.5, False, ORIGIN)
    assert turn.attributes == {
        "parrotfish.outcome": "stop",
        "parrotfish.segments": 1,
        "parrotfish.audio_seconds": 2.5,
        "parrotfish.characters": 24,
        "parrotfish.model": "hibari",
    }
    assert [mark.name for mark in turn.marks] == ["text", "audible"]
    assert turn.parts[1].attributes["parrotfish.queued_seconds"] == pytest.approx(0.05)
    assert not len(turns)


def test_what_is_heard_later_does_not_lengthen_it() -> None:
    *events, ended = spoken(speech())
    turn = only(all_of(Turns(), [*events, Audible(speech(), 99.0, 10.2), ended]))
    assert turn.end == 11.5


def test_the_next_utterance_of_a_context_is_another_turn() -> None:
    turns = Turns()
    first, second = (only(all_of(turns, spoken(speech(n), 10.0 * n))) for n in (1, 2))
    assert first.number != second.number
    assert second.start == 20.0


@pytest.mark.parametrize("outcome", ["cancelled", "error", "gone"])
def test_how_it_ended_is_told(outcome: Outcome) -> None:
    turn = only(all_of(Turns(), spoken(speech(), outcome=outcome)))
    assert turn.attributes["parrotfish.outcome"] == outcome
    assert turn.failed == (outcome == "error")


def test_one_that_was_refused_is_a_turn_that_failed() -> None:
    turn = only(Turns().note(Refused(speech(), 3.0, "full")))
    assert turn.failed
    assert turn.attributes["parrotfish.reason"] == "full"


def test_a_turn_of_a_conversation_has_the_hearing_and_the_thinking() -> None:
    turns = Turns()
    heard = [
        Recognised(ORIGIN, 8.0, "partial", 7.5, 1.0),
        Recognised(ORIGIN, 9.8, "final", 9.5, 2.0),
    ]
    *speaking, ended = spoken(speech())
    thought = Thought(ORIGIN, 10.9, 7, 9.9, 10.1, "stop")
    later = [Recognised(ORIGIN, 11.0, "final", 10.8, 0.5)]
    answered = Answered(ORIGIN, 10.85, 7, 9.0, 9.8, 9.9, 10.1)
    turn = only(all_of(turns, [*heard, *speaking, answered, thought, *later, ended]))
    assert [part.name for part in turn.parts][:2] == ["asr", "llm"]
    assert [part.start for part in turn.parts][:2] == [9.5, 9.9]
    assert turn.parts[1].attributes["parrotfish.first_token_seconds"] == pytest.approx(0.2)
    assert (turn.start, turn.end) == (9.5, 11.5)
    assert "answered" in [mark.name for mark in turn.marks]
    # What was heard since belongs to the next turn.
    turn = only(all_of(turns, [Thought(ORIGIN, 12.2, 8, 12.0, 12.1, "stop"), *spoken(speech(2, "8"), 12.1)]))
    assert [part.name for part in turn.parts][:2] == ["asr", "llm"]
    assert turn.start == 10.8


def test_a_thought_that_is_broken_off_after_the_speech_belongs_to_its_turn() -> None:
    turns = Turns()
    turn = only(all_of(turns, spoken(speech(), outcome="cancelled")))
    (late,) = turns.note(Thought(ORIGIN, 11.6, 7, 9.9, 10.0, "cancelled"))
    assert isinstance(late, Part)
    assert (late.name, late.of, late.start, late.end) == ("llm", turn.number, 9.9, 11.5)


def test_a_mind_that_fails_makes_a_turn_that_failed() -> None:
    turns = Turns()
    assert not turns.note(Thought(ORIGIN, 2.0, 7, 1.0, None, "error"))
    told = all_of(turns, [Thought(ORIGIN, 6.0, 8, 5.0, 5.5, "stop"), *spoken(speech(1, "8"), 5.5)])
    first, second = told
    assert isinstance(first, Turn)
    assert first.failed
    assert [(part.name, part.failed) for part in first.parts] == [("llm", True)]
    assert isinstance(second, Turn)
    assert not second.failed


def test_an_interruption_and_a_wait_are_marks() -> None:
    *events, ended = spoken(speech(), outcome="cancelled")
    held = [
        Floor(ORIGIN, 10.9, 7, "held"),
        Underrun(speech(), 10.95, 0.2),
        Floor(ORIGIN, 11.2, 7, "interrupted"),
    ]
    turn = only(all_of(Turns(), [*events, *held, ended]))
    assert [mark.name for mark in turn.marks][2:] == ["held", "underrun", "interrupted"]


@pytest.mark.parametrize("transport", ["asr", "asr_live", "http", "other"])
def test_where_nobody_answers_what_is_heard_belongs_to_the_request(transport: str) -> None:
    origin = place(transport=transport)
    (part,) = Turns().note(Recognised(origin, 2.0, "file", 1.0, 30.0))
    assert part == Part(
        "asr", 1.0, 2.0, origin, 0, {"parrotfish.kind": "file", "parrotfish.audio_seconds": 30.0}
    )


def test_with_the_request_all_that_is_open_is_over() -> None:
    turns, other = Turns(), place("2")
    all_of(turns, spoken(speech())[:-1])
    all_of(turns, spoken(speech(2, origin=other))[:-1])
    turns.note(Recognised(ORIGIN, 20.0, "final", 19.0, 1.0))
    turn, asr = turns.over(ORIGIN)
    assert isinstance(turn, Turn)
    assert turn.attributes["parrotfish.outcome"] == "gone"
    assert isinstance(asr, Part)
    assert (asr.name, asr.of) == ("asr", 0)
    assert len(turns) == 1
    assert len(turns.over(other)) == 1
    assert not len(turns)


@pytest.mark.parametrize("origin", [None, Origin("r", "http"), place(sampled=False)])
def test_what_is_not_sampled_is_not_kept(origin: Origin | None) -> None:
    turns = Turns()
    events = [*spoken(speech(origin=origin)), Thought(origin, 2.0, 7, 1.0, None, "stop")]
    events += [Recognised(origin, 1.0, "final", 0.5, 1.0), TurnedAway(origin, 1.0, 503)]
    assert not all_of(turns, events)
    assert not len(turns)


def test_of_a_long_text_the_first_parts_are_told_and_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_PARTS", 4)
    *events, ended = spoken(speech())
    more = [Said(speech(), 10.9, number, 10, 10.8) for number in range(1, 50)]
    turn = only(all_of(Turns(), [*events, *more, ended]))
    assert len(turn.parts) == 4
    assert turn.attributes["parrotfish.segments"] == 50
    assert turn.attributes["parrotfish.parts_left_out"] == 50


def test_turns_that_never_end_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", 10)
    turns = Turns()
    for number in range(1000):
        origin = place(str(number + 1))
        turns.note(Admitted(speech(number, origin=origin), 1.0, 1.0))
        turns.note(Recognised(origin, 1.0, "final", 0.5, 1.0))
    assert len(turns) <= 21
