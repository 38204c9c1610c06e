"""Time to first audio of a lone stream, through the engine."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.engine.live import SENTENCES, quantiles
from benchmarks.engine.step import Told
from benchmarks.listener import Arrival, listen
from engine import Engine, Segment, SpeechError, StreamOptions

Kind = Literal["cached", "new"]

_REST = 0.05  # seconds between two runs, in which the model forgets the last one


@dataclass(frozen=True, slots=True)
class FirstResult:
    """Seconds from ``say`` to the first samples, and to the first that can be heard.

    The voice is ``cached``, its prompt computed before, or ``new``: its recording of 10 s is encoded and read.
    """

    voice: Kind
    runs: int
    failed: int
    first_audio: Mapping[str, float]
    onset: Mapping[str, float]


async def measure_first(
    engine: Engine, kind: Kind, voices: Sequence[str], runs: int, told: Told
) -> FirstResult:
    """Say a sentence ``runs`` times, with one voice after the other."""
    first, onset, failed = [], [], 0
    for number in range(runs):
        told(f"first audio, {kind} voice {number + 1} of {runs}")
        heard = await _once(engine, voices[number % len(voices)], SENTENCES[number % len(SENTENCES)])
        if heard is None:
            failed += 1
        else:
            first.append(heard[0])
            onset.append(heard[1])
        await asyncio.sleep(_REST)
    return FirstResult(kind, runs, failed, quantiles(first), quantiles(onset))


async def _once(engine: Engine, voice: str, text: str) -> tuple[float, float] | None:
    """When the first samples were there and when they can be heard; None if nothing can."""
    utterance = engine.open(StreamOptions((voice,), paced=True))
    arrivals: list[Arrival] = []
    said = time.perf_counter()
    utterance.say(Segment(text))
    utterance.finish()
    try:
        async for frame in utterance:
            if not len(frame.pcm):
                continue
            arrivals.append(Arrival(time.perf_counter() - said, frame.pcm))
            hearing = listen(arrivals, engine.info.sample_rate)
            if hearing is not None and hearing.onset is not None:
                return hearing.first_arrival, hearing.onset
    except SpeechError:
        return None
    finally:
        utterance.cancel()
    return None
