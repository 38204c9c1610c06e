"""Conversations whose times are known, as a caller notes them."""

from typing import Any

import numpy as np
import pytest

from benchmarks.conversation.acts import Act, Call, Kind
from benchmarks.conversation.caller import RATE, Notes
from benchmarks.conversation.judging import (
    PACKET,
    Alarm,
    Answer,
    Interruption,
    heard_twice,
    judge,
    words_wrong,
)
from benchmarks.conversation.playback import Clear
from benchmarks.conversation.voices import MIC_RATE, Line
from benchmarks.decoding import Message
from benchmarks.listener import Samples


def tone(seconds: float, rate: int) -> Samples:
    return (np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * 440 / rate) * 0.3).astype(np.float32)


def packets(count: int, seed: int = 0) -> list[bytes]:
    """Of 20 ms, no two alike."""
    noise = np.random.default_rng(seed).uniform(-0.3, 0.3, (count, round(PACKET * RATE)))
    return [(one * 32767).astype("<i2").tobytes() for one in noise]


def spoken(start: float, data: list[bytes]) -> list[Message | Clear]:
    """Packets as they come in real time."""
    return [Message(start + index * PACKET, one) for index, one in enumerate(data)]


def judged(
    kind: Kind, came: list[Message | Clear], *events: tuple[float, str, dict[str, Any]], over: float = 20.0
) -> Answer | Interruption | Alarm:
    """The caller says something from 10.0 to 11.0."""
    line = Line("Hello?", tone(1.0, MIC_RATE))
    act = Act(kind, line, begun=5.0, start=10.0, end=11.0, over=over)
    told = [(at, {"type": type_, **about}) for at, type_, about in events]
    [one] = judge(Call([act], Notes([(10.0, line.pcm)], came, told)))
    return one


def test_a_turn_is_measured_from_its_last_sample_to_the_first_that_is_heard() -> None:
    silence = [bytes(len(packets(1)[0]))] * 2
    answer = judged(
        "answer",
        spoken(11.7, [*silence, *packets(50)]),
        (11.3, "transcript_final", {"turn": 4, "text": "Hell"}),
        (11.4, "transcript_final", {"turn": 4, "text": "Hello"}),
        (11.5, "turn_ended", {"turn": 4, "text": "Hello"}),
        (11.6, "reply_text", {"turn": 4, "text": "Hi"}),
        (11.65, "reply_text", {"turn": 4, "text": " there"}),
        (11.7, "latencies", {"turn": 4, "decided": 0.5}),
        (13.0, "reply_ended", {"turn": 4, "text": "Hi there"}),
    )
    assert isinstance(answer, Answer)
    assert answer.problem is None
    assert (answer.transcript, answer.decided) == pytest.approx((0.4, 0.5), abs=0.001)
    assert (answer.first_token, answer.first_byte) == pytest.approx((0.6, 0.7), abs=0.001)
    assert answer.onset == pytest.approx(0.74, abs=0.002)
    assert answer.ours == pytest.approx(0.24, abs=0.002)
    assert (answer.longest_wait, answer.cut_in, answer.understood) == (0.0, False, "Hello")
    assert answer.server == {"decided": 0.5}


@pytest.mark.parametrize("talks", [True, False])
def test_an_end_in_a_pause_of_the_caller_is_one_too_early_but_the_last_one_counts(talks: bool) -> None:
    came = [Message(10.8, packets(5)[0]), Clear(10.9)] if talks else []
    answer = judged(
        "answer",
        [*came, *spoken(12.0, packets(10))],
        (10.7, "turn_ended", {"turn": 4, "text": "Hel"}),
        (11.6, "turn_ended", {"turn": 5, "text": "Hello"}),
        (13.0, "reply_ended", {"turn": 5, "text": "Hi"}),
    )
    assert isinstance(answer, Answer)
    assert (answer.cut_in, answer.talked_over, answer.problem) == (True, talks, None)
    assert answer.decided == pytest.approx(0.6, abs=0.001)


def test_a_turn_that_was_answered_before_its_end_is_a_problem() -> None:
    answer = judged(
        "answer",
        spoken(10.8, packets(10)),
        (10.7, "turn_ended", {"turn": 4, "text": "Hel"}),
        (13.0, "reply_ended", {"turn": 4, "text": "Hi"}),
    )
    assert isinstance(answer, Answer)
    assert answer.problem is not None
    assert answer.onset is None


def test_an_interruption_is_measured_to_the_last_sample_that_is_played() -> None:
    speech = packets(300)
    came = [Message(9.0, b"".join(speech)), Clear(10.15)]
    interruption = judged(
        "interruption",
        [*came, *spoken(12.0, packets(10, 1))],
        (10.5, "interrupted", {"turn": 1, "text": "Once"}),
        (11.6, "thinking", {"turn": 2}),
        (13.0, "reply_ended", {"turn": 2, "text": "Yes"}),
    )
    assert isinstance(interruption, Interruption)
    assert interruption.problem is None
    assert interruption.from_voice == pytest.approx(0.15, abs=0.002)
    assert interruption.from_voiced == pytest.approx(0.05, abs=0.002)
    assert interruption.told == pytest.approx(0.5, abs=0.001)


def test_an_agent_that_speaks_on_until_it_is_interrupted_was_not_silent_before() -> None:
    speech = packets(300)
    came = [Message(9.0, b"".join(speech)), Clear(10.15), *spoken(10.6, speech[57:80]), Clear(10.8)]
    interruption = judged("interruption", came, (10.9, "interrupted", {"turn": 1, "text": "Once"}))
    assert isinstance(interruption, Interruption)
    assert interruption.from_voice == pytest.approx(0.8, abs=0.002)


def test_audio_after_an_interruption_is_a_problem() -> None:
    interruption = judged(
        "interruption",
        [*spoken(9.0, packets(70)), Message(10.6, packets(1)[0])],
        (10.5, "interrupted", {"turn": 1, "text": "Once"}),
        (11.6, "thinking", {"turn": 2}),
    )
    assert interruption.problem == "audio came after the interruption"


def test_what_is_not_interrupted_is_a_problem() -> None:
    assert judged("interruption", spoken(9.0, packets(200)), (15.0, "reply_ended", {"turn": 1})).problem


def test_a_false_alarm_leaves_a_hole() -> None:
    speech = packets(200)
    # Of 70 packets that are there, 60 and a half have been played.
    came = [Message(9.0, b"".join(speech[:70])), Clear(10.21), *spoken(10.9, speech[60:])]
    alarm = judged(
        "alarm",
        came,
        (10.6, "transcript_final", {"turn": 2, "text": "Uh"}),
        (14.0, "reply_ended", {"turn": 1, "text": "A story"}),
    )
    assert isinstance(alarm, Alarm)
    assert (alarm.noticed, alarm.resumed, alarm.understood) == (True, True, "Uh")
    assert alarm.hole == pytest.approx(0.69, abs=0.002)
    assert alarm.longest_wait == pytest.approx(0.0, abs=0.001)


def test_a_false_alarm_may_go_unnoticed_or_be_taken_for_an_interruption() -> None:
    unnoticed = judged("alarm", spoken(9.0, packets(200)), (14.0, "reply_ended", {"turn": 1, "text": "A"}))
    assert isinstance(unnoticed, Alarm)
    assert (unnoticed.noticed, unnoticed.resumed) == (False, False)
    taken = judged(
        "alarm",
        [*spoken(9.0, packets(60)), Clear(10.2)],
        (10.6, "interrupted", {"turn": 1, "text": "A"}),
        (14.0, "reply_ended", {"turn": 2, "text": "B"}),
    )
    assert isinstance(taken, Alarm)
    assert (taken.noticed, taken.resumed, taken.problem) == (True, False, None)


def test_what_is_heard_twice_and_what_is_lost_at_a_resume() -> None:
    speech = packets(40)
    before: list[Message | Clear] = [
        *(Message(0.0, one) for one in speech[:20]),
        Clear(0.21),
    ]  # ten and a half
    assert heard_twice([*before, *spoken(1.0, speech[10:])]) == pytest.approx(0.01)
    assert heard_twice([*before, *spoken(1.0, speech[12:])]) == pytest.approx(-0.03)
    assert heard_twice([*before, *spoken(1.0, speech[20:])]) == pytest.approx(-0.19)
    twice: list[Message | Clear] = [*spoken(1.0, speech[10:15]), Clear(1.1), Clear(1.2)]
    assert heard_twice([*before, *twice, *spoken(2.0, speech[14:])]) == pytest.approx(0.03)
    assert heard_twice(spoken(0.0, speech)) == 0.0


def test_words_that_are_wrong() -> None:
    assert words_wrong("One two three.", "one, two three") == (0, 0, 3)
    assert words_wrong("One two three.", "one three") == (1, 0, 3)
    assert words_wrong("One two three.", "one two two three") == (0, 1, 3)
    assert words_wrong("One two three.", "one too three") == (1, 1, 3)


def test_a_number_is_no_other_word_for_being_written_in_digits() -> None:
    said = "Gate twelve, on the fourteenth of March; it rose by four percent."
    assert words_wrong(said, "Gate 12, on the 14th of March. It rose by 4%.") == (0, 0, 12)
    assert words_wrong(said, "Gate 11, on the 14th of March. It rose by 4%.") == (1, 1, 12)
