"""Styles and pauses of segments, as the bundled voice speaks them."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from engine.audio.level import loudness
from engine.models.hibari.timbre import Timbre
from engine.speech import PLAIN, Segment, StreamId, StreamOptions, Style
from tests.engine.models.speaking import RATE, Spoken, level, model, onset, pitches, speak, step
from tests.hearing import transcribe, word_error_rate

_HOP = 300
_SENTENCES = (
    "Tell me what you think about the new plan.",
    "Keep the door closed when you leave the room.",
    "She sells fresh bread at the market every Friday.",
)
_STYLES = {
    "whisper": Style(whisper=True),
    "soft": Style(level_db=-9.0),
    "loud": Style(level_db=6.0),
    "fast": Style(pace=1.2),
    "slow": Style(pace=0.8),
    "high": Style(pitch=1.2),
    "low": Style(pitch=0.85),
    "lively": Style(range=1.5),
    "flat": Style(range=0.3),
    "all": Style(level_db=2.0, pace=1.1, pitch=1.15, range=1.5),
}


@cache
def _spoken(style: Style, voice: str = "heart") -> tuple[Spoken, ...]:
    return tuple(speak(Segment(sentence, style=style), voice=voice) for sentence in _SENTENCES)


def _pcm(style: Style, voice: str = "heart") -> np.ndarray:
    return np.concatenate([spoken.pcm for spoken in _spoken(style, voice)])


def _melody(pcm: np.ndarray) -> float:
    heights = np.log2(pitches(pcm))
    return float(np.percentile(heights, 85) - np.percentile(heights, 15))


@pytest.mark.parametrize("voice", ["heart", "mia", "otto"])
def test_a_whisper_has_no_pitch_and_is_a_little_softer(voice):
    whisper, plain = _pcm(Style(whisper=True), voice), _pcm(PLAIN, voice)
    assert len(pitches(whisper)) < 0.1 * len(pitches(plain))
    assert -8 < loudness(whisper, RATE) - loudness(plain, RATE) < -3


def test_who_whispers_already_is_not_changed_by_whispering():
    np.testing.assert_array_equal(_pcm(Style(whisper=True), "hush"), _pcm(PLAIN, "hush"))


@pytest.mark.parametrize("voice", ["heart", "otto", "hush"])
@pytest.mark.parametrize("decibels", [-9.0, 4.0])
def test_the_level_is_what_was_asked_for_and_nothing_else_changes(voice, decibels):
    changed, plain = _pcm(Style(level_db=decibels), voice), _pcm(PLAIN, voice)
    assert loudness(changed, RATE) - loudness(plain, RATE) == pytest.approx(decibels, abs=0.5)
    assert len(changed) == len(plain)
    assert np.abs(changed).max() < 1


@pytest.mark.parametrize("pace", [0.8, 1.15])
def test_pace_changes_the_length_and_not_the_pitch(pace):
    changed, plain = _pcm(Style(pace=pace)), _pcm(PLAIN)
    assert len(changed) == pytest.approx(len(plain) / pace, rel=0.08)
    assert np.median(pitches(changed)) == pytest.approx(np.median(pitches(plain)), rel=0.05)


@pytest.mark.parametrize("voice", ["heart", "otto"])
@pytest.mark.parametrize("pitch", [0.85, 1.2])
def test_pitch_moves_f0_and_neither_level_nor_length(voice, pitch):
    changed, plain = _pcm(Style(pitch=pitch), voice), _pcm(PLAIN, voice)
    assert np.median(pitches(changed)) == pytest.approx(pitch * np.median(pitches(plain)), rel=0.06)
    assert loudness(changed, RATE) == pytest.approx(loudness(plain, RATE), abs=2.0)
    assert abs(len(changed) - len(plain)) <= 3 * 168


def test_range_widens_and_narrows_the_melody():
    assert _melody(_pcm(Style(range=1.5))) > 1.25 * _melody(_pcm(PLAIN))
    assert _melody(_pcm(Style(range=0.3))) < 0.6 * _melody(_pcm(PLAIN))


@pytest.mark.parametrize("style", _STYLES.values(), ids=_STYLES)
@pytest.mark.parametrize("voice", ["heart", "finn"])
def test_every_style_is_understood(style, voice):
    heard = " ".join(transcribe(spoken.pcm, RATE) for spoken in _spoken(style, voice))
    assert word_error_rate(" ".join(_SENTENCES), heard) <= 0.12


@pytest.mark.parametrize("style", [style for name, style in _STYLES.items() if name != "soft"])
def test_every_style_begins_at_once(style):
    assert all(onset(spoken.pcm) <= 0.045 for spoken in _spoken(style))


def test_seams_between_styles_carry_no_click():
    pieces = ("When you", "get home", "call me", "at once", "my friend.")
    styles = (PLAIN, Style(whisper=True), Style(level_db=6.0, pitch=1.2), Style(pitch=0.85, pace=0.8), PLAIN)
    spoken = speak(
        *(
            Segment(text, open_ended=text != pieces[-1], style=style)
            for text, style in zip(pieces, styles, strict=True)
        )
    )
    steps = np.abs(np.diff(spoken.pcm))
    seams = np.cumsum([sum(len(frame.pcm) for frame in frames) for frames in spoken.segments])[:-1]
    assert max(steps[seam - 240 : seam + 240].max() for seam in seams) < steps.max() / 3
    assert max(np.abs(spoken.pcm[seam - 24 : seam + 24]).max() for seam in seams) < 0.01
    assert word_error_rate(" ".join(pieces), transcribe(spoken.pcm, RATE)) <= 0.12


@pytest.mark.parametrize("seconds", [0.05, 0.5, 1.23])
@pytest.mark.parametrize("speed", [0.8, 1.15])
def test_a_pause_is_exact_at_any_speed(seconds, speed):
    def after(pause: float) -> Spoken:
        return speak("Well.", Segment("Now go.", pause=pause), speed=speed)

    paused, plain = after(seconds), after(0.0)
    extra = len(paused.pcm) - len(plain.pcm)
    assert abs(extra - seconds * RATE) <= _HOP / 2 + 1
    assert [word.text for word in paused.words] == ["Well.", "Now", "go."]
    for late, early in zip(paused.words[1:], plain.words[1:], strict=True):
        assert (late.start - early.start) * RATE == pytest.approx(extra, abs=1)
    start = sum(len(frame.pcm) for frame in paused.segments[0])
    assert not paused.pcm[start : start + extra].any()


@pytest.mark.parametrize("text", ["", " ", "…", "😀"])
def test_a_pause_may_be_all_there_is(text):
    spoken = speak(Segment(text, pause=0.75))
    assert len(spoken.pcm) == 0.75 * RATE
    assert not spoken.pcm.any()
    assert not spoken.words


@pytest.mark.parametrize(
    ("pause", "seconds"),
    [(60.0, 10.0), (float("inf"), 10.0), (-1.0, 0.15), (float("nan"), 0.15), (0.001, 0.15)],
)
def test_pauses_are_bounded(pause, seconds):
    assert speak(Segment("", pause=pause)).seconds() == pytest.approx(seconds)


def test_speech_follows_at_once_on_a_first_pause():
    stream = StreamId(950)
    model().prefill(stream, Segment("Hello there.", pause=0.3), StreamOptions(("heart",)))
    frames = [step(stream) for _ in range(5)]
    model().release(stream)
    pcm = np.concatenate([frame.pcm for frame in frames])
    assert not pcm[: int(0.3 * RATE)].any()
    assert int(np.argmax(level(pcm) > 0.01)) < 350


@pytest.mark.parametrize(
    "style",
    [
        Style(level_db=1e9, pace=1e9, pitch=1e9, range=1e9),
        Style(level_db=-1e9, pace=1e-9, pitch=1e-9, range=-1e9),
        Style(*[True, *[float("nan")] * 4]),
        Style(*[False, *[float("nan")] * 4]),
        Style(pace=0.0, pitch=-1.0),
    ],
)
def test_no_style_can_break_the_voice(style):
    spoken = speak(Segment("Go on.", style=style), voice="otto")
    assert np.isfinite(spoken.pcm).all()
    assert np.abs(spoken.pcm).max() < 1
    assert 0.3 < spoken.seconds() < 3


def test_a_plain_style_is_the_timbre_itself():
    timbre = Timbre(4.0, 0.7, 0.9, 0.95)
    assert timbre.styled(PLAIN) == timbre
    assert timbre.styled(Style(level_db=-3.0)) == replace(timbre, gain_db=1.0)
