"""What callers notice when a replica is killed, and when all are restarted one after the other."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from benchmarks.client import clock
from benchmarks.fleet.fleet import Fleet, Replica
from benchmarks.fleet.load import Call, calling
from benchmarks.fleet.results import Row

SERVED_SECONDS = 1.0
"""Within this, who calls after the death of a replica hears of another one."""

AFTER_SECONDS = 5.0
_BEFORE_SECONDS = 3.0


async def kill(
    fleet: Fleet, callers: int, seed: int, seconds: float = AFTER_SECONDS
) -> tuple[list[Row], dict[str, Any]]:
    """kill -9 of a replica that speaks to some of the callers; afterwards it is started again."""
    victim = fleet.replicas[1]
    async with calling(fleet.server, callers, seed) as load:
        await asyncio.sleep(_BEFORE_SECONDS)
        await load.until(
            lambda: {call.replica for call in load.open} == {replica.name for replica in fleet.replicas}
        )
        at, speaking = clock(), sum(call.replica == victim.name for call in load.open)
        await asyncio.to_thread(victim.kill)
        await asyncio.sleep(seconds)
    victim.start()
    await asyncio.to_thread(victim.until_ready)
    lost = [call for call in load.calls if call.problem]
    own = [call for call in lost if call.dialled < at and call.replica in (victim.name, None)]
    new = [call for call in load.calls if call.dialled >= at]
    others = [call for call in lost if call not in own]
    slowest = max((call.served for call in new if call.served is not None), default=None)
    served = bool(new) and slowest is not None and slowest <= SERVED_SECONDS
    rows = [
        Row("kill -9", "utterances", f"{len(load.calls)} of {callers} callers"),
        Row("kill -9", "lost: those of the replica", f"{len(own)} (it had {speaking})"),
        Row("kill -9", "lost: others", str(len(others)), "0", not others),
        Row(
            "kill -9",
            f"new calls in the {seconds:.0f} s after it",
            str(len(new)),
            "1 or more",
            bool(new),
        ),
        Row("kill -9", "  the slowest, from dialling to audio", _ms(slowest), "1000 ms or less", served),
    ]
    return rows, {"killed_at": at, "victim": victim.name, "calls": list(map(asdict, load.calls))}


async def restart(
    fleet: Fleet, callers: int, seed: int, those: Sequence[Replica] = ()
) -> tuple[list[Row], dict[str, Any]]:
    """SIGTERM to one replica after the other, or to ``those``; each is started again when it has ended."""
    codes, seconds = [], []
    async with calling(fleet.server, callers, seed) as load:
        await asyncio.sleep(_BEFORE_SECONDS)
        for replica in those or fleet.replicas:
            at = clock()
            codes.append(await asyncio.to_thread(replica.drain))
            seconds.append(clock() - at)
            replica.start()
            await asyncio.to_thread(replica.until_ready)
            await load.until(lambda: any(call.replica == replica.name for call in load.open))  # noqa: B023
        await asyncio.sleep(_BEFORE_SECONDS)
    lost: list[Call] = [call for call in load.calls if call.problem]
    part = "rolling restart"
    rows = [
        Row(part, "utterances", f"{len(load.calls)} of {callers} callers"),
        Row(part, "lost or refused", str(len(lost)), "0", not lost),
        Row(part, "replicas that ended cleanly", f"{codes.count(0)} of {len(codes)}", "all", not any(codes)),
        Row(part, "  drained in", ", ".join(f"{one:.1f} s" for one in seconds)),
    ]
    return rows, {"drained_in": seconds, "calls": list(map(asdict, load.calls))}


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f} ms"
