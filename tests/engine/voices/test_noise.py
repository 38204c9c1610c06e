"""Noise taken out of recordings: how much softer it gets, and that speech stays what it was."""

from functools import cache

import numpy as np
import pytest

from engine.speech import Pcm
from engine.voices.noise import without_noise
from engine.voices.recording import RATE
from tests.engine.models import speaking
from tests.hearing import resample, transcribe, word_error_rate

TEXT = "Tell me what you think about the new plan."


@cache
def clean() -> Pcm:
    """Speech between two half seconds of silence."""
    quiet = np.zeros(RATE // 2, np.float32)
    return np.concatenate([quiet, resample(speaking.speak(TEXT).pcm, speaking.RATE, RATE), quiet])


def noise(kind: str) -> Pcm:
    n = len(clean())
    white = np.random.default_rng(1).standard_normal(n)
    match kind:
        case "hiss":
            sound = white
        case "rumble":
            spectrum = np.fft.rfft(white) / np.sqrt(np.maximum(np.fft.rfftfreq(n, 1 / RATE), 20))
            sound = np.fft.irfft(spectrum, n)
        case _:
            time = 2 * np.pi * np.arange(n) / RATE
            sound = np.sin(50 * time) + 0.3 * np.sin(150 * time)
    return (sound / sound.std()).astype(np.float32)


def decibels(pcm: Pcm) -> float:
    return float(10 * np.log10(np.mean(np.square(pcm)) + 1e-12))


SPEECH = slice(RATE // 2, -RATE // 2)
PAUSE = slice(RATE // 10, RATE * 2 // 5)


# Where the noise lies under the voice, as a rumble does, nothing brings the voice nearer.
@pytest.mark.parametrize(("kind", "nearer"), [("hiss", 2.0), ("rumble", -0.5), ("hum", 2.0)])
def test_noise_gets_softer_and_speech_comes_nearer_to_what_it_was(kind: str, nearer: float) -> None:
    noisy = clean() + noise(kind) * 10 ** ((decibels(clean()[SPEECH]) - 15) / 20)
    better = without_noise(noisy)
    assert better.dtype == np.float32
    assert len(better) == len(noisy)
    assert decibels(noisy[PAUSE]) - decibels(better[PAUSE]) > 8
    error_before, error = (decibels((pcm - clean())[SPEECH]) for pcm in (noisy, better))
    assert error < error_before - nearer
    assert word_error_rate(TEXT, transcribe(better, RATE)) <= 0.12


def test_clean_speech_stays_as_it_is() -> None:
    better = without_noise(clean())
    assert decibels(better - clean()) < decibels(clean()) - 60
    close = clean()[SPEECH]  # no silence to learn from
    assert decibels(without_noise(close) - close) < decibels(close) - 20


@pytest.mark.parametrize("samples", [0, 1, 1000, 2048, 5000])
def test_it_is_as_long_as_it_was(samples: int) -> None:
    pcm = np.random.default_rng(2).standard_normal(samples).astype(np.float32)
    assert len(without_noise(pcm)) == samples


def test_where_a_recording_is_cut_into_blocks_makes_no_difference() -> None:
    long = np.tile(clean(), 6)
    assert len(long) / RATE > 15
    whole = without_noise(long + 0.01 * np.tile(noise("hiss"), 6))
    again = without_noise((long + 0.01 * np.tile(noise("hiss"), 6))[: len(long) // 2])
    same = slice(RATE, len(long) // 2 - RATE)
    assert decibels((whole[: len(again)] - again)[same]) < decibels(long) - 30
