"""Cutting audio into phrases, with tones for voices: every time is known to the sample."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.speech import Pcm
from realtime.ears.activity import FRAME, voice_activity
from realtime.ears.phrases import Phrase, PhraseEvent, Phrases, VoiceStarted, VoiceStopped
from realtime.ears.recogniser import HEARING_RATE

FRAME_SECONDS = FRAME / HEARING_RATE


def loud(pcm: Pcm) -> Iterator[bool]:
    """Whatever is loud is a voice."""
    yield from (np.abs(pcm).reshape(-1, FRAME).max(axis=1) > 0.1).tolist()


def stream(*parts: tuple[str, float]) -> Pcm:
    """Silence, a tone or a soft tone, of so many seconds."""
    levels = {"silence": 0.0, "tone": 0.5, "soft": 0.2}
    return np.concatenate(
        [
            levels[kind] * np.sin(np.arange(round(seconds * HEARING_RATE)) * 0.2).astype(np.float32)
            for kind, seconds in parts
        ]
    ).astype(np.float32)


def cut(pcm: Pcm, step: int = 1000, *, flush: bool = True, **options: float) -> list[PhraseEvent]:
    phrases = Phrases(**{"max_seconds": 7.0} | options, activity=loud)  # type: ignore[arg-type]
    events: list[PhraseEvent] = []
    for at in range(0, len(pcm), step):
        events += phrases.push(pcm[at : at + step])
    assert phrases.seconds == len(pcm) / HEARING_RATE
    return [*events, *phrases.flush()] if flush else events


def spans(events: list[PhraseEvent]) -> list[tuple[float, float]]:
    return [(event.start, event.end) for event in events if isinstance(event, Phrase)]


def test_a_phrase_ends_with_a_pause() -> None:
    pcm = stream(
        ("silence", 1.2), ("tone", 0.9), ("silence", 0.3), ("tone", 0.6), ("silence", 1.2), ("tone", 1.5)
    )
    events = cut(pcm)
    assert [type(event) for event in events] == [VoiceStarted, VoiceStopped, Phrase] * 2
    assert np.ravel(spans(events)) == pytest.approx([1.2, 3.0, 4.2, 5.7], abs=FRAME_SECONDS)
    started, stopped, phrase = events[:3]
    assert isinstance(started, VoiceStarted)
    assert isinstance(stopped, VoiceStopped)
    assert isinstance(phrase, Phrase)
    assert (started.at, stopped.at) == (phrase.start, phrase.end)


def test_a_phrase_has_a_margin_and_says_where_it_begins() -> None:
    pcm = stream(("silence", 1.2), ("tone", 0.9), ("silence", 1.2))
    phrase = next(event for event in cut(pcm) if isinstance(event, Phrase))
    assert 0.1 < phrase.start - phrase.offset < 0.5
    assert phrase.offset + len(phrase.pcm) / HEARING_RATE > phrase.end + 0.1
    first = round(phrase.offset * HEARING_RATE)
    np.testing.assert_array_equal(phrase.pcm, pcm[first : first + len(phrase.pcm)])


def test_a_click_is_no_voice() -> None:
    assert cut(stream(("silence", 1.0), ("tone", 0.05), ("silence", 1.0))) == []


@pytest.mark.parametrize("pause", [0.2, 1.0])
def test_how_long_a_pause_ends_it(pause: float) -> None:
    def pieces(silence: float) -> int:
        return len(spans(cut(stream(("tone", 1.0), ("silence", silence), ("tone", 1.0)), pause=pause)))

    assert pieces(pause - 0.06) == 1
    assert pieces(pause + 0.06) == 2


def test_what_is_too_long_is_cut_where_it_is_softest() -> None:
    pcm = stream(("tone", 4.5), ("soft", 0.3), ("tone", 5.0))
    events = cut(pcm)
    phrases = [event for event in events if isinstance(event, Phrase)]
    assert [type(event) for event in events].count(VoiceStarted) == 1
    assert phrases[0].end == pytest.approx(4.65, abs=0.15)
    assert phrases[1].start == phrases[0].end
    assert all(len(phrase.pcm) <= 7 * HEARING_RATE for phrase in phrases)
    whole = np.concatenate([phrase.pcm for phrase in phrases])
    np.testing.assert_array_equal(whole, pcm[: len(pcm) // FRAME * FRAME])


def test_short_phrases_are_gathered_for_who_wants_them() -> None:
    pcm = stream(*[("tone", 1.0), ("silence", 0.8)] * 4, ("silence", 2.0), ("tone", 1.0))
    events = cut(pcm, min_seconds=4.0, max_seconds=30.0)
    assert np.ravel(spans(events)) == pytest.approx([0, 4.6, 5.4, 6.4, 9.2, 10.2], abs=FRAME_SECONDS)
    assert [type(event) for event in events].count(VoiceStopped) == 5


def test_what_is_open_can_be_looked_at() -> None:
    phrases = Phrases(max_seconds=7.0, activity=loud)
    assert phrases.open() is None
    list(phrases.push(stream(("silence", 0.6), ("tone", 0.9))))
    open_ = phrases.open()
    assert open_ is not None
    assert (open_.start, open_.end) == pytest.approx((0.6, 1.5), abs=FRAME_SECONDS)
    list(phrases.flush())
    assert phrases.open() is None


def test_a_stream_goes_on_after_a_flush() -> None:
    phrases = Phrases(max_seconds=7.0, activity=loud)
    events = list(phrases.push(stream(("tone", 0.9)))) + list(phrases.flush())
    events += list(phrases.push(stream(("tone", 0.9)))) + list(phrases.flush())
    assert [type(event) for event in events] == [VoiceStarted, VoiceStopped, Phrase] * 2
    assert np.ravel(spans(events)) == pytest.approx([0, 0.9, 0.9, 1.8], abs=FRAME_SECONDS)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["tone", "soft", "silence"]), st.floats(0.02, 4.0)), max_size=12),
    st.integers(1, 20_000),
    st.floats(0.0, 4.0),
)
def test_any_stream_is_cut_into_phrases_that_follow_each_other(
    parts: list[tuple[str, float]], step: int, min_seconds: float
) -> None:
    pcm = stream(("silence", 0.01), *parts)
    events = cut(pcm, max(step, 50), min_seconds=min_seconds)
    assert [repr(event) for event in events] == [repr(event) for event in cut(pcm, min_seconds=min_seconds)]
    phrases = [event for event in events if isinstance(event, Phrase)]
    for phrase in phrases:
        assert 0 <= phrase.offset <= phrase.start < phrase.end <= len(pcm) / HEARING_RATE
        assert len(phrase.pcm) <= 7 * HEARING_RATE
    for one, other in pairwise(phrases):
        assert one.end <= other.start
    turns = [event for event in events if not isinstance(event, Phrase)]
    assert [type(turn) for turn in turns] == [VoiceStarted, VoiceStopped] * (len(turns) // 2)


@pytest.mark.parametrize("noise", ["white", "hum", "tone", "rumble", "silence"])
def test_no_steady_sound_is_a_voice(noise: str) -> None:
    times = np.arange(10 * HEARING_RATE) / HEARING_RATE
    random = np.random.default_rng(1).normal(0, 0.05, times.size)
    sound = {
        "white": random,
        "hum": 0.1 * np.sin(2 * np.pi * 50 * times) + 0.03 * np.sin(2 * np.pi * 150 * times),
        "tone": 0.3 * np.sin(2 * np.pi * 440 * times),
        "rumble": np.convolve(random, np.ones(50) / 10, "same"),
        "silence": np.zeros(times.size),
    }[noise]
    detect = voice_activity()
    voiced = sum(detect(sound[: times.size // FRAME * FRAME].astype(np.float32)))
    assert voiced <= 0.05 * times.size / FRAME
