"""A mixed load for a long time, and what the replicas hold each time when it pauses."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import ormsgpack
from websockets.exceptions import WebSocketException

from benchmarks.client import caller, clock, start_event
from benchmarks.conversation.soak import HELD, growth
from benchmarks.fleet.dialling import Gone, Refused, dialled
from benchmarks.fleet.fleet import Fleet
from benchmarks.fleet.frames import WIRES, body
from benchmarks.fleet.load import Call, one_call
from benchmarks.fleet.results import Row
from benchmarks.fleet.sharing import make_voice
from benchmarks.texts import TEXTS

_AT_ONCE = 8
_ROUND = 40.0
_QUIET_SECONDS = 45.0
_REST = (0.0, 1.0)
_BRIEF = 36  # words

_Sample = dict[str, float]


async def soak(
    fleet: Fleet, minutes: float, seed: int, told: Callable[[str], None]
) -> tuple[list[Row], dict[str, Any]]:
    """Round after round: all that clients do for 40 s, then nothing until the replicas have noticed."""
    rng = random.Random(seed)
    samples: dict[str, list[_Sample]] = {replica.name: [] for replica in fleet.replicas}
    done, problems = Counter[str](), list[str]()
    begin = clock()
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        said = (await http.post(f"{fleet.url}/v1/tts", json={"text": TEXTS[1], "format": "wav"})).content
        while clock() < begin + minutes * 60:
            until = min(clock() + _ROUND, begin + minutes * 60)
            clients = [_Client(fleet, http, said, random.Random(rng.random())) for _ in range(_AT_ONCE)]
            await asyncio.gather(*(client.run(until, done, problems) for client in clients))
            quiet = await _quiet(fleet)
            if quiet is None:
                problems.append(f"after {clock() - begin:.0f} s a replica held what had ended")
                break
            for name, held in quiet.items():
                samples[name].append({**held, "at": clock() - begin})
            told(f"{(clock() - begin) / 60:.1f} of {minutes:g} min, {done.total()} clients")
    return _rows(samples, clock() - begin, done, problems), {
        "samples": samples,
        "done": dict(done),
        "problems": problems,
    }


def _rows(
    samples: dict[str, list[_Sample]], seconds: float, done: Counter[str], problems: list[str]
) -> list[Row]:
    told = ", ".join(f"{number} {name}" for name, number in sorted(done.items()))
    rows = [Row("soak", f"{seconds / 60:.0f} minutes", told)]
    grown = {name: {one.name: one for one in growth(taken)} for name, taken in samples.items()}
    for thing in HELD:
        those = [found[thing] for found in grown.values() if thing in found]
        if not those:
            continue
        slopes = ", ".join(f"{_shown(thing, one.slope)}" for one in those)
        least = ", ".join(f"{_shown(thing, one.least)}" for one in those)
        last = ", ".join(f"{_shown(thing, one.last)}" for one in those)
        grows = any(one.grows for one in those)
        rows.append(
            Row(
                "soak",
                f"  {thing}, at the end; an hour; surely",
                f"{last}; {slopes}; {least}",
                "no growth",
                not grows,
            )
        )
    rows.append(Row("soak", "problems", "; ".join(problems[:3]) or "none", "none", not problems))
    return rows


def _shown(thing: str, value: float) -> str:
    return f"{value / (1 << 20):.1f} MB" if thing == "memory" else f"{value:.1f}".removesuffix(".0")


class _Client:
    """Somebody who does one thing after the other."""

    def __init__(self, fleet: Fleet, http: httpx.AsyncClient, said: bytes, rng: random.Random) -> None:
        self._fleet = fleet
        self._http = http
        self._said = said
        self._rng = rng

    async def run(self, until: float, done: Counter[str], problems: list[str]) -> None:
        """Do so until then."""
        kinds = [
            self._live,
            self._live,
            self._download,
            self._hang_up,
            self._hear,
            self._voice,
            self._nonsense,
        ]
        while clock() < until:
            kind = self._rng.choice(kinds)
            name = kind.__name__.strip("_").replace("_", " ")
            try:
                if problem := await kind():
                    problems.append(f"{name}: {problem}")
            except (OSError, WebSocketException, httpx.HTTPError, Gone, Refused) as error:
                problems.append(f"{name}: {error!r}")
            done[name] += 1
            await asyncio.sleep(self._rng.uniform(*_REST))

    async def _live(self) -> str | None:
        """An utterance, listened to."""
        call = Call(clock())
        await one_call(
            self._fleet.server,
            self._rng.choice([text for text in TEXTS if len(text.split()) <= _BRIEF]),
            call,
        )
        return call.problem

    async def _download(self) -> str | None:
        """A text, spoken in one answer."""
        form = self._rng.choice(("mp3", "wav", "opus", "pcm"))
        answer = await self._http.post(
            f"{self._fleet.url}/v1/tts", json={"text": self._rng.choice(TEXTS), "format": form}
        )
        return None if answer.status_code == 200 and len(answer.content) > 1000 else answer.text[:200]

    async def _hang_up(self) -> str | None:
        """An utterance that nobody waits for the end of."""
        async with caller(self._fleet.server.live_url) as socket:
            await socket.send(start_event("opus", "low"))
            await socket.send(ormsgpack.packb({"event": "text", "text": self._rng.choice(TEXTS)}))
            await asyncio.sleep(self._rng.uniform(0, 2))
            socket.transport.abort()
        return None

    async def _hear(self) -> str | None:
        """A recording, recognised."""
        answer = await self._http.post(f"{self._fleet.url}/v1/asr", files={"audio": ("a.wav", self._said)})
        return None if answer.status_code == 200 and answer.json()["text"] else answer.text[:200]

    async def _voice(self) -> str | None:
        """A voice, made, spoken with and deleted, each on any replica."""
        url = self._fleet.url
        voice = await make_voice(self._http, url)
        answer = await self._http.post(f"{url}/v1/tts", json={"text": "Hello.", "reference_id": voice})
        (await self._http.delete(f"{url}/model/{voice}")).raise_for_status()
        return None if answer.status_code == 200 else answer.text[:200]

    async def _nonsense(self) -> str | None:
        """Something that no server understands."""
        wire = self._rng.choice([wire for wire in WIRES if not wire.direct])
        content, _ = body(self._rng)
        async with dialled(self._fleet.url, wire, self._rng) as line:
            await line.send(content)
        answer = await self._http.post(f"{self._fleet.url}/v1/tts", content=content)
        return None if answer.status_code < 500 else answer.text[:200]


async def _quiet(fleet: Fleet) -> dict[str, _Sample] | None:
    """What the replicas hold when they have noticed that no client is left; None if they do not."""
    end = clock() + _QUIET_SECONDS
    await asyncio.sleep(3.0)
    while clock() < end:
        held = {replica.name: replica.held() for replica in fleet.replicas}
        if not any(one["calls"] or one["peers"] or one["ears"] or one["streams"] for one in held.values()):
            return held
        await asyncio.sleep(0.5)
    return None
