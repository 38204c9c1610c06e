"""What is measured of a voice: against the bundled voices, of which it is known, and against real speech."""

from functools import cache
from pathlib import Path

import moonshine_voice
import numpy as np
import pytest

from engine.audio import decode
from engine.models.hibari.presets import PRESETS
from engine.speech import Pcm
from engine.voices.traits import RATE, Traits, measure, resampled, speaking_seconds, tract
from tests.engine.models import speaking

TEXT = "Tell me what you think about the new plan. Have you seen my blue umbrella anywhere?"
OTHER = "Please remember to water the plants on Tuesday. The weather will be sunny with a light breeze."
VOICED = [voice for voice, preset in PRESETS.items() if not preset.timbre.whisper]


def traits(pcm: Pcm, rate: int = RATE) -> Traits:
    measured = measure(resampled(pcm, rate))
    assert measured is not None
    return measured


@cache
def said(text: str, voice: str = "heart") -> Traits:
    return traits(speaking.speak(text, voice=voice).pcm, speaking.RATE)


def tone(hz: float, *harmonics: float, seconds: float = 1.0) -> Pcm:
    """A sound of these amplitudes."""
    time = np.arange(round(seconds * RATE)) / RATE
    waves = (level * np.sin(2 * np.pi * hz * order * time) for order, level in enumerate(harmonics, 1))
    return np.sum(list(waves), axis=0).astype(np.float32)


@pytest.mark.parametrize("hz", [61.0, 97.3, 180.0, 263.7, 410.0])
@pytest.mark.parametrize(
    "harmonics", [(0.5,), (0.1, 0.3, 0.3, 0.2), (0.0, 0.3, 0.3, 0.3), (0.3, 0.02, 0.2, 0.02, 0.1)]
)
def test_pitch_is_measured_without_errors_of_an_octave(hz: float, harmonics: tuple[float, ...]) -> None:
    measured = traits(tone(hz, *harmonics))
    assert measured.pitch == pytest.approx(hz, rel=0.005)
    assert measured.span < 0.01


def test_noise_around_a_voice_does_not_move_its_pitch() -> None:
    clean = resampled(speaking.speak(TEXT, voice="otto").pcm, speaking.RATE)
    noise = np.random.default_rng(1).standard_normal(len(clean)).astype(np.float32)
    noisy = clean + noise * np.sqrt(np.square(clean).mean()) * 10 ** (-15 / 20)
    assert traits(noisy).pitch == pytest.approx(traits(clean).pitch, rel=0.03)


@pytest.mark.parametrize("voice", VOICED)
def test_pitch_is_that_of_the_voice(voice: str) -> None:
    pcm = speaking.speak(TEXT, voice=voice).pcm
    measured = traits(pcm, speaking.RATE)
    assert measured.pitch == pytest.approx(float(np.median(speaking.pitches(pcm))), rel=0.03)


@pytest.mark.parametrize("voice", VOICED)
@pytest.mark.parametrize("text", [TEXT, OTHER])
def test_a_vocal_tract_is_compared_by_the_same_words_or_by_others(voice: str, text: str) -> None:
    measured = tract(said(TEXT, voice), said(text))
    assert measured == pytest.approx(PRESETS[voice].timbre.tract, rel=0.025 if text == TEXT else 0.05)


@pytest.mark.parametrize("tilt", [-0.9, 0.9])
def test_the_colour_of_a_microphone_is_no_vocal_tract(tilt: float) -> None:
    pcm = resampled(speaking.speak(TEXT, voice="finn").pcm, speaking.RATE)
    coloured = (pcm[1:] + tilt * pcm[:-1]).astype(np.float32)
    assert tract(traits(coloured), said(TEXT)) == pytest.approx(PRESETS["finn"].timbre.tract, rel=0.04)


def test_a_man_is_known_by_his_recording() -> None:
    folder = Path(moonshine_voice.get_assets_path())
    pcm, rate = decode(folder / "two_cities.wav")
    man = traits(pcm[: 30 * rate], rate)
    assert 100 < man.pitch < 140
    assert 0.3 < man.span < 1.0
    assert 3.5 < man.syllables < 6.5
    assert 0.8 < tract(man, said(TEXT)) < 0.95


def test_syllables_are_counted() -> None:
    pcm = resampled(speaking.speak(TEXT).pcm, speaking.RATE)
    assert said(TEXT).syllables * speaking_seconds(pcm) == pytest.approx(21, rel=0.25)
    burst = np.concatenate([tone(150, 0.3, 0.2, seconds=0.15), np.zeros(RATE // 10, np.float32)])
    assert traits(np.tile(burst, 10)).syllables == pytest.approx(10 / 2.4, rel=0.1)


def test_pauses_are_not_spoken() -> None:
    speech, silence = tone(150, 0.3, seconds=1.0), np.zeros(RATE, np.float32)
    noise = 0.01 * np.random.default_rng(1).standard_normal(3 * RATE).astype(np.float32)
    pcm = np.concatenate([speech, silence, speech])
    assert speaking_seconds(pcm) == pytest.approx(2.0, abs=0.1)
    assert speaking_seconds(pcm + noise) == pytest.approx(2.0, abs=0.1)
    assert speaking_seconds(silence[:0]) == 0


@pytest.mark.parametrize("samples", [0, 1, 700, 1000, RATE])
def test_silence_noise_and_snippets_have_no_voice(samples: int) -> None:
    noise = np.random.default_rng(1).standard_normal(samples).astype(np.float32) * 0.1
    for pcm in (np.zeros(samples, np.float32), noise):
        assert measure(pcm) is None
