"""Random bytes and random orders of events: the server stays healthy and holds no slot."""

import asyncio
import random
from typing import Any

import httpx
import ormsgpack
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.transports.conftest import Running
from tests.transports.fish.live_client import SDK_START, LiveClient

EVENTS = ["start", "text", "flush", "stop", "cancel", "played", "", "audio"]
OUR_EVENTS = ("audio", "log", "finish", "flushed", "cancelled", "alignment")
DEEP: list[Any] = []
for _ in range(200):
    DEEP = [DEEP]
JUNK: list[Any] = [
    None,
    True,
    -1,
    2**63,
    0.5,
    float("nan"),
    "",
    "x" * 300,
    b"\xff\x00",
    [],
    DEEP,
    {},
    {"a": {}},
]
TEXTS = [
    "Hello ",
    "there. ",
    "[tag",
    "] ",
    "<|speaker:1|>",
    "<|",
    "3.",
    "14 ",
    "\ud7ff",
    "你好。",
    "🙂",
    "\x00",
    "a" * 500,
]


def random_message(rng: random.Random) -> bytes | str:
    """Anything from noise to a nearly right event."""
    kind = rng.random()
    if kind < 0.1:
        return rng.randbytes(rng.randint(0, 200))
    if kind < 0.13:
        return "text frame"
    event: Any = {"event": rng.choice(EVENTS)}
    if event["event"] == "start" or kind < 0.2:
        request: dict[str, Any] = SDK_START | {"format": rng.choice(["pcm", "opus", "mp3", "wav"])}
        for _ in range(rng.choice([0, 0, 0, 1, 3])):
            request[rng.choice(list(SDK_START))] = rng.choice(JUNK)
        event["request"] = request
    if event["event"] == "text" or kind < 0.3:
        event["text"] = rng.choice(TEXTS) if rng.random() < 0.9 else rng.choice(JUNK)
    if rng.random() < 0.3:
        event["context"] = rng.choice(["a", "b", "c", *JUNK])
    if rng.random() < 0.1:
        event["events"] = rng.choice([["flushed"], ["alignment", "flushed"], *JUNK])
    if event["event"] == "played":
        event["seconds"] = rng.choice([0, 1.5, 10**9, *JUNK])
    if kind > 0.97:
        event = rng.choice(JUNK)
    data = bytearray(ormsgpack.packb(event, option=ormsgpack.OPT_PASSTHROUGH_BIG_INT))
    if data and kind > 0.94:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


async def one_client(url: str, seed: int) -> None:
    """Send at random, read at random, leave in any way."""
    rng = random.Random(seed)
    async with connect(url, close_timeout=0.1) as socket:
        reader = asyncio.create_task(drain(socket, rng.random() < 0.8))
        try:
            for _ in range(rng.randint(1, 40)):
                await socket.send(random_message(rng))
                if rng.random() < 0.2:
                    await asyncio.sleep(rng.random() * 0.02)
        except ConnectionClosed:
            pass
        if rng.random() < 0.3:
            socket.transport.abort()
        reader.cancel()
        (outcome,) = await asyncio.gather(reader, return_exceptions=True)
        if isinstance(outcome, AssertionError):
            raise outcome


async def drain(socket: Any, reads: bool) -> None:
    if reads:
        async for message in socket:
            assert ormsgpack.unpackb(message)["event"] in OUR_EVENTS


async def test_random_sockets_leave_a_healthy_server(server: Running) -> None:
    for round_ in range(5):
        await asyncio.gather(*(one_client(server.live, 100 * round_ + n) for n in range(12)))
    await asyncio.to_thread(server.until_idle)
    assert server.engine.ready
    async with LiveClient(server.live) as client:
        await client.start(format="pcm", sample_rate=16000)
        await client.send("text", text="Still here.")
        await client.send("stop")
        assert await client.finish() == "stop"
        assert sum(map(len, client.heard)) > 16000


@pytest.mark.parametrize("kind", ["application/json", "application/msgpack", "text/plain"])
def test_random_bodies_are_refused_politely(server: Running, kind: str) -> None:
    rng = random.Random(kind)
    with httpx.Client(base_url=server.url) as client:
        for _ in range(60):
            body = rng.randbytes(rng.randint(0, 100))
            response = client.post("/v1/tts", content=body, headers={"content-type": kind})
            assert 400 <= response.status_code < 500
            assert set(response.json()) == {"message", "status"}
        assert client.get("/health").status_code == 200


async def test_clients_that_vanish_at_any_moment_return_their_slots(server: Running) -> None:
    rng = random.Random(5)
    for _ in range(30):
        async with connect(server.live) as socket:
            await socket.send(ormsgpack.packb({"event": "start", "request": SDK_START | {"format": "pcm"}}))
            await socket.send(ormsgpack.packb({"event": "text", "text": "A long story. " * 30}))
            await socket.send(ormsgpack.packb({"event": "flush"}))
            for _ in range(rng.randint(0, 3)):
                await socket.recv()
            if rng.random() < 0.5:
                socket.transport.abort()
    await asyncio.to_thread(server.until_idle)
