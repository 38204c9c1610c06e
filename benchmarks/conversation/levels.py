"""So many conversations at once, for a time."""

import asyncio
import random
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import httpx
import numpy as np
from websockets.exceptions import WebSocketException

from benchmarks.client import clock, quiet_loop
from benchmarks.conversation.acts import Call, converse
from benchmarks.conversation.caller import RATE, NoEvent, calling
from benchmarks.conversation.judging import Alarm, Answer, Interruption, Judgement, judge, words_wrong
from benchmarks.conversation.voices import VOICES, Repertoire, repertoire
from benchmarks.listener import Samples
from benchmarks.server import Server, machine_busy_seconds

PATIENCE = 0.1
"""A listener who has to wait longer than this within a reply counts against C100."""

_RAMP = 4.0
_SECONDS = 60.0
_JUDGEMENT = TypeVar("_JUDGEMENT", Answer, Interruption, Alarm)


@dataclass(frozen=True, slots=True)
class Words:
    """Of some replies, as the server's own recogniser hears what was played: words, and wrong ones.

    ``missing`` words were not heard, ``extra`` ones were not to be said; a word taken for another is both.
    """

    words: int = 0
    missing: int = 0
    extra: int = 0


@dataclass(frozen=True, slots=True)
class Level:
    """What a number of conversations at once showed. Processor time is in cores, lag in seconds.

    ``words`` are those of replies that were held for a false alarm, ``plain_words`` of replies without.
    """

    callers: int
    seconds: float
    judgements: list[Judgement]
    words: Words
    plain_words: Words
    client_lag: list[float]
    server_cpu: float | None
    client_cpu: float
    model_cpu: float | None
    machine_cpu: float | None
    broken: list[str]

    @property
    def answers(self) -> list[Answer]:
        """Plain turns."""
        return _of(Answer, self.judgements)

    @property
    def interruptions(self) -> list[Interruption]:
        """Replies that were broken off."""
        return _of(Interruption, self.judgements)

    @property
    def alarms(self) -> list[Alarm]:
        """Replies over which somebody coughed, hummed or said "yeah"."""
        return _of(Alarm, self.judgements)

    @property
    def waits(self) -> list[float]:
        """The longest wait within each reply that was heard."""
        return [one.longest_wait for one in self.judgements if one.longest_wait is not None]

    @property
    def c100(self) -> float:
        """The share of replies in which nobody waited for more than 100 ms."""
        return sum(wait <= PATIENCE for wait in self.waits) / max(len(self.waits), 1)

    @property
    def other_cpu(self) -> float | None:
        """What programs that have no part in it used of the machine, in cores."""
        if self.machine_cpu is None or self.server_cpu is None or self.model_cpu is None:
            return None
        return max(self.machine_cpu - self.server_cpu - self.model_cpu - self.client_cpu, 0.0)


async def repertoires(url: str) -> list[Repertoire]:
    """What callers of all voices may say. Raises httpx.HTTPError."""
    return [await repertoire(url, voice) for voice in VOICES]


async def measure_level(
    server: Server, model: Server, callers: int, seconds: float, repertoires: list[Repertoire], seed: int
) -> Level:
    """Let them converse, and judge it when all is over."""
    rng = random.Random(f"{seed} {callers}")
    broken: list[str] = []

    async def call(slot: int, offset: float, own: random.Random) -> Call:
        await asyncio.sleep(offset)
        made = Call()
        try:
            async with calling(server.agent_url, seed=slot) as caller:
                made.notes = caller.notes
                made.acts = await converse(caller, repertoires[slot % len(repertoires)], begin + seconds, own)
        except (OSError, WebSocketException, NoEvent) as error:
            broken.append(repr(error))
        return made

    used = _processor_seconds(server, model)
    async with quiet_loop() as lags:
        begin = clock()
        calls = await asyncio.gather(
            *(
                call(slot, min(_RAMP, seconds / 3) * slot / callers, random.Random(rng.random()))
                for slot in range(callers)
            )
        )
        end = clock()
    server_cpu, model_cpu, client_cpu, machine_cpu = (
        None if before is None or after is None else (after - before) / (end - begin)
        for before, after in zip(used, _processor_seconds(server, model), strict=True)
    )
    judgements = [one for made in calls for one in judge(made)]
    words = await _words(server.url, [one for one in _of(Alarm, judgements) if one.resumed])
    plain_words = await _words(server.url, [one for one in _of(Answer, judgements) if not one.problem])
    return Level(
        callers,
        end - begin,
        judgements,
        words,
        plain_words,
        lags,
        server_cpu,
        client_cpu or 0.0,
        model_cpu,
        machine_cpu,
        broken,
    )


async def _words(url: str, replies: Iterable[Alarm | Answer]) -> Words:
    """Have the server hear what was played, one after the other, when it has nothing else to do."""
    words = missing = extra = 0
    async with httpx.AsyncClient(base_url=url, timeout=_SECONDS) as client:
        for reply in replies:
            files = {"audio": ("reply.wav", _wav(reply.pcm))}
            answer = await client.post("/v1/asr", files=files, data={"language": "en"})
            answer.raise_for_status()
            less, more, all_ = words_wrong(reply.reply, answer.json()["text"])
            words, missing, extra = words + all_, missing + less, extra + more
    return Words(words, missing, extra)


def _wav(pcm: Samples) -> bytes:
    """16 bit, mono."""
    data = (np.clip(pcm, -1.0, 1.0) * 32767).astype("<i2").tobytes()
    sizes = (len(data) + 36, 16, 1 | 1 << 16, RATE, RATE * 2, 2 | 16 << 16, len(data))
    riff, fmt, kind, rate, per_second, block, length = (size.to_bytes(4, "little") for size in sizes)
    header = b"RIFF" + riff + b"WAVEfmt " + fmt + kind + rate + per_second + block + b"data" + length
    return header + data


def _processor_seconds(server: Server, model: Server) -> tuple[float | None, ...]:
    """Used so far by the server, by the model's stub, by this process, by all of the machine."""
    return server.cpu_seconds(), model.cpu_seconds(), time.process_time(), machine_busy_seconds()


def _of(kind: type[_JUDGEMENT], judgements: Iterable[Judgement]) -> list[_JUDGEMENT]:
    return [one for one in judgements if isinstance(one, kind)]
