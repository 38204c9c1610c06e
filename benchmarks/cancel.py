"""Interruption: how soon a hung-up caller's slot is free, and how soon the next utterance is heard."""

import asyncio
from dataclasses import dataclass

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


async def measure_cancel(server: Server, *, times: int, audio_format: str) -> list[Interruption]:
    """Interrupt long utterances one after the other."""
    results = []
    for index in range(times):
        results.append(await _interrupt(server, SHORT[index % len(SHORT)], audio_format))
        await asyncio.sleep(_REST)
    return results


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
