"""The bundled voice as the engine uses it: frames, silences, word times, streams side by side."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.errors import SpeechError
from engine.models.hibari import HibariModel
from engine.speech import Sampling, Segment, StreamId, StreamOptions
from tests.engine.models.speaking import RATE, finish, level, model, onset, pitches, speak, step

_OPTIONS = StreamOptions(("heart",), sampling=Sampling(seed=3))


def test_info_is_there_before_anything_is_warm():
    info = HibariModel().info
    assert (info.sample_rate, info.frame_samples, info.max_batch) == (24_000, 2400, 4)
    assert info.default_voice in info.voice_ids
    assert len(info.voices) >= 8


def test_all_frames_are_whole_but_the_last():
    spoken = speak("Hello there, my friend. How are you?", "I am fine.")
    for frames in spoken.segments:
        assert all(len(frame.pcm) == 2400 for frame in frames[:-1])
        assert 0 < len(frames[-1].pcm) <= 2400
        assert [frame.last for frame in frames] == [False] * (len(frames) - 1) + [True]
    assert spoken.pcm.dtype == np.float32


@pytest.mark.parametrize(
    "text",
    [
        "Paper burns.",
        "Tell me.",
        "Keep it.",
        "Four feet.",
        "She sells.",
        "Harry knows.",
        "Thin ice.",
        "Apples.",
    ],
)
def test_speech_begins_at_once(text):
    assert onset(speak(text).pcm) <= 0.04


@pytest.mark.parametrize("voice", model().info.voice_ids)
def test_every_voice_begins_at_once(voice):
    assert onset(speak("Good morning.", voice=voice).pcm) <= 0.04


def test_a_stream_ends_in_silence():
    for text in ("That is all.", "That is all"):
        tail = speak(text).pcm[-RATE // 10 :]
        assert np.sqrt(np.square(tail).mean()) < 0.003


def _gap(*segments: Segment | str, speed: float = 1.0) -> float:
    """Seconds of silence around the end of the first segment."""
    spoken = speak(*segments, speed=speed)
    seam = sum(len(frame.pcm) for frame in spoken.segments[0])
    quiet = level(spoken.pcm) < 0.01
    seam_ms = seam * 1000 // RATE
    before = quiet[:seam_ms][::-1].argmin()
    after = quiet[seam_ms:].argmin()
    return (before + after) / 1000


def test_pauses_follow_the_punctuation():
    period, colon, comma, none = (
        _gap(Segment(f"We know{end}", open_ended=end != "."), "Now go.") for end in (".", ":", ",", "")
    )
    assert 0.3 < period < 0.45
    assert 0.2 < colon < 0.35
    assert 0.1 < comma < 0.25
    assert none < 0.1


def test_pauses_shrink_with_speed():
    slow, fast = (_gap("We know.", "Now go.", speed=speed) for speed in (0.8, 1.15))
    assert fast < 0.8 * slow


def test_pauses_inside_a_segment_are_those_between_segments():
    together = speak("We know. Now go.")
    apart = speak("We know.", "Now go.")
    assert abs(together.seconds() - apart.seconds()) < 0.03


def test_seams_carry_no_click():
    spoken = speak(
        *(Segment(text, open_ended=True) for text in ("When you", "get home", "call me", "at once"))
    )
    jumps = np.abs(np.diff(spoken.pcm))
    ends = np.cumsum([len(frame.pcm) for frames in spoken.segments for frame in frames])[:-1]
    assert jumps[ends - 1].max() <= jumps.max() / 2
    segment_ends = np.cumsum([sum(len(frame.pcm) for frame in frames) for frames in spoken.segments])[:-1]
    assert max(np.abs(spoken.pcm[end - 24 : end + 24]).max() for end in segment_ends) < 0.01


@pytest.mark.parametrize("voice", ["heart", "zoe", "walter"])
@pytest.mark.parametrize("speed", [0.8, 0.9, 1.15])
def test_speed_changes_the_pace_and_not_the_pitch(voice, speed):
    texts = (
        "The museum has a large collection of old maps.",
        "Nobody knew what had happened to the captain.",
    )
    normal, changed = (
        np.concatenate([speak(text, voice=voice, speed=rate).pcm for text in texts]) for rate in (1.0, speed)
    )
    assert len(changed) == pytest.approx(len(normal) / speed, rel=0.08)
    assert np.median(pitches(changed)) == pytest.approx(np.median(pitches(normal)), rel=0.06)


def test_word_times():
    text = "Take $3.14 to 😀 Kate's house at 7:30 pm. Then, please, come back!"
    spoken = speak(text)
    assert [word.text for word in spoken.words] == [word for word in text.split() if word != "😀"]
    for word in spoken.words:
        assert text[word.start_char : word.end_char] == word.text
        assert 0 <= word.start < word.end <= spoken.seconds()
    assert all(a.end <= b.start for a, b in zip(spoken.words, spoken.words[1:], strict=False))
    clock = 0.0
    for frame in spoken.segments[0]:
        assert all(clock - 1e-9 <= word.start < clock + len(frame.pcm) / RATE for word in frame.words)
        clock += len(frame.pcm) / RATE


def test_words_begin_where_their_sound_does():
    """After a closure, a plosive's burst is the steepest rise of energy around."""
    misses = []
    for text in ("Call Pete at two to talk.", "Katie put ten tickets back.", "Peter took ten cakes to Tom."):
        spoken = speak(text)
        decibels = 20 * np.log10(level(spoken.pcm, 5) + 3e-4)
        rise = decibels[12:] - decibels[:-12]
        for word in spoken.words[1:]:
            if word.text[0].lower() in "ptkc":
                start = round(word.start * 1000)
                near = rise[max(start - 90, 0) : start + 90]
                misses.append(max(start - 90, 0) + int(near.argmax()) + 8 - start)
    assert abs(np.median(misses)) <= 20
    assert np.percentile(np.abs(misses), 70) <= 40


def test_words_of_a_segment_count_from_its_first_sample():
    first, second = speak("Come in.", "Come in.").segments
    times = [[word.start for frame in frames for word in frame.words] for frames in (first, second)]
    assert times[0] == times[1]


def test_long_text_is_spoken_to_its_last_word():
    text = (
        "The captain saw the coast at noon, and so the crew began to sing, " * 4 + "until the ship came home."
    )
    spoken = speak(text)
    assert [word.text for word in spoken.words] == text.split()
    assert 15 < spoken.seconds() < 30


def test_the_same_seed_gives_the_same_samples_in_any_company():
    alone = speak("Nobody knew what had happened.", seed=3)
    stream, other = StreamId(901), StreamId(902)
    model().prefill(other, Segment("Something else, said by another voice."), StreamOptions(("hush",)))
    model().prefill(stream, Segment("Nobody knew what had happened."), _OPTIONS)
    frames = [model().step([other, stream])[1] for _ in range(3)]
    frames += finish(stream)
    model().release(stream)
    model().release(other)
    np.testing.assert_array_equal(np.concatenate([frame.pcm for frame in frames]), alone.pcm)
    assert not np.array_equal(
        speak("Nobody knew what had happened.", voice="hush", seed=4).pcm[:4800], alone.pcm[:4800]
    )


def test_a_released_stream_starts_afresh():
    stream = StreamId(903)
    takes = []
    for _ in range(2):
        model().prefill(stream, Segment("Once more, from the top."), StreamOptions(("hush",)))
        takes.append(np.concatenate([step(stream).pcm for _ in range(4)]))
        model().release(stream)
        model().release(stream)
    np.testing.assert_array_equal(*takes)


def test_one_failure_leaves_the_others_alone():
    stream = StreamId(904)
    model().prefill(stream, Segment("Still here."), _OPTIONS)
    lost, fine = model().step([StreamId(999), stream])
    assert isinstance(lost, SpeechError)
    assert not isinstance(fine, SpeechError)
    model().release(stream)


def test_an_unknown_voice_is_an_error():
    with pytest.raises(SpeechError, match="nobody"):
        model().prefill(StreamId(905), Segment("Hello."), StreamOptions(("nobody",)))


@pytest.mark.parametrize("text", ["😀🎉", "...", "?!", "你好世界", "", " \n ", "\ud800", "((((" * 500])
def test_text_without_anything_to_say_is_a_short_silence(text):
    spoken = speak(text)
    assert 0.1 <= spoken.seconds() <= 0.2
    assert not spoken.pcm.any()
    assert not spoken.words


@pytest.mark.parametrize(
    "text", ["a" * 5000, "9" * 1000, "1," * 300, "Supercali" * 500, "www." + "x" * 300 + ".com"]
)
def test_endless_words_begin_like_others(text):
    stream = StreamId(906)
    model().prefill(stream, Segment(text), _OPTIONS)
    frames = [step(stream) for _ in range(20)]
    model().release(stream)
    assert sum(len(frame.words) for frame in frames) == 1
    assert np.abs(np.concatenate([frame.pcm for frame in frames])).max() > 0.1


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.text(st.characters(codec=None), max_size=60) | st.text("ab 1$€.,:/-'\"()[]\n%😀—", max_size=60),
    st.booleans(),
)
def test_any_text_is_spoken(text, open_ended):
    spoken = speak(Segment(text, open_ended=open_ended), speed=2.0)
    assert spoken.seconds() >= 0.1
    assert np.isfinite(spoken.pcm).all()
    assert np.abs(spoken.pcm).max() < 1
    for word in spoken.words:
        assert text[word.start_char : word.end_char] == word.text
