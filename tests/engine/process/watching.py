"""What tests of processes need: to wait for what has no event, and to look at processes from outside."""

import asyncio
import os
import select
from collections.abc import Callable
from pathlib import Path

SECONDS = 60.0  # nothing takes as long, unless it hangs


async def until(true: Callable[[], object]) -> None:
    """Wait for something that only can be asked for."""
    async with asyncio.timeout(SECONDS):
        while not true():  # noqa: ASYNC110 - there is no event of it
            await asyncio.sleep(0.005)


def ends(pid: int) -> bool:
    """Whether a process ends, of which we need not be the parent."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], SECONDS)[0])
    finally:
        os.close(descriptor)


def children() -> set[int]:
    """Processes that this one has started, dead ones included that nobody has asked for."""
    found = set()
    for path in Path("/proc/self/task").glob("*/children"):
        found |= set(map(int, path.read_text().split()))
    return found


def descriptors() -> set[str]:
    """What this process has open."""
    return {file.name for file in Path("/proc/self/fd").iterdir()}
