"""What is told of an utterance, from times that the test gives."""

import numpy as np
import pytest

from benchmarks.listener import first_audible
from engine import EngineStopped, Overloaded, SpeechError
from engine.numbers import SegmentTiming
from realtime.observer import (
    Admitted,
    Audible,
    Begun,
    Encoded,
    Ended,
    Observation,
    Observer,
    Observers,
    Refused,
    Said,
    Sent,
    TextCame,
    Underrun,
)
from realtime.watch import OnsetFinder, Watch

RATE = 8000


class Notes:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Observation] = []

    def note(self, event: Observation) -> None:
        self.events.append(event)

    def of(self, kind: type) -> list[Observation]:
        return [event for event in self.events if type(event) is kind]


@pytest.fixture
def notes() -> Notes:
    return Notes()


def watch(notes: Observer, now: float = 0.0, text: float | None = None) -> Watch:
    return Watch(notes, context="", model="tones", paced=True, sample_rate=RATE, now=now, text=text)


def tone(seconds: float) -> np.ndarray:  # type: ignore[type-arg]
    return (0.3 * np.sin(2 * np.pi * 200 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.mark.parametrize("piece", [1, 7, 80, 333, 10_000])
@pytest.mark.parametrize("silence", [0.0, 0.0041, 0.3])
def test_the_onset_is_that_of_the_benchmarks_however_it_is_cut(piece: int, silence: float) -> None:
    pcm = np.concatenate(
        [np.zeros(round(silence * RATE), np.float32), tone(0.5) * np.float32(0.05), tone(0.1)]
    )
    finder = OnsetFinder(RATE)
    for at in range(0, len(pcm), piece):
        finder.push(pcm[at : at + piece])
    expected = first_audible(pcm, RATE)
    assert expected is not None
    assert finder.at == expected / RATE


def test_silence_has_no_onset() -> None:
    finder = OnsetFinder(RATE)
    finder.push(np.zeros(RATE, np.float32))
    assert finder.at is None


def test_an_utterance_from_its_text_to_its_end(notes: Notes) -> None:
    one = watch(notes, now=1.0)
    one.admitted(1.0)
    one.text(2.0)
    one.text(2.5)
    one.said(11, 2.6)
    one.begun(SegmentTiming(2.61, 2.7, 2.8, 2.9))
    one.onset.push(np.concatenate([np.zeros(800, np.float32), tone(0.4)]))
    one.made(0.5, last=True, began=3.0, now=3.1)
    one.sent(3.2)
    one.ended("stop", 3.3)
    one.sent(3.4)
    one.ended("gone", 3.5)
    audible = notes.of(Audible)[0]
    assert isinstance(audible, Audible)
    assert audible.at == pytest.approx(3.3, abs=0.011)  # 0.1 s of silence come first
    assert notes.events == [
        Admitted(one.speech, 1.0, 1.0),
        TextCame(one.speech, 2.0),
        Said(one.speech, 2.6, 0, 11, 2.5),
        Begun(one.speech, 2.9, 0, 2.61, 2.7, 2.8),
        Encoded(one.speech, 3.1, 0, 3.0),
        Sent(one.speech, 3.2, 3.1, 2.0),
        Audible(one.speech, audible.at, 2.5),
        Ended(one.speech, 3.3, "stop", 0.5, 11),
    ]


def test_text_that_came_before_the_start_counts_from_then(notes: Notes) -> None:
    one = watch(notes, now=5.0, text=4.0)
    one.admitted(5.0)
    one.text(5.0)
    one.said(3, 5.0)
    one.onset.push(tone(0.2))
    one.made(0.2, last=True, began=5.0, now=5.1)
    one.sent(5.2)
    assert notes.of(TextCame) == [TextCame(one.speech, 4.0)]
    assert notes.of(Sent) == [Sent(one.speech, 5.2, 5.1, 4.0)]
    assert [event.text for event in notes.of(Audible)] == [4.0]  # type: ignore[union-attr]


def test_what_is_heard_late_is_audible_when_it_leaves(notes: Notes) -> None:
    """A second of silence is sent at once; the sound behind it is made late, and heard as it comes."""
    one = watch(notes)
    one.text(0.0)
    one.said(3, 0.0)
    one.onset.push(np.zeros(RATE, np.float32))
    one.made(1.0, last=False, began=0.0, now=0.1)
    one.sent(0.1)
    assert not one.audible
    one.onset.push(tone(0.5))
    one.made(0.5, last=True, began=0.0, now=3.0)
    one.sent(3.0)
    (audible,) = notes.of(Audible)
    assert audible.at == pytest.approx(3.0, abs=0.011)  # type: ignore[union-attr]
    assert one.audible


def test_an_underrun_is_what_was_waited_for_text_that_the_engine_had(notes: Notes) -> None:
    one = watch(notes)
    one.said(3, 0.0)
    one.made(1.0, last=False, began=0.0, now=0.1)  # heard until 1.1
    one.made(1.0, last=False, began=0.0, now=1.0)  # in time: until 2.1
    one.made(1.0, last=True, began=0.0, now=2.6)  # half a second late: until 3.6
    one.said(3, 4.0)  # the listener has run dry, but there was no text
    one.made(1.0, last=True, began=0.0, now=4.5)
    one.ended("stop", 9.0)
    (underrun,) = notes.of(Underrun)
    assert isinstance(underrun, Underrun)
    assert underrun.at == pytest.approx(2.1)
    assert underrun.seconds == pytest.approx(0.5)


def test_who_gives_up_waiting_has_waited(notes: Notes) -> None:
    one = watch(notes)
    one.said(3, 0.0)
    one.made(1.0, last=False, began=0.0, now=0.0)
    one.ended("cancelled", 3.0)
    (underrun,) = notes.of(Underrun)
    assert isinstance(underrun, Underrun)
    assert (underrun.at, underrun.seconds) == (1.0, 2.0)


def test_what_the_listener_has_really_played_counts(notes: Notes) -> None:
    one = watch(notes)
    one.said(3, 0.0)
    one.made(1.0, last=False, began=0.0, now=0.0)
    one.played(2.0, 0.5)  # it was paused: there is more left than time tells
    one.made(1.0, last=True, began=0.0, now=2.0)
    assert notes.of(Underrun) == []


def test_a_segment_without_sound_does_not_shift_the_others(notes: Notes) -> None:
    one = watch(notes)
    one.said(0, 1.0)
    one.said(3, 1.5)
    one.begun(SegmentTiming(1.5, 1.6, 1.7, 1.8))
    one.made(0.0, last=True, began=2.0, now=2.1)
    one.made(0.5, last=True, began=2.2, now=2.3)
    assert [event.segment for event in notes.of(Begun)] == [1]  # type: ignore[union-attr]
    assert [event.segment for event in notes.of(Encoded)] == [1]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Overloaded("full"), "full"), (EngineStopped("gone"), "stopped"), (SpeechError("no"), "other")],
)
def test_a_refusal_is_all_that_is_told(
    notes: Notes, error: Overloaded | EngineStopped | SpeechError, reason: str
) -> None:
    one = watch(notes, now=1.0)
    one.refused(error, 1.0)
    one.ended("error", 1.1)
    assert [type(event) for event in notes.events] == [Refused]
    assert notes.events[0].reason == reason  # type: ignore[union-attr]


def test_an_observer_that_fails_disturbs_nobody(notes: Notes, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def note(self, event: Observation) -> None:
            raise ValueError("broken")

    watch(Observers([Broken(), notes])).admitted(1.0)
    assert len(notes.events) == 1
    assert "an observer failed at Admitted" in caplog.text
