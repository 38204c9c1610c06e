"""The live stream's decisions, driven by hand."""

from collections.abc import Callable

import numpy as np
import pytest

from engine.speech import Pcm
from realtime.ears import HEARING_RATE, Final, Finalized, HeardSegment, Partial, VoiceStarted, VoiceStopped
from realtime.ears.listening import Job, Listening, ListeningEvent
from tests.engine.models.speaking import RATE, speak
from tests.hearing import resample

TEXTS = (
    "The parrot repeats what it has heard.",
    "We should leave before the rain starts, or we will be wet.",
)


@pytest.fixture(scope="module")
def talk() -> Pcm:
    """Both texts, with a second of silence after each."""
    silence = np.zeros(RATE, np.float32)
    parts = [part for text in TEXTS for part in (speak(text).pcm, silence)]
    return resample(np.concatenate(parts), RATE, HEARING_RATE)


def said(job: Job) -> list[HeardSegment]:
    return [HeardSegment(0.0, 1.0, f"{job.phrase.start:.1f}-{job.phrase.end:.1f}")]


def run(
    listening: Listening, pcm: Pcm, *, answer_after: int = 1, see: Callable[[Job], object] = lambda _: None
) -> list[ListeningEvent]:
    """Push 20 ms at a time; a job is answered so many pushes after it was taken."""
    events: list[ListeningEvent] = []
    job, age = None, 0
    for at in range(0, len(pcm), 320):
        events += listening.push(pcm[at : at + 320])
        if job is None and (job := listening.job()):
            see(job)
            age = 0
        if job is not None and (age := age + 1) > answer_after:
            events += listening.heard(said(job))
            job = None
    events += listening.finalize()
    if job is not None:
        events += listening.heard(said(job))
    while job := listening.job():
        see(job)
        events += listening.heard(said(job))
    return events


def kinds(events: list[ListeningEvent]) -> list[type]:
    return [type(event) for event in events]


def test_each_turn_gets_one_final_and_partials_that_grow(talk: Pcm) -> None:
    events = run(Listening(max_seconds=7.0, pause=0.5, partials=True), talk)
    assert kinds([event for event in events if not isinstance(event, Partial)]) == (
        [VoiceStarted, VoiceStopped, Final] * 2 + [Finalized]
    )
    turn: list[Partial] = []
    for event in events:
        if isinstance(event, Partial):
            turn.append(event)
        elif isinstance(event, Final):
            ends = [partial.end for partial in turn]
            assert len(ends) >= 2
            assert ends == sorted(set(ends))
            assert {partial.start for partial in turn} == {event.start}
            turn.clear()


def test_without_partials_only_finals_are_asked_for(talk: Pcm) -> None:
    jobs: list[Job] = []
    events = run(Listening(max_seconds=7.0, pause=0.5, partials=False), talk, see=jobs.append)
    assert [job.final for job in jobs] == [True, True]
    assert Partial not in kinds(events)


def test_a_slow_recogniser_gets_finals_and_no_stale_partial(talk: Pcm) -> None:
    events = run(Listening(max_seconds=7.0, pause=0.5, partials=True), talk, answer_after=150)
    finals = [event for event in events if isinstance(event, Final)]
    assert len(finals) == 2
    for at, event in enumerate(events):
        if isinstance(event, Partial):
            assert not any(isinstance(e, VoiceStopped) and e.at >= event.start for e in events[:at])


@pytest.mark.parametrize("answer_after", [0, 3, 8, 15, 150])
def test_what_is_looked_at_early_becomes_the_final_when_the_pause_is_over(
    talk: Pcm, answer_after: int
) -> None:
    jobs: list[Job] = []
    listening = Listening(max_seconds=7.0, pause=0.3, partials=True, early=True)
    events = run(listening, talk, answer_after=answer_after, see=jobs.append)
    finals = [event for event in events if isinstance(event, Final)]
    assert [event.text for event in finals] == [f"{event.start:.1f}-{event.end:.1f}" for event in finals]
    assert kinds(events).count(VoiceStopped) == len(finals)
    if answer_after <= 3:  # far less than the rest of the pause: nobody had to look again
        assert not any(job.final for job in jobs)
        for at, event in enumerate(events):
            if isinstance(event, VoiceStopped):
                assert isinstance(events[at + 1], Final)
    looked = [(job.phrase.offset, len(job.phrase.pcm)) for job in jobs]
    assert len(looked) == len(set(looked))
    for job in jobs:  # when a pause may have begun, nothing is begun that would have to be waited for
        silent = job.phrase.offset + len(job.phrase.pcm) / HEARING_RATE - job.phrase.end
        assert job.urgent or silent < 0.06


def test_partials_look_at_five_times_the_speech_at_most(talk: Pcm) -> None:
    """However long somebody speaks without a pause; and never at more than one phrase may hold."""
    speech = speak("Nobody knew that the old lighthouse keeper had a parrot of his own").pcm
    long = np.tile(resample(speech[: len(speech) * 9 // 10], RATE, HEARING_RATE), 12)
    looked: list[float] = []
    listening = Listening(max_seconds=7.0, pause=1.0, partials=True)
    events = run(
        listening, long, answer_after=0, see=lambda job: looked.append(len(job.phrase.pcm) / HEARING_RATE)
    )
    assert max(looked) <= 7.0
    assert sum(looked) <= 6 * len(long) / HEARING_RATE
    assert kinds(events).count(VoiceStarted) == 1
    assert kinds(events).count(Final) >= 5


def test_finalize_ends_what_is_open_and_is_answered_last(talk: Pcm) -> None:
    listening = Listening(max_seconds=7.0, pause=0.5, partials=False)
    assert kinds(listening.push(talk[:HEARING_RATE])) == [VoiceStarted]
    assert kinds(listening.finalize()) == [VoiceStopped]
    assert listening.waiting_seconds > 0.8
    assert listening.job() is not None
    assert listening.job() is None  # one at a time
    assert kinds(listening.heard([HeardSegment(0, 1, "so far")])) == [Final, Finalized]
    assert listening.waiting_seconds == 0


def test_finalize_with_nothing_open_is_answered_at_once() -> None:
    assert kinds(Listening(max_seconds=7.0, pause=0.5, partials=True).finalize()) == [Finalized]


def test_what_is_not_understood_gets_an_empty_final(talk: Pcm) -> None:
    listening = Listening(max_seconds=7.0, pause=0.5, partials=False)
    listening.push(talk[: 3 * HEARING_RATE])
    assert listening.job() is not None
    (final,) = listening.heard([])
    assert isinstance(final, Final)
    assert final.text == ""
