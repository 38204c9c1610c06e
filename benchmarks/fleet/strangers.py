"""Clients that send nonsense, and clients that vanish: afterwards nothing of them may be left."""

import asyncio
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any

import httpx

from benchmarks.client import clock
from benchmarks.fleet.dialling import Gone, Line, Refused, dialled
from benchmarks.fleet.fleet import Fleet
from benchmarks.fleet.frames import PATHS, WIRES, Wire, body, frame
from benchmarks.fleet.results import Row

HELD = {"tasks": 0, "files": 8, "threads": 8, "calls": 0, "peers": 0, "ears": 0, "streams": 0}
"""What a replica holds, and by how much it may be more than before: some of what is idle is kept, such as
the threads of pools, which grow to their size with those who come at once."""

_AT_ONCE = 24
_FRAMES = (1, 400)  # of one socket
_FIRST = 40  # of each kind, to each replica, before anything counts
_BODIES = 0.1  # of all frames
_STAY = (0.0, 1.0)
_SETTLE_SECONDS = 90.0
_LEAVE_SECONDS = 20.0

Told = Callable[[str], object]
Work = Callable[[Fleet, int, int, Told], Awaitable[tuple[list[Row], dict[str, Any]]]]


async def fuzz(fleet: Fleet, frames: int, seed: int, told: Told) -> tuple[list[Row], dict[str, Any]]:
    """Random frames over every line's protocol, and random bodies to every path."""
    left, outcomes = [frames], Counter[str]()
    spread = count()

    async def one(rng: random.Random, http: httpx.AsyncClient) -> None:
        size = min(rng.randint(*_FRAMES), left[0])
        left[0] -= size
        if rng.random() < _BODIES:
            await _bodies(fleet, http, size, rng, outcomes)
        else:
            wire = WIRES[next(spread) % len(WIRES)]
            outcomes[await _nonsense(_address(fleet, wire, rng), wire, size, rng)] += 1
        told(f"{frames - left[0]:,} of {frames:,} frames")

    return await _measured(fleet, "fuzz", lambda: left[0] > 0, one, frames, seed, outcomes)


async def vanish(fleet: Fleet, times: int, seed: int, told: Told) -> tuple[list[Row], dict[str, Any]]:
    """Clients who begin well, and are gone at a random moment."""
    left, outcomes = [times], Counter[str]()

    async def one(rng: random.Random, http: httpx.AsyncClient) -> None:
        left[0] -= 1
        wire = WIRES[left[0] % len(WIRES)]
        outcomes[await _vanishing(_address(fleet, wire, rng), wire, rng)] += 1
        told(f"{times - left[0]:,} of {times:,} disconnects")

    return await _measured(fleet, "disconnects", lambda: left[0] > 0, one, times, seed, outcomes)


async def _measured(
    fleet: Fleet,
    part: str,
    more: Callable[[], bool],
    one: Callable[[random.Random, httpx.AsyncClient], Awaitable[None]],
    wanted: int,
    seed: int,
    outcomes: Counter[str],
) -> tuple[list[Row], dict[str, Any]]:
    """Have many strangers at a time, as long as there are ``more``; then see what is left."""
    await _used_once(fleet, seed)
    before = {replica.name: replica.held() for replica in fleet.replicas}
    logs = {replica.name: replica.log.stat().st_size for replica in fleet.replicas}
    begun = clock()

    async def stranger(rng: random.Random) -> None:
        while more():
            await one(rng, http)

    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        rng = random.Random(seed)
        await asyncio.gather(*(stranger(random.Random(rng.random())) for _ in range(_AT_ONCE)))
    seconds = clock() - begun
    after, grown = await _settled(fleet, before)
    places = sum(1 for _ in fleet.redis.client().scan_iter("parrotfish:*:places"))
    tracebacks = sum(
        replica.log.read_bytes()[logs[replica.name] :].count(b"Traceback") for replica in fleet.replicas
    )
    alive = sum(replica.process is not None and replica.process.poll() is None for replica in fleet.replicas)
    told = ", ".join(f"{number} {name}" for name, number in sorted(outcomes.items()))
    errors = outcomes["server errors"]
    rows = [
        Row(part, "sent" if part == "fuzz" else "times", f"{wanted:,} in {seconds:.0f} s"),
        Row(part, "  how they ended", told),
        Row(part, "answers of the kind 500", str(errors), "0", not errors),
        Row(part, "tracebacks in the logs", str(tracebacks), "0", not tracebacks),
        Row(
            part,
            "replicas that live",
            f"{alive} of {len(fleet.replicas)}",
            "all",
            alive == len(fleet.replicas),
        ),
        Row(part, "left behind on replicas", ", ".join(grown) or "nothing", "nothing", not grown),
        Row(part, "places left in Redis", str(places), "0", not places),
    ]
    return rows, {"seconds": seconds, "ends": dict(outcomes), "before": before, "after": after}


async def _used_once(fleet: Fleet, seed: int) -> None:
    """Have every replica start what it starts with the first client of a kind: threads, mostly."""
    rng = random.Random(seed)
    for replica in fleet.replicas:
        await asyncio.gather(*(_nonsense(replica.server.url, wire, _FIRST, rng) for wire in WIRES))
    open_ = dict.fromkeys(("calls", "peers", "ears", "streams"), 0.0)
    await _settled(fleet, {replica.name: dict.fromkeys(HELD, math.inf) | open_ for replica in fleet.replicas})


async def _settled(
    fleet: Fleet, before: dict[str, dict[str, float]]
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """What replicas hold when they have noticed that all are gone, and what of it is more than it was."""
    end = clock() + _SETTLE_SECONDS
    while True:
        await asyncio.sleep(1.0)
        after = {replica.name: replica.held() for replica in fleet.replicas}
        grown = [
            f"{replica}: {name} {before[replica][name]:.0f} to {held[name]:.0f}"
            for replica, held in after.items()
            for name, room in HELD.items()
            if held[name] > before[replica][name] + room
        ]
        if not grown or clock() > end:
            return after, grown


def _address(fleet: Fleet, wire: Wire, rng: random.Random) -> str:
    return rng.choice(fleet.replicas).server.url if wire.direct else fleet.url


async def _nonsense(url: str, wire: Wire, frames: int, rng: random.Random) -> str:
    """Send so many frames, as long as one may; returns how it ended."""
    sent = 0
    while sent < frames:  # a server that has closed gets the rest over another line
        try:
            async with dialled(url, wire, rng) as line:
                if rng.random() < 0.8:
                    await line.send(wire.encoded(wire.first))
                while sent < frames:
                    sent += 1
                    await line.send(frame(wire, rng))
                    if rng.random() < 0.02:
                        await asyncio.sleep(rng.random() * 0.02)
                await line.leave(rng)
        except Refused as refused:
            if refused.status != 503:
                return str(refused)
            await asyncio.sleep(0.05)
        except Gone:
            sent += 1
    return "peers" if wire.peer else "sockets"


async def _vanishing(url: str, wire: Wire, rng: random.Random) -> str:
    try:
        async with dialled(url, wire, rng) as line:
            talking = asyncio.create_task(_talk(line, wire, rng))
            await asyncio.sleep(rng.uniform(*_STAY) ** 2)
            await line.leave(rng)
            talking.cancel()
            await asyncio.gather(talking, return_exceptions=True)
    except Refused as refused:
        await asyncio.sleep(0.05)
        return str(refused)
    except Gone as gone:
        return str(gone)
    return "gone"


async def _talk(line: Line, wire: Wire, rng: random.Random) -> None:
    await line.send(wire.encoded(wire.first))
    while True:
        if wire.hears and rng.random() < 0.8:
            await line.send(rng.randbytes(640))
        else:
            await line.send(wire.encoded(rng.choice(wire.then)))
        await asyncio.sleep(rng.random() * 0.1)


async def _bodies(
    fleet: Fleet, http: httpx.AsyncClient, times: int, rng: random.Random, outcomes: Counter[str]
) -> None:
    for _ in range(times):
        content, kind = body(rng)
        headers, path = {"Content-Type": kind}, rng.choice(PATHS)
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                answer = await http.post(f"{fleet.url}{path}", content=content, headers=headers)
            outcomes["server errors"] += answer.status_code == 500
        except TimeoutError:
            outcomes[f"left {path} after {_LEAVE_SECONDS:.0f} s"] += 1
        except httpx.HTTPError as error:
            outcomes[type(error).__name__] += 1
    outcomes["bodies"] += times
