"""Voices nobody has: recordings of sounds that come and go as speech does, with made-up transcripts."""

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.texts import TEXTS

SECONDS = 10.0
RATE = 44_100

_SYLLABLES = 4.0  # a second
_HARMONICS = 24


def write_voices(folder: Path, cached: int, new: int, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write recordings of 10 s, one for each voice, as :func:`read_voices` reads them; the ids of both kinds."""
    ids = (
        tuple(f"cached-{number}" for number in range(cached)),
        tuple(f"new-{number}" for number in range(new)),
    )
    for number, voice in enumerate((*ids[0], *ids[1])):
        place = folder / voice
        place.mkdir(parents=True)
        samples = sound(np.random.default_rng((seed, number)))
        with wave.open(str(place / "recording.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            file.writeframes((samples * 32767).astype("<i2").tobytes())
        (place / "recording.txt").write_text(TEXTS[number % len(TEXTS)], encoding="utf-8")
    return ids


def sound(random: np.random.Generator) -> npt.NDArray[np.float32]:
    """Ten seconds of a voice of its own pitch and colour, in syllables, peaking at 0.5."""
    time = np.arange(round(SECONDS * RATE)) / RATE
    pitch = random.uniform(90, 240) * np.exp(0.15 * np.sin(2 * np.pi * random.uniform(0.2, 0.6) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    colour = random.uniform(0.2, 1.0, _HARMONICS) / np.arange(1, _HARMONICS + 1)
    voiced = sum(level * np.sin(number * phase) for number, level in enumerate(colour, 1))
    beats = np.sin(np.pi * _SYLLABLES * time + random.uniform(0, np.pi)) ** 2
    samples = beats * (voiced + 0.1 * random.standard_normal(len(time)))
    loud: npt.NDArray[np.float32] = (0.5 * samples / np.abs(samples).max()).astype(np.float32)
    return loud
