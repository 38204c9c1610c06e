"""The bundled voice moved toward recordings: near them in what can be moved, and always to be understood."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import count

import numpy as np
import pytest

from engine.audio import loudness
from engine.errors import SpeechError
from engine.models.hibari.presets import DEFAULT_VOICE, LOUDNESS, PRESETS, Preset
from engine.speech import Pcm, Reference, Segment, StreamId, StreamOptions
from engine.voices.traits import Traits, measure, resampled, speaking_seconds
from tests.engine.models.speaking import RATE, model, speak
from tests.hearing import transcribe, word_error_rate
from tests.int8 import saturates

RECORDED = (
    "Tell me what you think about the new plan. Keep the door closed when you leave the room. "
    "Four friends walked through the forest at night."
)
SAID = (
    "Thank you for calling, how can I help you today? His train leaves the station at half past seven. "
    "Could you repeat the last part, please? Music can change the way that people feel."
)
VOICED = [voice for voice, preset in PRESETS.items() if not preset.timbre.whisper]
_ids = count()


@pytest.fixture
def voice() -> Iterator[str]:
    name = f"learned-{next(_ids)}"
    yield name
    model().forget(name)


def recording(voice: str, text: str = RECORDED) -> Reference:
    return Reference(speak(RECORDED, voice=voice).pcm, RATE, text)


@cache
def learned(like: str, text: str = RECORDED) -> tuple[Preset, Pcm]:
    """The preset that was learned from a voice of the model's own, and how it says something else."""
    model().learn(f"like {like}", [recording(like, text)])
    return model()._learned[f"like {like}"], speak(SAID, voice=f"like {like}").pcm


def traits(pcm: Pcm) -> Traits:
    measured = measure(resampled(pcm, RATE))
    assert measured is not None
    return measured


def seconds(pcm: Pcm) -> float:
    return speaking_seconds(resampled(pcm, RATE))


@cache
def own(voice: str) -> Pcm:
    return speak(SAID, voice=voice).pcm


@pytest.mark.parametrize("text", [RECORDED, ""])
@pytest.mark.parametrize("like", VOICED)
def test_the_pitch_is_that_of_the_recording(like: str, text: str) -> None:
    pitch = traits(learned(like, text)[1]).pitch
    assert pitch == pytest.approx(traits(recording(like).pcm).pitch, rel=0.08)


@pytest.mark.parametrize("like", ["clara", "zoe", "otto", "walter"])
def test_the_melody_is_nearer_to_the_recording_than_that_of_the_default_voice(like: str) -> None:
    there, here, before = (traits(pcm).span for pcm in (own(like), learned(like)[1], own(DEFAULT_VOICE)))
    assert abs(here - there) < abs(before - there)


@pytest.mark.parametrize("like", ["clara", "zoe", "walter"])
def test_the_pace_is_nearer_to_the_recording_than_that_of_the_default_voice(like: str) -> None:
    there, here, before = (seconds(pcm) for pcm in (own(like), learned(like)[1], own(DEFAULT_VOICE)))
    assert abs(here - there) < abs(before - there)


@pytest.mark.parametrize("text", ["今天天气很好", "Yes."])
def test_a_transcript_of_something_else_does_no_harm(voice: str, text: str) -> None:
    model().learn(voice, [recording("finn", text)])
    wrong, right = model()._learned[voice], learned("finn")[0]
    assert wrong.timbre.pitch == right.timbre.pitch
    assert wrong.timbre.tract == pytest.approx(right.timbre.tract, rel=0.05)
    assert wrong.pace == pytest.approx(right.pace, rel=0.15)


def test_the_pace_is_moved_without_a_transcript_too() -> None:
    slow, fast = (learned(voice, "")[0].pace for voice in ("walter", "zoe"))
    assert slow < fast
    if not saturates():  # its sound is rougher there, and syllables are counted in it
        assert slow < 0.95 < fast


@pytest.mark.parametrize("text", [RECORDED, ""])
def test_men_women_and_children_are_told_apart_by_their_vocal_tract(text: str) -> None:
    tracts = {like: learned(like, text)[0].timbre.tract for like in VOICED}
    for like, length in tracts.items():
        assert length == pytest.approx(PRESETS[like].timbre.tract, rel=0.05)
    men, women = ([tracts[like] for like in group] for group in (("finn", "otto"), ("heart", "clara", "zoe")))
    assert max(men) < min(women) < tracts["mia"]


@pytest.mark.parametrize("like", ["mia", "otto", "walter"])
def test_what_it_says_is_understood(like: str) -> None:
    assert word_error_rate(SAID, transcribe(learned(like)[1], RATE)) <= 0.15


@pytest.mark.parametrize("like", VOICED)
def test_it_is_as_loud_as_the_other_voices(like: str) -> None:
    assert loudness(learned(like)[1], RATE) == pytest.approx(LOUDNESS, abs=1.0)


def chord(seconds: float) -> Pcm:
    time = np.arange(round(seconds * RATE)) / RATE
    notes = (np.sin(2 * np.pi * hz * time) for hz in (262, 330, 392, 1047))
    return (0.1 * np.sum(list(notes), axis=0)).astype(np.float32)


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.zeros(0, np.float32),
        lambda: np.zeros(RATE, np.float32),
        lambda: 0.1 * np.random.default_rng(1).standard_normal(3 * RATE).astype(np.float32),
        lambda: speak("Yes.").pcm[:2400],
        lambda: speak(RECORDED, voice="hush").pcm,
    ],
    ids=["nothing", "silence", "noise", "a snippet", "a whisper"],
)
def test_what_has_no_voice_is_spoken_with_the_default_voice(voice: str, make: Callable[[], Pcm]) -> None:
    model().learn(voice, [Reference(make(), RATE, "Something else.")])
    default = PRESETS[DEFAULT_VOICE]
    preset = model()._learned[voice]
    assert (preset.voice.id, preset.timbre, preset.pace) == (voice, default.timbre, default.pace)


@pytest.mark.parametrize(
    ("make", "rate"),
    [
        (lambda: chord(5), RATE),
        (lambda: chord(0.5), 8_000),
        (lambda: chord(2), 96_000),
        (lambda: np.sign(chord(2)), RATE),
        (lambda: speak("Yes.").pcm, RATE),
        (lambda: speak(RECORDED).pcm, 48_000),
        (lambda: speak(RECORDED, voice="otto").pcm, 11_025),
    ],
    ids=["music", "short music", "high music", "clipped", "a word", "a mouse", "a giant"],
)
def test_whatever_is_recorded_it_is_understood(voice: str, make: Callable[[], Pcm], rate: int) -> None:
    model().learn(voice, [Reference(make(), rate, "")] * 2)
    text = "Keep the door closed when you leave the room."
    assert word_error_rate(text, transcribe(speak(text, voice=voice).pcm, RATE)) <= 0.15


def test_a_learned_voice_takes_styles_speeds_and_company(voice: str) -> None:
    model().learn(voice, [recording("finn")])
    slow, fast = (speak(SAID, voice=voice, speed=speed).pcm for speed in (0.8, 1.15))
    assert len(slow) > 1.2 * len(fast)


def test_a_forgotten_voice_is_unknown_but_finishes_what_it_says(voice: str) -> None:
    made = model()
    assert not made.info.clones
    made.learn(voice, [recording("finn")])
    stream, options = StreamId(1_000_000), StreamOptions((voice,))
    made.prefill(stream, Segment(RECORDED), options)
    made.forget(voice)
    made.forget(voice)
    heard, last = [], False
    while not last:
        (frame,) = made.step([stream])
        assert not isinstance(frame, SpeechError)
        heard.append(frame.pcm)
        last = frame.last
    assert len(np.concatenate(heard)) > 5 * RATE
    with pytest.raises(SpeechError, match="unknown voice"):
        made.prefill(stream, Segment(RECORDED), options)
