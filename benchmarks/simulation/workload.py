"""Who calls when, and what is said to him."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, log

from benchmarks.live import TOKENS_PER_SECOND
from benchmarks.simulation.costs import FRAME_SECONDS

_SPOKEN_TOKENS = 15 / 4  # a second of speech: 15 characters, at 4 a token
_FRAMING_TOKENS = 12  # around the text of a segment: whose turn it is, and that the answer is speech
_SAMPLE = 4000  # turns whose mean stands for all


@dataclass(frozen=True, slots=True)
class Spoken:
    """One segment: ``tokens`` to prefill and ``frames`` of speech.

    It is written ``after`` seconds of its turn; the first is there when the turn begins.
    """

    after: float
    tokens: int
    frames: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What one caller is told in one go, which is one stream of the engine.

    ``prompt`` positions describe the voice, of which ``unread`` are in no cache. The caller interrupts after he
    has listened for ``patience`` seconds, if that is before the end.
    """

    arrives: float
    segments: tuple[Spoken, ...]
    prompt: int
    unread: int
    patience: float

    @property
    def seconds(self) -> float:
        """How long it takes to say everything."""
        return sum(segment.frames for segment in self.segments) * FRAME_SECONDS


@dataclass(frozen=True, slots=True)
class Workload:
    """What turns are like.

    A turn has ``segments`` on average, geometrically distributed; each is lognormal around ``median`` seconds,
    within ``shortest`` and ``longest``. The first is there when the turn begins, the others are written by a
    language model at 20 tokens a second. The voice's ``prompt`` has between so many positions, and is ``cached``
    with that probability; a caller interrupts with the probability ``interrupted``.
    """

    segments: float = 3.0
    median: float = 4.0
    spread: float = 0.4
    shortest: float = 2.0
    longest: float = 8.0
    cached: float = 0.9
    prompt: tuple[int, int] = (200, 400)
    interrupted: float = 0.2

    def poisson(self, streams: int, seconds: float, seed: int) -> list[Turn]:
        """Turns that begin at random in so many seconds, such that ``streams`` are listened to on average."""
        sample = random.Random("the mean")
        turns = (self._turn(sample, 0.0) for _ in range(_SAMPLE))
        rate = streams * _SAMPLE / sum(min(turn.seconds, turn.patience) for turn in turns)
        source = random.Random(f"{seed} {streams}")
        return [self._turn(source, at) for at in _arrivals(source, rate, seconds)]

    def burst(self, streams: int, seed: int) -> list[Turn]:
        """As many turns in the same instant."""
        source = random.Random(f"{seed} {streams} burst")
        return [self._turn(source, 0.0) for _ in range(streams)]

    def _turn(self, source: random.Random, arrives: float) -> Turn:
        lengths = [self._length(source)]
        while source.random() > 1 / self.segments:
            lengths.append(self._length(source))
        words = [round(seconds * _SPOKEN_TOKENS) for seconds in lengths]
        prompt = source.randint(*self.prompt)
        return Turn(
            arrives,
            _written(lengths, words),
            prompt,
            unread=0 if source.random() < self.cached else prompt,
            patience=source.random() * sum(lengths) if source.random() < self.interrupted else float("inf"),
        )

    def _length(self, source: random.Random) -> float:
        return min(max(source.lognormvariate(log(self.median), self.spread), self.shortest), self.longest)


def _written(lengths: Sequence[float], words: Sequence[int]) -> tuple[Spoken, ...]:
    """The segments with the time at which the last of each one's words is written; the first is there at once."""
    written = accumulate(words[1:], initial=0)
    return tuple(
        Spoken(tokens / TOKENS_PER_SECOND, count + _FRAMING_TOKENS, ceil(seconds / FRAME_SECONDS))
        for seconds, count, tokens in zip(lengths, words, written, strict=True)
    )


def _arrivals(source: random.Random, rate: float, seconds: float) -> Iterator[float]:
    at = source.expovariate(rate)
    while at < seconds:
        yield at
        at += source.expovariate(rate)
