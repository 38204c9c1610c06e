"""What callers say: spoken by the server's own voices, cut so that it is known to the sample when they speak."""

from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import numpy as np

from benchmarks.listener import Samples, first_audible

MIC_RATE = 16_000
VOICES = ("finn", "clara", "walter", "zoe")
"""Of the callers; the agent's is the default one."""

_MARGIN = 0.02
_SECONDS = 60.0

# Parts, with the pauses in seconds between them.
LINES: tuple[tuple[str | float, ...], ...] = (
    ("What is the weather like today?",),
    ("I would like to book a table", 0.35, "for four people tomorrow evening."),
    ("Yes, that would be very kind of you.",),
    ("Could you tell me when the next train to London leaves, and which platform it goes from?",),
    ("How much does it cost?",),
    ("My order has not arrived yet.", 0.4, "Can you please have a look", 0.25, "and tell me where it is?"),
    ("I think the blue one is better than the red one.",),
    ("Please change my appointment", 0.3, "to Friday morning."),
)
INTERRUPTIONS = ("Stop that, please.", "Wait a moment, I have a question.", "No, that is not what I meant.")


@dataclass(frozen=True, slots=True)
class Line:
    """Something that a caller says: mono at :data:`MIC_RATE`, first and last sample at most 20 ms from sound."""

    text: str
    pcm: Samples


@dataclass(frozen=True, slots=True)
class Repertoire:
    """All that one caller may say. ``alarms`` are no turns: a cough, and signs that he listens."""

    lines: tuple[Line, ...]
    interruptions: tuple[Line, ...]
    alarms: tuple[Line, ...]


async def repertoire(url: str, voice: str) -> Repertoire:
    """Have it spoken by a voice of the server. Raises httpx.HTTPError."""
    async with httpx.AsyncClient(base_url=url, timeout=_SECONDS) as client:

        async def speak(text: str) -> Samples:
            wishes = {"text": text, "format": "pcm", "sample_rate": MIC_RATE, "reference_id": voice}
            answer = await client.post("/v1/tts", json=wishes)
            answer.raise_for_status()
            return trimmed(np.frombuffer(answer.content, "<i2").astype(np.float32) / np.float32(32768))

        async def line(parts: Sequence[str | float]) -> Line:
            text = " ".join(part for part in parts if isinstance(part, str))
            pieces = [pause(part) if isinstance(part, float) else await speak(part) for part in parts]
            return Line(text, np.concatenate(pieces))

        return Repertoire(
            tuple([await line(parts) for parts in LINES]),
            tuple([await line([text]) for text in INTERRUPTIONS]),
            (Line("cough", cough()), Line("mhm", mhm()), Line("yeah", await speak("Yeah."))),
        )


def trimmed(pcm: Samples) -> Samples:
    """Without the silence at both ends, but for 20 ms."""
    first, last = first_audible(pcm, MIC_RATE), first_audible(pcm[::-1], MIC_RATE)
    if first is None or last is None:
        raise ValueError("the audio is silent")
    margin = round(_MARGIN * MIC_RATE)
    return pcm[max(0, first - margin) : len(pcm) - max(0, last - margin)]


def pause(seconds: float) -> Samples:
    """Silence between two trimmed pieces, so that no sound is heard for so long."""
    return np.zeros(round((seconds - 2 * _MARGIN) * MIC_RATE), np.float32)


def cough(seconds: float = 0.25, seed: int = 1) -> Samples:
    """A burst of noise, low and hoarse, that falls off."""
    count = round(seconds * MIC_RATE)
    noise = np.random.default_rng(seed).standard_normal(count + 8)
    low = np.convolve(noise, np.hanning(9), "valid")
    at = np.arange(count) / count
    envelope = np.minimum(at * 12, 1.0) * (1 - at) ** 0.7
    shaped = low * envelope
    loudest: Samples = (0.25 * shaped / np.abs(shaped).max()).astype(np.float32)
    return loudest


def mhm(pitch: float = 130.0) -> Samples:
    """Somebody hums twice with his mouth closed, 0.2 s each: the server's voices read "mhm" as a word.

    Harmonics of a pitch that rises, above 300 Hz ever softer as behind closed lips.
    """
    parts = []
    for factor in (1.0, 1.15):
        at = np.arange(round(0.2 * MIC_RATE)) / MIC_RATE
        phase = 2 * np.pi * np.cumsum(pitch * factor * (1 + 0.3 * at)) / MIC_RATE
        hum = sum(np.sin(number * phase) / max(1.0, number * pitch / 300) ** 2 for number in range(1, 12))
        parts += [0.06 * hum * np.sin(np.pi * at / 0.2) ** 0.5, np.zeros(round(0.05 * MIC_RATE))]
    return np.concatenate(parts[:-1]).astype(np.float32)
