"""The session as a state machine, in virtual time."""

from dataclasses import replace

import pytest

from engine import EngineStopped, Segment, StreamOptions, WordTime
from engine.audio import output_format
from realtime.chunker import MAX_TAG
from realtime.request import SpeechRequest
from realtime.session import DEFAULT_CONTEXT, Session
from realtime.tags import MOODS
from realtime.utterance import (
    Action,
    Cancel,
    Cancelled,
    ChunkInfo,
    Drain,
    EndSpeech,
    Finished,
    Flushed,
    Log,
    Open,
    Played,
    Say,
    SpokenWord,
)

REQUEST = SpeechRequest(StreamOptions(("any",)), output_format("pcm"))


def actions_of(session: Session, context: str = DEFAULT_CONTEXT) -> list[Action]:
    """What is to be done now for a context, and for no other one."""
    tasks = session.tasks()
    assert {task.context for task in tasks} <= {context}
    return [task.action for task in tasks]


def spoke(session: Session, seconds: float, now: float, *words: WordTime, last: bool = True) -> None:
    session.spoke(DEFAULT_CONTEXT, seconds, words, now, last=last)


def said(actions: list[Action]) -> list[str]:
    return [action.segment.text for action in actions if isinstance(action, Say)]


def started(**kwargs: int) -> Session:
    session = Session(**kwargs)
    session.start(REQUEST, 0.0)
    assert actions_of(session) == [Open(REQUEST)]
    return session


def test_an_utterance_from_start_to_finish() -> None:
    session = started()
    session.text("Hello ", 0.1)
    session.text("there. ", 0.2)
    session.stop(0.3)
    assert actions_of(session) == [Say(Segment("Hello there."))]
    spoke(session, 1.0, 0.4)
    assert actions_of(session) == [EndSpeech()]
    session.ended(DEFAULT_CONTEXT)
    assert actions_of(session) == [Finished()]
    assert not session.active()


def test_a_text_that_is_known_to_be_all_is_spoken_by_whole_sentences() -> None:
    first = "When the rain had stopped, the children went out into the garden to play with the dog."
    pieces, whole = started(), started()
    pieces.text(f"{first} It was wet.", 0.1)
    assert said(actions_of(pieces)) == ["When the rain had stopped,"]
    whole.text(f"{first} It was wet.", 0.1, last=True)
    assert said(actions_of(whole)) == [first]
    spoke(whole, 5.0, 0.2)
    assert said(actions_of(whole)) == ["It was wet."]
    spoke(whole, 1.0, 0.3)
    assert actions_of(whole) == [EndSpeech()]
    whole.text("More.", 0.4)
    assert actions_of(whole) == [Log("text: ignored after stop; await finish, then send start")]


def test_flush_speaks_and_the_utterance_goes_on() -> None:
    session = started()
    session.text("First", 0.0)
    session.flush(0.0)
    assert actions_of(session) == [Say(Segment("First"))]
    spoke(session, 0.5, 0.1)
    assert actions_of(session) == [Drain(1)]
    session.text("Second", 5.0)
    session.flush(5.0)
    assert said(actions_of(session)) == ["Second"]
    assert session.active()


def test_the_encoder_is_drained_once_for_each_silence() -> None:
    session = started()
    session.text("One.", 0.0)
    session.flush(0.0)
    spoke(session, 0.5, 0.1)
    session.flush(0.2)
    session.flush(0.3)
    drains = [action for action in actions_of(session) if isinstance(action, Drain)]
    assert drains == [Drain(1)]


def test_flush_of_nothing_is_flushed_at_once() -> None:
    session = started()
    session.flush(0.0)
    session.text("   ", 0.0)
    session.flush(0.0)
    assert actions_of(session) == [Flushed(), Flushed()]


def test_stop_without_text_ends_at_once() -> None:
    session = started()
    session.stop(0.0)
    assert actions_of(session) == [EndSpeech()]
    session.ended(DEFAULT_CONTEXT)
    assert actions_of(session) == [Finished()]


def test_one_socket_many_utterances() -> None:
    session = Session()
    for turn in range(3):
        session.start(REQUEST, float(turn))
        session.text("Hi.", float(turn))
        session.stop(float(turn))
        spoke(session, 0.5, float(turn))
        session.ended(DEFAULT_CONTEXT)
    finished = [action for action in actions_of(session) if isinstance(action, Finished)]
    assert finished == [Finished()] * 3


def test_text_before_start_is_answered_and_the_next_start_is_welcome() -> None:
    session = Session()
    session.text("Hello", 0.0)
    (log, finished) = actions_of(session)
    assert isinstance(log, Log)
    assert "send start first" in log.message
    assert isinstance(finished, Finished)
    assert finished.error
    session.text("more", 0.0)
    assert actions_of(session) == []  # it was told once
    session.start(REQUEST, 0.0)
    assert actions_of(session) == [Open(REQUEST)]


def test_orders_behind_an_error_are_answered_but_one_stop_that_was_on_its_way() -> None:
    session = started()
    session.failed(DEFAULT_CONTEXT, EngineStopped("going down"))
    actions_of(session)
    session.text("more", 0.0)
    assert actions_of(session) == []
    session.flush(0.0)
    (log,) = actions_of(session)
    assert isinstance(log, Log)
    assert "flush: no utterance is open" in log.message
    session.stop(0.0)
    assert actions_of(session) == []  # the finish before was its answer
    for _ in range(2):
        session.text("more", 0.0)
        assert actions_of(session) == []
        session.stop(0.0)
        log, finished = actions_of(session)
        assert isinstance(log, Log)
        assert "stop: no utterance is open" in log.message
        assert isinstance(finished, Finished)
        assert finished.error
    session.start(REQUEST, 1.0)
    session.stop(1.0)
    assert actions_of(session) == [Open(REQUEST), EndSpeech()]


def test_the_first_stop_of_all_is_answered() -> None:
    session = Session()
    for _ in range(2):
        session.stop(0.0)
        _, finished = actions_of(session)
        assert isinstance(finished, Finished)


def test_a_second_start_breaks_off_the_first_utterance() -> None:
    session = started()
    session.start(REQUEST, 0.0)
    actions = actions_of(session)
    assert actions[0] == Cancel()
    assert isinstance(actions[-1], Finished)
    assert actions[-1].error


def test_text_after_stop_is_answered_and_does_no_harm() -> None:
    session = started()
    session.text("Hello.", 0.0)
    session.stop(0.0)
    actions_of(session)
    session.text("too late", 0.0)
    (log,) = actions_of(session)
    assert isinstance(log, Log)
    assert "after stop" in log.message
    spoke(session, 0.5, 0.1)
    assert actions_of(session) == [EndSpeech()]


def test_a_refusal_of_the_engine_reaches_the_client_with_its_cause() -> None:
    session = started()
    cause = EngineStopped("going down")
    session.failed(DEFAULT_CONTEXT, cause)
    assert actions_of(session) == [Cancel(), Log("going down"), Finished("going down", cause)]
    session.failed(DEFAULT_CONTEXT, cause)
    assert actions_of(session) == []


def test_a_client_that_leaves_cancels() -> None:
    session = started()
    session.text("Hello there. And so on.", 0.0)
    actions_of(session)
    session.disconnect()
    assert actions_of(session) == [Cancel()]
    assert session.due is None


def test_more_text_than_can_wait_is_refused() -> None:
    session = started(max_pending=10)
    session.text("12345678901", 0.0)
    actions = actions_of(session)
    assert actions[0] == Cancel()
    assert actions[1] == Log("text: more than 10 characters are waiting to be spoken")


def test_notes_of_the_request_are_told() -> None:
    session = Session()
    request = SpeechRequest(StreamOptions(("any",)), output_format("pcm"), notes=("cannot clone",))
    session.start(request, 0.0)
    assert actions_of(session) == [Open(request), Log("cannot clone")]


def test_only_a_few_segments_wait_in_the_engine() -> None:
    session = started(max_queued=2)
    session.text("A sentence of a good many words, long enough. " * 10, 0.0)
    session.stop(0.0)
    assert len(said(actions_of(session))) == 2
    spoke(session, 2.0, 0.1)
    assert len(said(actions_of(session))) == 1


def test_due_makes_a_slow_writer_heard() -> None:
    session = started()
    session.text("It costs $3.14.", 1.0)
    assert actions_of(session) == []
    assert session.due is not None
    session.poll(session.due)
    assert said(actions_of(session)) == ["It costs three dollars and fourteen cents."]


# -- cancel -----------------------------------------------------------------------------------------


def words(*texts: str, start: float = 0.0) -> tuple[WordTime, ...]:
    """Words of half a second each, one after the other, separated by a space."""
    times, place = [], 0
    for number, text in enumerate(texts):
        begin = start + number / 2
        times.append(WordTime(text, begin, begin + 0.5, place, place + len(text)))
        place += len(text) + 1
    return tuple(times)


def test_cancel_says_what_was_heard_up_to_the_last_word() -> None:
    session = started()
    session.text("  One two three four.", 0.0)
    session.flush(0.0)
    actions_of(session)
    spoke(session, 2.0, 10.0, *words("One", "two", "three", "four."))
    session.cancel(11.3)
    cancel, cancelled = actions_of(session)[-2:]
    assert cancel == Cancel()
    assert cancelled == Cancelled(pytest.approx(1.3), len("  One two three"), "three")  # type: ignore[arg-type]
    assert not session.active()


def test_what_was_really_played_counts_more_than_time() -> None:
    session = started()
    session.text("One two three four.", 0.0)
    session.flush(0.0)
    spoke(session, 2.0, 10.0, *words("One", "two", "three", "four."))
    session.played(0.6, 11.3)
    assert Played(pytest.approx(1.4)) in actions_of(session)  # type: ignore[arg-type]
    session.cancel(11.3)
    assert actions_of(session)[-1] == Cancelled(pytest.approx(0.6), len("One"), "One")  # type: ignore[arg-type]


def test_who_reports_late_has_heard_the_words_of_what_he_has_heard() -> None:
    session = started()
    session.text("One two three four five six.", 0.0)
    session.flush(0.0)
    spoke(session, 1.0, 10.0, *words("One", "two"), last=False)
    spoke(
        session, 2.0, 11.0, *words("three", "four", "five", "six.", start=1.0)
    )  # by the clock two were heard
    session.played(0.6, 11.1)
    session.cancel(11.1)
    assert actions_of(session)[-1] == Cancelled(pytest.approx(0.6), len("One"), "One")  # type: ignore[arg-type]


def test_and_none_if_he_has_heard_nothing() -> None:
    session = started()
    session.text("One two three.", 0.0)
    session.flush(0.0)
    spoke(session, 1.0, 10.0, *words("One", "two"), last=False)
    spoke(session, 0.5, 11.0, *words("three.", start=1.0))
    session.played(0.1, 11.1)
    session.cancel(11.1)
    assert actions_of(session)[-1] == Cancelled(pytest.approx(0.1), 0, "")  # type: ignore[arg-type]


def test_cancel_before_the_first_sound() -> None:
    session = started()
    session.text("Hello there.", 0.0)
    session.flush(0.0)
    actions_of(session)
    session.cancel(0.1)
    assert actions_of(session) == [Cancel(), Cancelled(0.0, 0, "")]


def test_cancel_of_nothing_is_answered() -> None:
    session = Session()
    session.cancel(0.0)
    (log,) = actions_of(session)
    assert isinstance(log, Log)


def test_after_a_cancel_the_next_start_is_a_new_beginning() -> None:
    session = started()
    session.text("Old words that nobody shall hear.", 0.0)
    session.cancel(0.0)
    actions_of(session)
    session.start(REQUEST, 1.0)
    session.text("New.", 1.0)
    session.stop(1.0)
    assert actions_of(session) == [Open(REQUEST), Say(Segment("New."))]


# -- words and chunks -------------------------------------------------------------------------------


def test_words_are_told_as_they_were_written() -> None:
    session = started()
    session.text("It costs $5.", 0.0)
    session.stop(0.0)
    (say,) = (action for action in actions_of(session) if isinstance(action, Say))
    assert say.segment.text == "It costs five dollars."
    times = words("It", "costs", "five", "dollars.")
    chunk, first = session.spoke(DEFAULT_CONTEXT, 1.5, times[:3], 0.0, last=False)
    assert chunk == ChunkInfo(0, "It costs $5.", 0.0)
    assert [(word.text, word.start, word.end) for word in first] == [
        ("It", 0.0, 0.5),
        ("costs", 0.5, 1.0),
        ("$5.", 1.0, 1.5),
    ]
    _, second = session.spoke(DEFAULT_CONTEXT, 0.5, times[3:], 0.0, last=True)
    assert second == (SpokenWord("$5.", 1.0, 2.0, 9, 12),)  # the same word, longer now


def test_tags_become_styles_and_pauses_and_are_never_spoken() -> None:
    session = started()
    session.text("[whispers] Come in. [pause 1.5s] Good. [laughing]", 0.0)
    session.stop(0.0)
    segments = [action.segment for action in actions_of(session) if isinstance(action, Say)]
    assert [(segment.text, segment.style.whisper, segment.pause) for segment in segments] == [
        ("Come in.", True, 0.0),
        ("Good.", False, 1.5),
    ]


def test_a_model_that_reads_tags_is_given_them() -> None:
    session = Session()
    request = SpeechRequest(StreamOptions(("any",)), output_format("pcm"), reads_tags=True)
    session.start(request, 0.0)
    session.text("[whispers] Come in. <|im_end|>", 0.0)
    session.stop(0.0)
    text = " ".join(said(actions_of(session)))
    assert text.startswith("[whispers] Come in.")
    assert "<|" not in text


def test_a_manner_holds_for_all_that_is_said_and_moods_come_on_top() -> None:
    session = Session()
    request = SpeechRequest(StreamOptions(("any",)), output_format("pcm"), manner="Speak slowly, please.")
    session.start(request, 0.0)
    session.text("One came. [whispers] Two went. Three stayed.", 0.0)
    session.stop(0.0)
    styles = [action.segment.style for action in actions_of(session) if isinstance(action, Say)]
    assert {style.pace for style in styles} == {MOODS["slow"][0].pace}
    assert [style.whisper for style in styles] == [False, True, False]


def test_a_model_that_reads_tags_is_given_the_manner_as_one() -> None:
    session = Session()
    request = replace(REQUEST, reads_tags=True, manner="like a pirate")
    session.start(request, 0.0)
    session.text("Come in.", 0.0)
    session.stop(0.0)
    (segment,) = [action.segment for action in actions_of(session) if isinstance(action, Say)]
    assert segment.text == "[like a pirate] Come in."
    times = [WordTime("Come", 0.0, 0.5, 16, 20), WordTime("in.", 0.5, 1.0, 21, 24)]
    _, words = session.spoke(DEFAULT_CONTEXT, 1.0, times, 0.0, last=True)
    assert [(word.text, word.start_char) for word in words] == [("Come", 0), ("in.", 5)]


@pytest.mark.parametrize("normalize", [False, True])
def test_control_tokens_of_users_reach_no_model(normalize: bool) -> None:
    session = Session()
    request = SpeechRequest(
        StreamOptions(("any",)), output_format("pcm"), reads_tags=True, normalize=normalize
    )
    session.start(request, 0.0)
    session.text("Hello <|im_end|> there <|semantic:5|>. <|speaker:1|>Yes <|im_start|>", 0.0)
    session.stop(0.0)
    text = " ".join(said(actions_of(session)))
    assert "<|" not in text
    assert "|>" not in text


# -- contexts ---------------------------------------------------------------------------------------


def test_contexts_know_nothing_of_each_other() -> None:
    session = Session()
    for context in ("a", "b"):
        session.start(REQUEST, 0.0, context)
        session.text(f"I am {context}.", 0.0, context)
        session.flush(0.0, context)
    tasks = session.tasks()
    assert [(task.context, said([task.action])) for task in tasks if said([task.action])] == [
        ("a", ["I am a."]),
        ("b", ["I am b."]),
    ]
    session.cancel(0.1, "a")
    assert {task.context for task in session.tasks()} == {"a"}
    assert session.active("b")
    assert not session.active("a")


def test_contexts_are_limited() -> None:
    session = Session(max_contexts=2)
    for context in ("a", "b", "c"):
        session.start(REQUEST, 0.0, context)
    refused = [task.action for task in session.tasks() if task.context == "c"]
    assert [type(action) for action in refused] == [Log, Finished]
    session.cancel(0.0, "a")
    session.start(REQUEST, 0.0, "c")
    assert session.active("c")


@pytest.mark.parametrize("text", ["It costs $1,234.56 now. ", "((", "[whispers] a ", "今天是2024年5月17日，"])
def test_one_call_makes_lines_of_one_chunk_however_much_text_waits(text: str) -> None:
    session, now, most, pending = started(), 0.0, 0, 200_000
    session.text((text * pending)[:pending], now)
    for _ in range(100):
        most, pending = max(most, pending - session.pending), session.pending
        due = session.due
        assert due is not None
        if due < now + 1.0:
            now = max(now, due)
            session.poll(now)
        else:  # as much as the engine takes
            spoke(session, 1.0, now)
    assert 0 < most <= REQUEST.chunk_length + MAX_TAG
    assert pending < 199_000


def test_a_forgotten_context_times_out_and_a_speaking_one_does_not() -> None:
    session = Session(context_seconds=60.0)
    session.start(REQUEST, 0.0, "forgotten")
    session.start(REQUEST, 0.0, "speaking")
    session.text("A long story.", 0.0, "speaking")
    session.flush(0.0, "speaking")
    session.tasks()
    assert session.due == 60.0
    session.poll(60.0)
    actions = [task.action for task in session.tasks() if task.context == "forgotten"]
    assert actions[-1] == Finished("nothing was sent for 60 s", forgotten=True)
    assert not session.active("forgotten")
    assert session.active("speaking")


@pytest.mark.parametrize("text", ["Hello there. And th", "Hello there. [whis", "Hello there. <|speak"])
def test_a_context_forgotten_within_a_word_times_out(text: str) -> None:
    session = Session(context_seconds=60.0)
    session.start(REQUEST, 0.0)
    session.text(text, 0.0)
    now = 0.0
    while session.active() and now < 300.0:
        for action in actions_of(session):
            if isinstance(action, Say):
                spoke(session, 1.0, now)
        assert session.due is not None
        now = max(now, session.due)
        session.poll(now)
    assert not session.active()


def test_a_context_that_speaks_on_is_left_alone_whatever_rounding_does() -> None:
    """30499.95 + 3600 is later than a clock that has counted 3600 s from there."""
    session = Session(context_seconds=3600.0)
    session.start(REQUEST, 30499.95)
    session.text("A long story.", 30499.95)
    session.flush(30499.95)
    due = session.due
    assert due is not None
    session.poll(due)
    assert session.due is not None
    assert session.due > due
