"""Calls that come and go at random for a long time, and what the server still holds when none is left."""

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from benchmarks.client import clock
from benchmarks.conversation.acts import Act, deck, perform
from benchmarks.conversation.caller import Caller, NoEvent, calling
from benchmarks.conversation.report import facts
from benchmarks.conversation.voices import Repertoire
from benchmarks.server import Server

HELD = {"memory": 4 << 20, "tasks": 0, "threads": 1, "files": 4, "calls": 0, "ears": 0, "streams": 0}
"""What is observed, and by how much it may have grown at the end: what is idle may be kept."""

_ROUND = 45.0
_REST = (0.0, 6.0)
_CALL = (0.0, 30.0)
_IDLE_SECONDS = 30.0
_QUIET = 2  # observations, one each second
_Z = 1.96  # of the normal distribution, for 95 %


@dataclass(slots=True)
class Soak:
    """What was held each time when no call was left, seconds from the start first; and what callers did.

    ``ends`` counts how calls ended; ``problems`` says what should not have been, and when.
    """

    seconds: float = 0.0
    samples: list[dict[str, float]] = field(default_factory=list)
    ends: dict[str, int] = field(default_factory=dict)
    acts: int = 0
    problems: list[str] = field(default_factory=list)
    begun: float = field(default_factory=clock)

    def problem(self, what: str) -> None:
        """Note one that has just been found."""
        self.problems.append(f"after {clock() - self.begun:.0f} s: {what}")

    @property
    def calls(self) -> int:
        """All of them."""
        return sum(self.ends.values())


@dataclass(frozen=True, slots=True)
class Growth:
    """What became of one thing that is held: at the first and the last observation that counts, its most, its
    slope for an hour, what that surely is at least, and whether it grows.
    """

    name: str
    first: float
    last: float
    most: float
    slope: float
    least: float
    grows: bool


def growth(samples: Sequence[dict[str, float]]) -> list[Growth]:
    """Judge each thing that is held; the first third of the samples, in which all is used for the first time, is
    left out.

    The slope is Theil and Sen's: the median of those between any two samples. Something grows if it has surely
    become more than :data:`HELD` allows: by the lower end of the slope's confidence interval, so that what goes
    up and down, or up once, does not.
    """
    counted = samples[len(samples) // 3 :]
    if len(counted) < 2:
        return []
    times = [sample["at"] for sample in counted]
    found = []
    for name, room in HELD.items():
        values = [sample[name] for sample in counted]
        slope, least = _slope(times, values)
        grows = least * (times[-1] - times[0]) > room
        found.append(Growth(name, values[0], values[-1], max(values), slope * 3600, least * 3600, grows))
    return found


def _slope(times: Sequence[float], values: Sequence[float]) -> tuple[float, float]:
    """The slope, and the lower end of its confidence interval of 95 %, by Kendall's variance with ties.

    P. K. Sen, Estimates of the regression coefficient based on Kendall's tau, 1968.
    """
    at, value = np.asarray(times), np.asarray(values)
    n = len(at)
    first, second = np.triu_indices(n, 1)
    slopes = np.sort((value[second] - value[first]) / (at[second] - at[first]))
    ties = np.unique(value, return_counts=True)[1]
    variance = (n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
    lower = (len(slopes) - _Z * math.sqrt(variance)) / 2
    return float(np.median(slopes)), float(slopes[max(math.floor(lower), 0)])


async def soak(
    server: Server,
    file: Path,
    repertoires: list[Repertoire],
    minutes: float,
    callers: int,
    seed: int,
    told: Callable[[str], None],
) -> Soak:
    """Round after round: so many ``callers`` for 45 s, then none until the server has noticed."""
    found = Soak()
    rng = random.Random(seed)
    begin = found.begun
    while clock() < begin + minutes * 60:
        until = min(clock() + _ROUND, begin + minutes * 60)
        await asyncio.gather(
            *(
                _calls(
                    server, repertoires[slot % len(repertoires)], until, random.Random(rng.random()), found
                )
                for slot in range(callers)
            )
        )
        sample = await _quiet(file)
        if sample is None:
            found.problem(f"calls were open that had ended: {_last(file)}")
            break
        found.samples.append({**sample, "at": clock() - begin})
        told(f"{(clock() - begin) / 60:.1f} of {minutes:g} min, {found.calls} calls")
    found.seconds = clock() - begin
    return found


async def _calls(
    server: Server, repertoire: Repertoire, until: float, rng: random.Random, found: Soak
) -> None:
    """One caller who calls again and again."""
    while clock() < until:
        await asyncio.sleep(rng.uniform(*_REST))
        end = rng.choice(("hung up", "hung up at once", "broken off", "left"))
        try:
            await _call(server, repertoire, end, rng, found)
        except (OSError, WebSocketException, NoEvent) as error:
            found.problem(repr(error))
        found.ends[end] = found.ends.get(end, 0) + 1


async def _call(server: Server, repertoire: Repertoire, end: str, rng: random.Random, found: Soak) -> None:
    seconds = rng.uniform(*_CALL)
    if end == "hung up at once":
        async with connect(server.agent_url) as socket:
            if rng.random() < 0.5:
                await socket.send(orjson.dumps({"type": "start"}).decode())
            await asyncio.sleep(rng.uniform(0.0, 0.1))
        return
    greeting = rng.choice(("", "Hello, how can I help you?"))
    async with calling(server.agent_url, keep=False, greeting=greeting) as caller:
        talking = asyncio.create_task(_talk(caller, repertoire, rng, found))
        try:
            await asyncio.wait([talking], timeout=seconds)
            if end == "broken off":
                caller.abort()
            elif end == "left":
                await caller.tell(type="interrupt")
                await caller.tell(type="leave")
                await caller.closed()
        finally:
            talking.cancel()
            with suppress(asyncio.CancelledError, OSError, WebSocketException):
                await talking


async def _talk(caller: Caller, repertoire: Repertoire, rng: random.Random, found: Soak) -> None:
    for kind, line in deck(repertoire, rng):
        try:
            await perform(caller, Act(kind, line, clock()), rng)
        except NoEvent as error:
            if caller.over:
                return
            found.problem(f"{kind}, {line.text!r}: {error}")
        found.acts += 1


def _last(file: Path) -> dict[str, float]:
    """The last observation."""
    lines = file.read_bytes().splitlines()
    last: dict[str, float] = orjson.loads(lines[-1])
    return last


async def _quiet(file: Path) -> dict[str, float] | None:
    """What the server holds when it has noticed that no call is left; None if it does not."""
    deadline = clock() + _IDLE_SECONDS
    quiet, seen = 0, 0.0
    while clock() < deadline:
        await asyncio.sleep(0.5)
        now = _last(file)
        if now["at"] > seen:
            seen = now["at"]
            quiet = 0 if now["calls"] or now["ears"] or now["streams"] else quiet + 1
        if quiet > _QUIET:
            return now
    return None


def show(found: Soak, machine: dict[str, Any], console: Console) -> None:
    """Print what is held, and the verdict."""
    console.print(facts(machine), highlight=False)
    ends = ", ".join(f"{count} {end}" for end, count in sorted(found.ends.items()))
    table = Table(
        title=f"{found.seconds / 60:.0f} minutes, {found.calls} calls: {found.acts} acts; {ends}",
        caption=f"With no call open, {len(found.samples)} times; the first third is left out. an hour: the "
        "slope, and what it is at least by its confidence interval of 95 %",
    )
    for name in ("held by the server", "first", "last", "most", "an hour", "at least", ""):
        table.add_column(name, justify="left" if name.startswith("held") else "right")
    for one in growth(found.samples):
        show_ = _megabytes if one.name == "memory" else _count
        verdict = "[red]grows[/]" if one.grows else "[green]steady[/]"
        table.add_row(one.name, *map(show_, (one.first, one.last, one.most, one.slope, one.least)), verdict)
    console.print(table)
    for problem in found.problems[:20]:
        console.print(f"[red]problem[/] {problem}", highlight=False)


def save(found: Soak, machine: dict[str, Any], path: Path) -> None:
    """Write everything as JSON."""
    document = {
        "machine": machine,
        **asdict(found),
        "calls": found.calls,
        "growth": [asdict(one) for one in growth(found.samples)],
    }
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def _megabytes(size: float) -> str:
    return f"{size / (1 << 20):.1f} MB"


def _count(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
