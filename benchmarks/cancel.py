"""Interruption, by hanging up and by ``cancel``: how soon it is quiet, and how soon the slot is free."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field

import ormsgpack
from websockets.asyncio.client import ClientConnection

from benchmarks.client import caller, clock, quiet_loop, speak, start_event
from benchmarks.decoding import RATES, decode
from benchmarks.listener import listen
from benchmarks.server import Monitor, Server
from benchmarks.texts import LONG, SHORT

_SPEAKING_SECONDS = 0.4
_FREE_SECONDS = 5.0
_REST = 0.2
_EARLY = 0.02  # seconds after the text until which there is hardly any audio yet
_LATEST = 0.5  # until then speech is made without a pause, up to 10 s ahead
_LISTENING_SECONDS = 0.3  # after the slot is free, for audio that should not come


@dataclass(frozen=True, slots=True)
class Interruption:
    """One barge-in as Pipecat does it: hang up while the server speaks, call again, say something else.

    ``freed``: seconds from closing the socket until ``/ready`` counts no stream of ours; an upper bound, with
    the time of one request in it. ``next_sound``: seconds from dialling again to the first audible sample of
    a whole sentence; ``next_onset`` counts from when that sentence was sent. ``problem`` says what failed.
    """

    problem: str | None
    freed: float | None = None
    next_sound: float | None = None
    next_onset: float | None = None


@dataclass(frozen=True, slots=True)
class Cancellation:
    """One ``cancel`` in mid-speech, ``after`` seconds behind the text; ``speaking``: audio had come before.

    The others are seconds from sending it: ``last_audio`` until the last audio arrived, None if none did;
    ``cancelled`` until that event; ``quiet`` and ``freed`` until ``/ready`` counted no speaking, and no open,
    stream of ours: upper bounds, with the time of one request in them. ``problem`` says what failed.
    """

    problem: str | None
    after: float
    speaking: bool = False
    last_audio: float | None = None
    cancelled: float | None = None
    quiet: float | None = None
    freed: float | None = None


@dataclass(slots=True)
class _Heard:
    """What came after a ``cancel``, and when."""

    before: int = 0  # audio messages until it was sent
    last_audio: float | None = None
    cancelled: float | None = None
    stale: int = 0  # audio messages after ``cancelled``
    told: list[str] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)


async def measure_cancel(server: Server, *, times: int, audio_format: str) -> list[Interruption]:
    """Interrupt long utterances one after the other."""
    results = []
    for index in range(times):
        results.append(await _interrupt(server, SHORT[index % len(SHORT)], audio_format))
        await asyncio.sleep(_REST)
    return results


async def measure_cancel_event(
    server: Server, *, times: int, audio_format: str, seed: int = 1
) -> list[Cancellation]:
    """Cancel long utterances at random times, a third of them before there is any audio, all on one socket."""
    rng = random.Random(f"{seed} cancel")
    results = []
    with server.monitor() as monitor:
        async with quiet_loop(), caller(server.live_url) as socket:
            for index in range(times):
                after = rng.uniform(0, _EARLY) if index % 3 == 0 else rng.uniform(_EARLY, _LATEST)
                results.append(await _cancel(socket, monitor, after, audio_format))
                await asyncio.sleep(_REST)
    return results


async def _cancel(
    socket: ClientConnection, monitor: Monitor, after: float, audio_format: str
) -> Cancellation:
    state = await asyncio.to_thread(monitor.ready)
    others = int(state["open_streams"]), int(state["speaking_streams"])
    heard = _Heard()
    await socket.send(start_event(audio_format, "balanced"))
    await socket.send(ormsgpack.packb({"event": "text", "text": LONG}))
    reading = asyncio.create_task(_hear(socket, heard))
    await asyncio.sleep(after)
    speaking = heard.before > 0
    sent = clock()
    await socket.send(ormsgpack.packb({"event": "cancel"}))
    quiet, freed = await asyncio.to_thread(_await_quiet, monitor, *others)
    with suppress(TimeoutError):
        await asyncio.wait_for(heard.done.wait(), _FREE_SECONDS)
    await asyncio.sleep(_LISTENING_SECONDS)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)

    def since(at: float | None) -> float | None:
        return None if at is None else at - sent

    problem = None
    if heard.told:
        problem = f"was told {heard.told[0]!r}"
    elif heard.cancelled is None:
        problem = f"no cancelled within {_FREE_SECONDS:.0f} s"
    elif heard.stale:
        problem = f"{heard.stale} audio messages after cancelled"
    elif freed is None or quiet is None:
        problem = f"the slot was not free after {_FREE_SECONDS:.0f} s"
    last_audio = heard.last_audio if heard.last_audio is not None and heard.last_audio > sent else None
    times = (since(at) for at in (last_audio, heard.cancelled, quiet, freed))
    return Cancellation(problem, after, speaking, *times)


async def _hear(socket: ClientConnection, heard: _Heard) -> None:
    """Take down what comes."""
    while True:
        event = ormsgpack.unpackb(await socket.recv(decode=False))
        match event["event"]:
            case "audio":
                heard.last_audio = clock()
                if heard.cancelled is None:
                    heard.before += 1
                else:
                    heard.stale += 1
            case "cancelled":
                heard.cancelled = clock()
                heard.done.set()
            case "log" | "finish":
                heard.told.append(str(event.get("message", event["event"])))


def _await_quiet(monitor: Monitor, open_: int, speaking: int) -> tuple[float | None, float | None]:
    """When no more streams were seen speaking, and open, than those of others."""
    quiet = freed = None
    deadline = clock() + _FREE_SECONDS
    while (quiet is None or freed is None) and clock() < deadline:
        state = monitor.ready()
        if quiet is None and int(state["speaking_streams"]) <= speaking:
            quiet = clock()
        if freed is None and int(state["open_streams"]) <= open_:
            freed = clock()
    return quiet, freed


async def _interrupt(server: Server, following: str, audio_format: str) -> Interruption:
    with server.monitor() as monitor:
        others = await asyncio.to_thread(monitor.open_streams)
        async with quiet_loop():
            async with caller(server.live_url) as socket:
                await socket.send(start_event(audio_format, "balanced"))
                await socket.send(ormsgpack.packb({"event": "text", "text": LONG}))
                while ormsgpack.unpackb(await socket.recv(decode=False))["event"] != "audio":
                    pass
                reading = asyncio.create_task(_read_on(socket))
                await asyncio.sleep(_SPEAKING_SECONDS)
                if await asyncio.to_thread(monitor.open_streams) <= others:
                    return Interruption("the long utterance was over before it was interrupted")
                hung_up = clock()
                closing = asyncio.create_task(socket.close())
                free = await asyncio.to_thread(_await_free, monitor, others)
                await asyncio.gather(closing, reading)
            if free is None:
                return Interruption(f"the slot was not free after {_FREE_SECONDS:.0f} s")
            dialled = clock()
            async with caller(server.live_url) as socket:
                recording = await speak(socket, [following], audio_format=audio_format)
    hearing = listen(decode(recording.messages, audio_format), RATES[audio_format])
    if recording.reason != "stop" or hearing is None or hearing.onset is None:
        return Interruption(f"the utterance after it was not heard: {recording.reason}", free - hung_up)
    return Interruption(None, free - hung_up, hearing.onset - dialled, hearing.onset - recording.sent[0])


async def _read_on(socket: ClientConnection) -> None:
    """Take in what comes until the socket closes, as a client does that plays it."""
    async for _ in socket:
        pass


def _await_free(monitor: Monitor, others: int) -> float | None:
    """When the server was first seen with no more streams than those of others."""
    deadline = clock() + _FREE_SECONDS
    while clock() < deadline:
        if monitor.open_streams() <= others:
            return clock()
    return None
