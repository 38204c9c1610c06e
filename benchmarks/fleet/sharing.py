"""What replicas have in common: voices and limits; and how they refuse when all of them are full."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import ormsgpack
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from benchmarks.client import caller, clock, start_event
from benchmarks.fleet.fleet import Fleet, Replica
from benchmarks.fleet.results import Row
from transports.accounts import Keyring, Limits
from transports.store import Database, database_url

REFUSED_SECONDS = 0.050
"""How soon who calls a fleet that is full knows it."""

GIVEN_BACK_SECONDS = 10.0
"""How soon the places of keys are free that a killed replica had."""

_SENTENCE = "The parrot repeats what it has heard, and then it says something of its own."
_LONG = "This goes on for a long time, and nobody knows when it will end. " * 60
_ATTEMPTS = 40  # of each kind


async def voices(fleet: Fleet) -> tuple[list[Row], dict[str, Any]]:
    """A voice made on each replica is spoken with on the others, at once; when it is deleted, on none."""
    spoken, gone, times = 0, 0, []
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        for maker in fleet.replicas:
            others = [replica for replica in fleet.replicas if replica is not maker]
            voice = await make_voice(http, maker.server.url)
            for other in others:
                begun = clock()
                answer = await _say(http, other, voice)
                times.append(clock() - begun)
                spoken += answer.status_code == 200 and len(answer.content) > 1000
            await http.delete(f"{others[0].server.url}/model/{voice}")
            for other in others:
                gone += (await _say(http, other, voice)).status_code == 400
    wanted = len(fleet.replicas) * (len(fleet.replicas) - 1)
    rows = [
        Row("voices", "made on one, spoken on the next request to another", f"{spoken} of {wanted}", "all"),
        Row("voices", "  the slowest, learning included", f"{max(times) * 1000:.0f} ms"),
        Row("voices", "deleted on one, unknown to the next request to another", f"{gone} of {wanted}", "all"),
    ]
    rows = [
        Row(row.part, row.name, row.found, row.target, not row.target or row.found == f"{wanted} of {wanted}")
        for row in rows
    ]
    return rows, {"seconds": times}


async def make_voice(http: httpx.AsyncClient, url: str) -> str:
    """A voice of the library, made of what the server itself says; its id."""
    heard = await http.post(f"{url}/v1/tts", json={"text": _SENTENCE, "format": "wav"})
    files = {"voices": ("said.wav", heard.raise_for_status().content, "audio/wav")}
    made = await http.post(f"{url}/model", data={"title": "A parrot", "texts": _SENTENCE}, files=files)
    return str(made.raise_for_status().json()["_id"])


async def _say(http: httpx.AsyncClient, replica: Replica, voice: str) -> httpx.Response:
    body = {"text": _SENTENCE, "reference_id": voice, "format": "pcm"}
    return await http.post(f"{replica.server.url}/v1/tts", json=body)


@dataclass(frozen=True, slots=True)
class Refusal:
    """How one call was refused: after ``seconds``."""

    kind: str
    status: int
    retry_after: str | None
    seconds: float


@contextlib.asynccontextmanager
async def full(fleet: Fleet, streams: int, those: Sequence[Replica] = ()) -> AsyncIterator[None]:
    """Every replica, or ``those``, speak as many utterances as they may, for the time of the context."""
    async with contextlib.AsyncExitStack() as stack:
        for replica in those or fleet.replicas:
            for _ in range(streams):
                socket = await stack.enter_async_context(caller(replica.server.live_url))
                stack.callback(socket.transport.abort)  # nobody wants to hear the rest
                await socket.send(start_event("pcm", "balanced"))
                await socket.send(ormsgpack.packb({"event": "text", "text": _LONG}))
                await socket.recv()
        yield


async def refusals(fleet: Fleet, streams: int, attempts: int = _ATTEMPTS) -> tuple[list[Row], dict[str, Any]]:
    """Calls to a fleet that is full: from the first moment, and when the balancer knows it."""
    found: list[Refusal] = []
    async with full(fleet, streams), httpx.AsyncClient(timeout=60, trust_env=False) as http:
        (await http.get(f"{fleet.url}/health")).raise_for_status()  # the connection is not what is measured
        for _ in range(attempts):
            found += [await _refused_socket(fleet), await _refused_request(fleet, http)]
            await asyncio.sleep(0.05)
    wrong = [one for one in found if one.status != 503 or one.retry_after is None]
    slowest = max(one.seconds for one in found)
    rows = [
        Row(
            "full",
            "calls with 503 and Retry-After",
            f"{len(found) - len(wrong)} of {len(found)}",
            "all",
            not wrong,
        ),
        Row(
            "full",
            "  the slowest, from dialling",
            f"{slowest * 1000:.0f} ms",
            "less than 50 ms",
            slowest < REFUSED_SECONDS,
        ),
    ]
    return rows, {"refusals": list(map(asdict, found))}


async def _refused_socket(fleet: Fleet) -> Refusal:
    begun = clock()
    try:
        async with connect(fleet.server.live_url, proxy=None):
            return Refusal("socket", 101, None, clock() - begun)
    except InvalidStatus as refused:
        answer = refused.response
        return Refusal("socket", answer.status_code, answer.headers.get("Retry-After"), clock() - begun)


async def _refused_request(fleet: Fleet, http: httpx.AsyncClient) -> Refusal:
    begun = clock()
    answer = await http.post(f"{fleet.url}/v1/tts", json={"text": _SENTENCE})
    return Refusal("request", answer.status_code, answer.headers.get("Retry-After"), clock() - begun)


async def new_key(fleet: Fleet, name: str, limits: Limits) -> str:
    """An API key of the fleet."""
    database = Database(database_url(fleet.database_url, Path()))
    try:
        return await Keyring(database).create(name, limits=limits)
    finally:
        await database.close()


async def limits(fleet: Fleet) -> tuple[list[Row], dict[str, Any]]:
    """A key's places are those of all replicas, and what a killed one had of them is soon free."""
    victim, other = fleet.replicas[:2]
    key = await new_key(fleet, f"limited {clock()}", Limits(max_concurrency=2))
    async with contextlib.AsyncExitStack() as stack:
        for replica in (victim, other):
            socket = await stack.enter_async_context(_keyed(replica, key))
            stack.callback(socket.transport.abort)
            assert await _speaks(socket)
        refused = not await _tries(other, key)
        await asyncio.to_thread(victim.kill)
        killed = clock()
        free = None
        while free is None and clock() < killed + 2 * GIVEN_BACK_SECONDS:
            if await _tries(other, key):
                free = clock() - killed
        victim.start()
        await asyncio.to_thread(victim.until_ready)
    rows = [
        Row(
            "limits",
            "third of two at once, on any replica",
            "refused" if refused else "served",
            "refused",
            refused,
        ),
        Row(
            "limits",
            "place of a killed replica free after",
            "-" if free is None else f"{free:.1f} s",
            f"{GIVEN_BACK_SECONDS:.0f} s or less",
            free is not None and free <= GIVEN_BACK_SECONDS,
        ),
    ]
    return rows, {"given_back": free}


def _keyed(replica: Replica, key: str) -> connect:
    headers = {"Authorization": f"Bearer {key}"}
    return connect(replica.server.live_url, additional_headers=headers, compression=None, proxy=None)


async def _speaks(socket: Any) -> bool:
    """Have a long text begun; whether it was."""
    await socket.send(start_event("pcm", "balanced"))
    await socket.send(ormsgpack.packb({"event": "text", "text": _LONG}))
    while (event := ormsgpack.unpackb(await socket.recv())["event"]) == "log":
        pass
    return bool(event == "audio")


async def _tries(replica: Replica, key: str) -> bool:
    """Whether the key may have another utterance."""
    async with _keyed(replica, key) as socket:
        speaks = await _speaks(socket)
        socket.transport.abort()
    return speaks
