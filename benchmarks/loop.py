"""How long the server's event loop stands still while a very long text comes in: from within and from outside."""

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import ormsgpack
from websockets.exceptions import WebSocketException

from benchmarks.client import caller, quiet_loop, start_event
from benchmarks.server import Server, ServerFailed
from benchmarks.text_cost import repeated
from benchmarks.texts import SHORT, TEXTS
from benchmarks.watched import beats

HTTP_LENGTH = 1_000_000
SOCKET_LENGTH = 900_000
_MODEST_LENGTH = 20_000  # far more than is spoken here, yet read in no time
_START_SECONDS = 30.0
_REST = 0.5
_READ = 1 << 16


@dataclass(frozen=True, slots=True)
class Load:
    """How the event loop fared under one load; seconds.

    ``block`` is the most processor time that its thread used between two of its beats, 2 ms apart: an upper bound
    of its longest callback. ``late_p99`` and ``late_longest`` are how late those beats came, for whatever reason.
    They are None for a server that was not watched from within.

    ``p50`` to ``longest`` say how late ``/health`` was answered, beyond the median without any load; ``own_p99``
    and ``own_longest`` how late the asking process was itself woken, which is no fault of the server. ``problem``
    says what went wrong with the load.
    """

    name: str
    samples: int
    p50: float
    p99: float
    longest: float
    own_p99: float
    own_longest: float
    problem: str | None = None
    block: float | None = None
    late_p99: float | None = None
    late_longest: float | None = None


async def measure_loop(server: Server, *, seconds: float, times: int) -> list[Load]:
    """Ask all the time, without a load and under each, ``times`` over and ``seconds`` each time.

    What the short texts show is what speaking costs, whatever the length of the text.
    """
    long_, brief = repeated(TEXTS, HTTP_LENGTH), SHORT[0]
    loads: list[tuple[str, Callable[[], Awaitable[str | None]]]] = [
        ("no load", lambda: _nothing(seconds)),
        ("short, socket", lambda: _over_socket(server, brief, seconds)),
        ("20 kB, HTTP", lambda: _over_http(server, long_[:_MODEST_LENGTH], seconds)),
        ("1 MB, HTTP", lambda: _over_http(server, long_, seconds)),
        ("900 kB, socket", lambda: _over_socket(server, long_[:SOCKET_LENGTH], seconds)),
    ]
    spans: dict[str, list[tuple[float, float]]] = {name: [] for name, _ in loads}
    problems: dict[str, str | None] = {}
    poller = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.poller", *_address(server)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
    )
    try:
        async with quiet_loop():
            await asyncio.sleep(_REST)
            for _ in range(times):
                for name, load in loads:
                    begin = time.monotonic()
                    problems[name] = await load() or problems.get(name)
                    spans[name].append((begin, time.monotonic()))
                    await asyncio.sleep(_REST)
        async with asyncio.timeout(_START_SECONDS):
            output, errors = await poller.communicate(b"")
    finally:
        with suppress(ProcessLookupError):
            poller.kill()
    if poller.returncode:
        raise ServerFailed(f"/health was not answered: {errors.decode()[-500:]}")
    return summarise(json.loads(output), spans, problems, beats(server.watch) if server.watch else None)


def summarise(
    samples: list[tuple[float, float, float]],
    spans: dict[str, list[tuple[float, float]]],
    problems: dict[str, str | None],
    watched: npt.NDArray[np.float64] | None = None,
) -> list[Load]:
    """The samples by the load they were taken under, the first of which is none."""
    asked, taken, own = np.array(samples).reshape(-1, 3).T
    results: list[Load] = []
    usual = 0.0
    for name, times in spans.items():
        chosen = np.zeros(len(asked), bool)
        for begin, end in times:
            chosen |= (asked + taken >= begin) & (asked < end)
        if not chosen.any():
            results.append(Load(name, 0, 0.0, 0.0, 0.0, 0.0, 0.0, "nothing was measured"))
            continue
        usual = usual or float(np.median(taken[chosen]))
        excess = np.maximum(taken[chosen] - usual, 0.0)
        p50, p99, longest = map(float, np.quantile(excess, (0.5, 0.99, 1.0)))
        own_p99, own_longest = map(float, np.quantile(own[chosen], (0.99, 1.0)))
        count = int(chosen.sum())
        results.append(
            Load(
                *(name, count, p50, p99, longest, own_p99, own_longest, problems.get(name)),
                *_within(watched, times),
            )
        )
    return results


def _within(
    watched: npt.NDArray[np.float64] | None, times: list[tuple[float, float]]
) -> tuple[float | None, float | None, float | None]:
    """The most processor time between two beats of a load; how late they were at p99, and at the most."""
    if watched is None:
        return None, None, None
    beat, worked, late = watched.T
    chosen = np.zeros(len(beat), bool)
    for begin, end in times:
        chosen |= (beat >= begin) & (beat < end)
    if not chosen.any():
        return None, None, None
    return float(worked[chosen].max()), float(np.quantile(late[chosen], 0.99)), float(late[chosen].max())


def _address(server: Server) -> tuple[str, str]:
    parts = urlsplit(server.url)
    if parts.scheme != "http" or parts.hostname is None:
        raise ServerFailed(f"{server.url}: the event loop is only watched over plain http://")
    return parts.hostname, str(parts.port or 80)


async def _nothing(seconds: float) -> str | None:
    await asyncio.sleep(seconds)
    return None


async def _over_http(server: Server, text: str, seconds: float) -> str | None:
    """Send the text in one request, take what comes for a while, hang up."""
    host, port = _address(server)
    body = ormsgpack.packb({"text": text, "format": "pcm"})
    head = (
        f"POST /v1/tts HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer benchmark\r\n"
        f"Content-Type: application/msgpack\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(host, int(port))
    received = b""
    size = 0
    try:
        async with asyncio.timeout(seconds):
            writer.write(head.encode() + body)
            while data := await reader.read(_READ):
                received = received or data
                size += len(data)
    except (TimeoutError, OSError):
        pass
    finally:
        writer.transport.abort()
    if received.split(b"\r\n", 1)[0] != b"HTTP/1.1 200 OK" or size < _READ:
        return f"no speech within {seconds:.0f} s: {received[:100]!r}"
    return None


async def _over_socket(server: Server, text: str, seconds: float) -> str | None:
    """Send the text in one message and a flush, take what comes for a while, hang up."""
    audio = 0
    try:
        async with asyncio.timeout(seconds), caller(server.live_url) as socket:
            await socket.send(start_event("pcm", "balanced"))
            await socket.send(ormsgpack.packb({"event": "text", "text": text}))
            await socket.send(ormsgpack.packb({"event": "flush"}))
            while True:
                event = ormsgpack.unpackb(await socket.recv(decode=False))
                audio += event["event"] == "audio"
                if event["event"] == "finish":
                    return f"ended with {event['reason']}"
    except TimeoutError:
        return None if audio else f"no speech within {seconds:.0f} s"
    except (OSError, WebSocketException) as error:
        return f"no connection: {error!r}"
