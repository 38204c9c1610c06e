"""Speech while the text is being written: onset, continuity and throughput of ``/v1/tts/live``."""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle

import av
from websockets.exceptions import WebSocketException

from benchmarks.client import (
    CHUNK_LENGTH,
    MIN_CHUNK_LENGTH,
    Recording,
    caller,
    clock,
    quiet_loop,
    speak,
)
from benchmarks.decoding import RATES, decode
from benchmarks.listener import Hearing, listen
from benchmarks.server import Server, machine_busy_seconds
from benchmarks.texts import NO_COMMA, SHORT, TEXTS, tokens
from realtime.chunker import PACES, Chunker
from realtime.request import Latency

TOKENS_PER_SECOND = 20.0
PATIENCE = 0.1
"""A listener who has to wait longer than this after the first sound counts against C100."""

_PAUSE = (0.1, 0.6)  # seconds between the end of one utterance and the start of the next
_LEAST_SECONDS_PER_WORD = 0.1  # half of 0.2, which would be hurried
_LEAST_RMS = 0.01
_REST = 0.3
_BRIEF = 36  # words of the texts for a caller who does not listen to their end
_NO_COMMA_EVERY = 4  # one text of so many is the sentence without a comma, if many listen


@dataclass(frozen=True, slots=True)
class Level:
    """``streams`` callers at once for ``seconds``, the first ``ramp`` of which they take to come in.

    With ``listening`` each hears an utterance to its end before the next; without, the next follows when the
    audio of the last is there. Only utterances that begin after the ramp are counted.
    """

    streams: int
    seconds: float
    ramp: float
    listening: bool = True


@dataclass(frozen=True, slots=True)
class Utterance:
    """One measured utterance; times in seconds.

    ``onset`` counts from when the first speakable fragment was complete, ``onset_from_token`` from the first
    token; ``first_byte`` is the first audio message, from that same fragment. ``problem`` says what was wrong
    with it, and then the rest may be None.
    """

    text: str
    counted: bool
    problem: str | None
    onset: float | None = None
    onset_from_token: float | None = None
    first_byte: float | None = None
    audio_seconds: float | None = None
    underrun: float | None = None
    longest_wait: float | None = None

    @property
    def patient(self) -> bool:
        """Whether its listener never waited for more than 100 ms after the first sound."""
        return self.longest_wait is not None and self.longest_wait <= PATIENCE


@dataclass(frozen=True, slots=True)
class LevelResult:
    """What a level showed.

    ``mean_listeners`` and ``mean_open`` are how many callers were listening, and for how many the server had
    work, on average after the ramp. ``server_cpu``, ``client_cpu`` and ``machine_cpu``, everything together,
    are in cores.
    """

    level: Level
    utterances: list[Utterance]
    mean_listeners: float
    mean_open: float
    client_lag: list[float]
    server_cpu: float | None
    client_cpu: float
    machine_cpu: float | None

    @property
    def other_cpu(self) -> float | None:
        """What programs that have no part in the measurement used of the machine, in cores."""
        if self.machine_cpu is None or self.server_cpu is None:
            return None
        return max(self.machine_cpu - self.server_cpu - self.client_cpu, 0.0)

    @property
    def counted(self) -> list[Utterance]:
        """The utterances that statistics are made of."""
        return [utterance for utterance in self.utterances if utterance.counted]


@dataclass(frozen=True, slots=True)
class Throughput:
    """A short text sent at once, to one stream alone: seconds from sending it to its last byte."""

    text: str
    problem: str | None
    seconds: float
    audio_seconds: float


def fragment_token(pieces: Sequence[str], latency: str, tokens_per_second: float) -> int:
    """Which token completes the first speakable fragment: the product's own chunker says so, in virtual time.

    ``len(pieces)`` means the stop that follows them.
    """
    chunker = Chunker(PACES[Latency(latency)], chunk_length=CHUNK_LENGTH, min_chunk_length=MIN_CHUNK_LENGTH)
    for index, piece in enumerate(pieces):
        now = index / tokens_per_second
        chunker.push(piece, now)
        if chunker.take(now, 0.0) is not None:
            return index
    return len(pieces)


async def measure_level(
    server: Server, level: Level, *, audio_format: str, latency: str, seed: int = 1
) -> LevelResult:
    """Run one level and analyse it when it is over."""
    rng = random.Random(f"{seed} {level.streams}")
    texts = [text for text in TEXTS if level.listening or len(text.split()) <= _BRIEF]
    supply = _supply(rng.sample(texts, len(texts)), often=level.listening)
    used = _processor_seconds(server)
    async with quiet_loop() as lags:
        begin = clock()
        callers = [
            _call(
                server, level, begin, offset, supply, random.Random(f"{seed} {slot}"), audio_format, latency
            )
            for slot, offset in enumerate(_offsets(level, rng))
        ]
        recordings = [recording for made in await asyncio.gather(*callers) for recording in made]
        end = clock()
    server_cpu, client_cpu, machine_cpu = (
        None if before is None or after is None else (after - before) / (end - begin)
        for before, after in zip(used, _processor_seconds(server), strict=True)
    )
    window = (begin + level.ramp, begin + level.seconds)
    listening = [
        (recording.sent[0], recording.listened_until()) for recording in recordings if recording.sent
    ]
    working = [(recording.sent[0], recording.finished) for recording in recordings if recording.sent]
    return LevelResult(
        level,
        [
            judge(recording, latency, counted=not recording.sent or recording.sent[0] >= window[0])
            for recording in recordings
        ],
        mean_listeners=_mean_overlap(listening, *window),
        mean_open=_mean_overlap(working, *window),
        client_lag=lags,
        server_cpu=server_cpu,
        client_cpu=client_cpu or 0.0,
        machine_cpu=machine_cpu,
    )


async def measure_throughput(server: Server, *, audio_format: str) -> list[Throughput]:
    """How fast a text that is there from the start is spoken to one caller, who is not held back."""
    results = []
    async with caller(server.live_url) as socket:
        for text in SHORT:
            async with quiet_loop():
                recording = await speak(socket, [text], audio_format=audio_format)
            utterance = judge(recording, "balanced", counted=True)
            last = recording.messages[-1].at if recording.messages else recording.finished
            taken = last - recording.sent[0]
            results.append(Throughput(text, utterance.problem, taken, utterance.audio_seconds or 0.0))
            await asyncio.sleep(_REST)
    return results


def judge(recording: Recording, latency: str, *, counted: bool) -> Utterance:
    """What the listener made of a recording."""
    try:
        hearing = listen(decode(recording.messages, recording.audio_format), RATES[recording.audio_format])
        problem = _problem(recording, hearing)
    except av.FFmpegError as error:
        hearing, problem = None, f"the audio cannot be decoded: {error}"
    if hearing is None or hearing.onset is None:
        return Utterance(recording.text, counted, problem)
    pieces = tokens(recording.text)
    fragment = min(fragment_token(pieces, latency, TOKENS_PER_SECOND), len(recording.sent) - 1)
    return Utterance(
        recording.text,
        counted,
        problem,
        onset=hearing.onset - recording.sent[fragment],
        onset_from_token=hearing.onset - recording.sent[0],
        first_byte=hearing.first_arrival - recording.sent[fragment],
        audio_seconds=hearing.seconds,
        underrun=hearing.underrun,
        longest_wait=hearing.longest_wait,
    )


def _problem(recording: Recording, hearing: Hearing | None) -> str | None:
    if recording.reason != "stop":
        return "; ".join([f"ended with {recording.reason}", *recording.logs])
    if hearing is None:
        return "no audio"
    if hearing.onset is None or hearing.rms < _LEAST_RMS:
        return f"as good as silent: RMS {hearing.rms:.4f}"
    least = len(recording.text.split()) * _LEAST_SECONDS_PER_WORD
    return (
        f"{hearing.seconds:.1f} s of audio, at least {least:.1f} expected"
        if hearing.seconds < least
        else None
    )


async def _call(
    server: Server,
    level: Level,
    begin: float,
    offset: float,
    supply: Iterator[str],
    rng: random.Random,
    audio_format: str,
    latency: str,
) -> list[Recording]:
    """One caller: utterance after utterance over one socket until the level's time is over."""
    made: list[Recording] = []
    try:
        async with caller(server.live_url) as socket:
            await asyncio.sleep(begin + offset - clock())
            while clock() < begin + level.seconds:
                recording = await speak(
                    socket,
                    tokens(next(supply)),
                    audio_format=audio_format,
                    latency=latency,
                    tokens_per_second=TOKENS_PER_SECOND,
                )
                made.append(recording)
                if recording.reason.startswith("no finish"):
                    break
                over = recording.listened_until() if level.listening else clock()
                rest = over + rng.uniform(*_PAUSE) - clock()
                await asyncio.sleep(max(0.0, min(rest, begin + level.seconds - clock())))
    except (OSError, WebSocketException) as error:
        made.append(Recording("", audio_format, reason=f"no connection: {error!r}"))
    return made


def _supply(texts: Sequence[str], *, often: bool) -> Iterator[str]:
    """The texts in their order, over and over; if ``often``, with the one without a comma as every fourth."""
    if not often:
        yield from cycle(texts)
    for index, text in enumerate(cycle([text for text in texts if text != NO_COMMA])):
        if index % (_NO_COMMA_EVERY - 1) == 0:
            yield NO_COMMA
        yield text


def _processor_seconds(server: Server) -> tuple[float | None, float | None, float | None]:
    """Used so far by the server, by this process, by all of the machine."""
    return server.cpu_seconds(), time.process_time(), machine_busy_seconds()


def _offsets(level: Level, rng: random.Random) -> list[float]:
    """When each caller begins: evenly over the ramp, but never in step."""
    step = level.ramp / level.streams
    return [(slot + rng.random()) * step for slot in range(level.streams)]


def _mean_overlap(spans: Sequence[tuple[float, float]], start: float, end: float) -> float:
    total = sum(max(0.0, min(until, end) - max(since, start)) for since, until in spans)
    return total / max(end - start, 1e-9)
