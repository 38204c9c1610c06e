"""``/v1/asr/realtime`` over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine.speech import Pcm
from realtime.ears import EarsConfig
from tests.engine.models.speaking import RATE, speak
from tests.hearing import resample, word_error_rate
from tests.transports.conftest import Running, run_server
from tests.transports.fish.sentences import HELD
from transports.settings import Settings

TEXT = "We should leave before the rain starts, or we will be wet."


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with room for one stream, which must be short and may not rest."""
    ears = EarsConfig(max_streams=1, max_stream_seconds=2.0, idle_seconds=0.3)
    yield from run_server(Settings(port=0, data=tmp_path_factory.mktemp("strict"), ears=ears))


class Client:
    """One socket; ``seen`` is all that has come."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []

    async def say(self, **message: Any) -> None:
        await self.socket.send(orjson.dumps(message).decode())

    async def push(self, pcm: Pcm, step: int = 1000) -> None:
        data = (np.clip(pcm, -1, 1) * 32767).astype("<i2").tobytes()
        for at in range(0, len(data), step):
            await self.socket.send(data[at : at + step])

    async def until(self, kind: str) -> dict[str, Any]:
        while True:
            message: dict[str, Any] = orjson.loads(await self.socket.recv())
            self.seen.append(message)
            if message["type"] == kind:
                return message

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.seen if message["type"] == kind]


@asynccontextmanager
async def opened(hears: Running, **config: Any) -> AsyncIterator[Client]:
    async with connect(hears.url.replace("http", "ws") + "/v1/asr/realtime") as socket:
        client = Client(socket)
        await client.say(**config)
        await client.until("ready")
        yield client


def quiet(seconds: float) -> Pcm:
    return np.zeros(round(seconds * RATE), np.float32)


async def test_turns_partials_and_finals(hears: Running) -> None:
    speech = speak(TEXT)
    async with opened(hears, type="config", sample_rate=RATE, language="en") as client:
        for turn in range(2):
            await client.push(quiet(1.0))
            third = len(speech.pcm) // 3
            for part in (speech.pcm[:third], speech.pcm[third : 2 * third]):
                await client.push(part)
                await client.until("partial")
            await client.push(speech.pcm[2 * third :])
            await client.push(quiet(1.0))
            final = await client.until("final")
            assert word_error_rate(TEXT, final["text"]) == 0
            begin = 1.0 + turn * (2.0 + speech.seconds())
            assert final["start"] == pytest.approx(begin + speech.words[0].start, abs=0.3)
            assert final["end"] == pytest.approx(begin + speech.words[-1].end, abs=0.3)
            # The turn has the same times, and its partials grow.
            assert client.all("speech_started")[turn]["time"] == final["start"]
            assert client.all("speech_stopped")[turn]["time"] == final["end"]
            partials = [part for part in client.all("partial") if part["start"] == final["start"]]
            ends = [part["end"] for part in partials]
            assert len(ends) >= 2
            assert ends == sorted(set(ends))
            assert len(partials[0]["text"]) < len(final["text"])
        await client.say(type="close")
        closed = await client.until("closed")
        assert closed["duration"] == pytest.approx(2 * (2.0 + speech.seconds()), abs=0.1)
        with pytest.raises(ConnectionClosed) as ended:
            await client.socket.recv()
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1000
    kinds = [message["type"] for message in client.seen if message["type"] != "partial"]
    turn_events = ["speech_started", "speech_stopped", "final"]
    assert kinds == ["ready", *turn_events, *turn_events, "finalized", "closed"]


@pytest.mark.parametrize(("rate", "step"), [(8000, 160), (48000, 100_001)])
async def test_rates_and_messages_of_any_length(hears: Running, rate: int, step: int) -> None:
    async with opened(hears, sample_rate=rate, interim_results=False) as client:
        await client.push(resample(speak(TEXT).pcm, RATE, rate), step | 1)  # a sample may be cut in two
        await client.say(type="close")
        await client.until("closed")
        assert word_error_rate(TEXT, client.all("final")[0]["text"]) <= 0.2
        assert client.all("partial") == []


async def test_several_at_once_hear_their_own(hears: Running) -> None:
    async def hear(text: str) -> float:
        async with opened(hears, sample_rate=RATE) as client:
            await client.push(speak(text).pcm)
            await client.say(type="close")
            await client.until("closed")
            return word_error_rate(text, " ".join(final["text"] for final in client.all("final")))

    assert max(await asyncio.gather(*(hear(text) for text in HELD[:5]))) <= 0.25


async def test_finalize_waits_for_no_pause(hears: Running) -> None:
    async with opened(hears, sample_rate=RATE, interim_results=False) as client:
        await client.push(speak(TEXT).pcm[: -RATE // 3])
        await client.say(type="finalize")
        await client.until("finalized")
        assert word_error_rate(TEXT, client.all("final")[0]["text"]) <= 0.1
        await client.say(type="finalize")
        await client.until("finalized")
        assert len(client.all("final")) == 1


async def test_the_pause_that_ends_a_turn_can_be_set(hears: Running) -> None:
    speech = np.concatenate([speak(TEXT).pcm, quiet(0.6), speak(TEXT).pcm])
    for silence, turns in ((300, 2), (1500, 1)):
        async with opened(hears, sample_rate=RATE, silence_ms=silence, interim_results=False) as client:
            await client.push(speech)
            await client.say(type="close")
            await client.until("closed")
            assert len(client.all("speech_stopped")) == turns


@pytest.mark.parametrize(
    ("messages", "status", "names"),
    [
        ([b"\0\0"], 400, "config"),
        ([b"{"], 400, "config"),
        (["{"], 400, "JSON"),
        (["[]"], 400, "message"),
        (['{"type": "start"}'], 400, "type: got 'start'"),
        (['{"sample_rate": 4000}'], 400, "sample_rate: got 4000"),
        (['{"sample_rate": "16000"}'], 400, "sample_rate"),
        (['{"encoding": "mulaw"}'], 400, "encoding"),
        (['{"language": "de"}'], 400, "language: got 'de'"),
        (['{"silence_ms": 5}'], 400, "silence_ms"),
        (['{"interim_results": 1}'], 400, "interim_results"),
        (["{}", '{"type": "config"}'], 400, "type: got 'config'; expected finalize"),
        (["{}", "{}"], 400, "type"),
        (["{}", bytes(2_000_001)], 413, "2000000"),
    ],
)
async def test_what_is_wrong_is_named(
    hears: Running, messages: list[str | bytes], status: int, names: str
) -> None:
    async with connect(hears.url.replace("http", "ws") + "/v1/asr/realtime") as socket:
        client = Client(socket)
        for message in messages:
            await socket.send(message)
        error = await client.until("error")
        assert error["status"] == status
        assert names in error["message"]
        with pytest.raises(ConnectionClosed) as ended:
            await socket.recv()
        assert ended.value.rcvd is not None
        assert ended.value.rcvd.code == 1008


async def test_limits(strict: Running) -> None:
    async with opened(strict, sample_rate=RATE) as client:
        with pytest.raises(InvalidStatus) as refused:
            await connect(strict.url.replace("http", "ws") + "/v1/asr/realtime")
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["retry-after"]
        await client.push(quiet(2.1))
        assert "2 s" in (await client.until("error"))["message"]
    async with opened(strict, sample_rate=RATE) as client:
        error = await client.until("error")
        assert (error["status"], error["message"].partition(":")[0]) == (408, "idle")


async def test_who_hangs_up_leaves_room_at_once(strict: Running) -> None:
    for _ in range(3):
        async with opened(strict, sample_rate=RATE) as client:
            await client.push(speak(TEXT).pcm[:RATE])
            client.socket.transport.abort()
        for _ in range(500):
            if not strict.services.ears.streams:
                break
            await asyncio.sleep(0.01)
        else:
            pytest.fail("the place is still taken")
