"""Live streams through the engine: who comes when is drawn, and what each hears is played in real time."""

import asyncio
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.listener import Arrival, listen
from benchmarks.texts import TEXTS
from engine import Engine, EngineStopped, Overloaded, Segment, SpeechError, StreamOptions

PATIENCE = 0.1
"""A listener who waits longer than this after the first sound counts against C100."""

SENTENCES = tuple(sentence for text in TEXTS for sentence in re.split(r"(?<=[.!?]) ", text))
"""What is said: a segment is one of them."""

_SEGMENTS = 1.5  # of a turn, on average
_INTERRUPTED = 0.2  # share of turns that are not heard to the end
_RAMP = 1.2  # turns' mean lengths until as many listen as shall

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Turn:
    """One caller: begins at ``at`` seconds and is told ``texts`` in the voice. After ``patience`` seconds of
    listening he hangs up; None: he hears all.
    """

    at: float
    texts: tuple[str, ...]
    voice: str
    patience: float | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Turns in the order in which they begin; those of ``begin`` <= ``at`` < ``end`` count."""

    turns: tuple[Turn, ...]
    begin: float
    end: float

    def counts(self, turn: Turn) -> bool:
        """Whether the turn counts."""
        return self.begin <= turn.at < self.end


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a turn. ``onset`` and ``longest_wait`` are seconds, from what was said; ``heard`` is when it
    was being listened to, on the plan's clock; ``problem`` is why it was not.
    """

    turn: Turn
    refused: bool = False
    problem: str | None = None
    onset: float | None = None
    longest_wait: float = 0.0
    heard: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class LiveResult:
    """A level of ``listeners``. Times are seconds.

    ``c100`` is the share of the turns that were heard that never waited longer than 100 ms after the first sound.
    ``mean_listeners`` were there on average while turns counted.
    """

    listeners: int
    turns: int
    refused: int
    problems: Mapping[str, int]
    onset: Mapping[str, float]
    longest_wait: Mapping[str, float]
    c100: float | None
    mean_listeners: float


def plan(listeners: int, seconds: float, segment: float, voices: Sequence[str], seed: int) -> Plan:
    """Turns that begin at random (Poisson), such that so many are listened to on average.

    ``segment`` is how long a sentence is spoken on average. No two turns have the same texts in a row.
    """
    source = random.Random(f"{seed} {listeners}")
    mean = _SEGMENTS * segment * (1 - _INTERRUPTED / 2)
    begin = _RAMP * mean
    turns: list[Turn] = []
    at = source.expovariate(listeners / mean)
    while at < begin + seconds + mean:  # the last that count are not to have the machine for themselves
        count = 1
        while source.random() > 1 / _SEGMENTS:
            count += 1
        interrupts = source.random() < _INTERRUPTED
        turns.append(
            Turn(
                at,
                tuple(source.sample(SENTENCES, min(count, len(SENTENCES)))),
                source.choice(voices),
                source.random() * count * segment if interrupts else None,
            )
        )
        at += source.expovariate(listeners / mean)
    return Plan(tuple(turns), begin, begin + seconds)


def summarise(listeners: int, plan: Plan, outcomes: Sequence[Outcome]) -> LiveResult:
    """A level in numbers."""
    counted = [one for one in outcomes if plan.counts(one.turn)]
    heard = [one for one in counted if one.onset is not None and one.problem is None]
    problems: dict[str, int] = {}
    for one in counted:
        if one.problem is not None:
            problems[one.problem] = problems.get(one.problem, 0) + 1
    spans = [span for one in outcomes if (span := one.heard) is not None]
    listened = sum(max(0.0, min(end, plan.end) - max(begin, plan.begin)) for begin, end in spans)
    patient = [one.longest_wait <= PATIENCE for one in heard]
    return LiveResult(
        listeners=listeners,
        turns=len(counted),
        refused=sum(one.refused for one in counted),
        problems=problems,
        onset=quantiles([one.onset for one in heard if one.onset is not None]),
        longest_wait=quantiles([one.longest_wait for one in heard]),
        c100=sum(patient) / len(patient) if patient else None,
        mean_listeners=listened / (plan.end - plan.begin),
    )


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and the largest; nothing of nothing."""
    if not values:
        return {}
    p50, p95, largest = np.quantile(values, (0.5, 0.95, 1.0)).tolist()
    return {"p50": p50, "p95": p95, "max": largest}


async def segment_seconds(engine: Engine, voices: Sequence[str], count: int = 4) -> float:
    """How long one of :data:`SENTENCES` is spoken on average, as the model at hand does it."""

    async def spoken(number: int) -> float:
        utterance = engine.open(StreamOptions((voices[number % len(voices)],), paced=False))
        utterance.say(Segment(SENTENCES[number]))
        utterance.finish()
        samples = 0
        try:
            async for frame in utterance:
                samples += len(frame.pcm)
        except SpeechError:
            return 0.0
        return samples / engine.info.sample_rate

    lengths = [seconds for number in range(count) if (seconds := await spoken(number))]
    if not lengths:
        raise SpeechError("the model speaks none of the benchmark's sentences to their end")
    return sum(lengths) / len(lengths)


async def run(engine: Engine, plan: Plan, clock: Clock = time.perf_counter) -> list[Outcome]:
    """Carry the plan out. Ends when all turns that count have been spoken; outcomes are of those that began by
    the end.
    """
    started = clock()
    tasks: list[asyncio.Task[Outcome]] = []
    later: list[asyncio.Task[Outcome]] = []
    try:
        for turn in plan.turns:
            rest = turn.at - (clock() - started)
            if turn.at < plan.end:
                await asyncio.sleep(rest)
                tasks.append(asyncio.create_task(_take(engine, turn, started, clock)))
            elif not tasks or not (await asyncio.wait(tasks, timeout=max(rest, 0.0)))[1]:
                break
            else:
                later.append(asyncio.create_task(_take(engine, turn, started, clock)))
        return await asyncio.gather(*tasks)
    finally:
        for task in (*tasks, *later):
            task.cancel()
        await asyncio.gather(*tasks, *later, return_exceptions=True)


async def _take(engine: Engine, turn: Turn, started: float, clock: Clock) -> Outcome:
    """One turn: audio is taken as soon as it is there, and heard in real time."""
    said = clock()
    try:
        utterance = engine.open(StreamOptions((turn.voice,), paced=True))
    except Overloaded:
        return Outcome(turn, refused=True)
    arrivals: list[Arrival] = []
    hangs_up: asyncio.TimerHandle | None = None
    problem = None
    try:
        for text in turn.texts:
            utterance.say(Segment(text))
        utterance.finish()
        async for frame in utterance:
            if not len(frame.pcm):
                continue
            arrivals.append(Arrival(clock() - said, frame.pcm))
            if hangs_up is None and turn.patience is not None:
                hangs_up = asyncio.get_running_loop().call_later(turn.patience, utterance.cancel)
    except (SpeechError, EngineStopped) as error:
        problem = str(error)
    finally:
        if hangs_up is not None:
            hangs_up.cancel()
        utterance.cancel()
    hearing = listen(arrivals, engine.info.sample_rate)
    if hearing is None or hearing.onset is None:
        return Outcome(turn, problem=problem or _unheard(turn))
    begin = said - started + hearing.onset
    end = said - started + hearing.end
    if turn.patience is not None:
        end = min(end, said - started + hearing.first_arrival + turn.patience)
    return Outcome(turn, False, problem, hearing.onset, hearing.longest_wait, (begin, max(begin, end)))


def _unheard(turn: Turn) -> str | None:
    """Who hangs up before there is a sound has heard nothing, and cannot complain."""
    return "nothing was to be heard" if turn.patience is None else None
