"""LiveKit's own Fish Audio plugin, 1.8.9, as an agent uses it."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import numpy as np
import numpy.typing as npt
import pytest
from livekit import rtc
from livekit.agents import APIConnectOptions, APIStatusError
from livekit.agents.tts import ChunkedStream, SynthesizedAudio, SynthesizeStream
from livekit.plugins.fishaudio import TTS

from engine import EngineConfig
from tests.hearing import transcribe, word_error_rate
from tests.tones import ToneModel
from tests.transports.conftest import Running, run_server
from tests.transports.fish.live_client import LiveClient
from transports.settings import Settings

TEXT = "Good morning, my name is Peter. How can I help you today?"
OLD = "The old sailor told us a long story about the storm. " * 20
RATES = {"wav": 24000, "opus": 48000, "pcm": 24000, "mp3": 32000}
ONCE = APIConnectOptions(max_retry=0)


@dataclass
class Agent:
    """The plugin, and how many connections it has opened."""

    tts: TTS
    _opened: list[Any]

    @property
    def connections(self) -> int:
        return len(self._opened)

    async def say(self, text: str, **options: Any) -> tuple[npt.NDArray[np.float32], int]:
        """The audio of a turn that a language model writes."""
        async with self.tts.stream(**options) as stream:
            write(stream, text)
            return await hear(stream)


def write(stream: SynthesizeStream, text: str) -> None:
    for token in re.findall(r"\s*\S+", text):
        stream.push_text(token)
    stream.flush()
    stream.end_input()


async def hear(stream: SynthesizeStream | ChunkedStream) -> tuple[npt.NDArray[np.float32], int]:
    events = [event async for event in stream]
    assert [event.is_final for event in events].index(True) == len(events) - 1
    return audio(events)


def audio(events: list[SynthesizedAudio]) -> tuple[npt.NDArray[np.float32], int]:
    frame = rtc.combine_audio_frames([event.frame for event in events])
    assert frame.num_channels == 1
    return np.frombuffer(frame.data, np.int16).astype(np.float32) / 32768, frame.sample_rate


@asynccontextmanager
async def agent(server: Running, **options: Any) -> AsyncIterator[Agent]:
    """The plugin with its defaults, but for what is said otherwise."""
    opened: list[Any] = []

    async def note(_: Any, __: Any, connection: Any) -> None:
        opened.append(connection)

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(note)
    async with (
        aiohttp.ClientSession(trace_configs=[trace]) as session,
        TTS(base_url=server.url, api_key="any", http_session=session, **options) as tts,
    ):
        yield Agent(tts, opened)


@pytest.mark.parametrize("format_", RATES)
async def test_stream(server: Running, format_: Any) -> None:
    async with agent(server, output_format=format_) as it:
        pcm, rate = await it.say(TEXT)
    assert rate == RATES[format_]
    assert word_error_rate(TEXT, transcribe(pcm, rate)) <= 0.15


@pytest.mark.parametrize("format_", RATES)
async def test_synthesize(server: Running, format_: Any) -> None:
    async with agent(server, output_format=format_) as it, it.tts.synthesize(TEXT) as stream:
        pcm, rate = await hear(stream)
    assert rate == RATES[format_]
    assert word_error_rate(TEXT, transcribe(pcm, rate)) <= 0.15


@pytest.mark.parametrize("format_", ["wav", "opus"])
async def test_utterances_one_after_the_other_on_one_socket(server: Running, format_: Any) -> None:
    async with agent(server, output_format=format_) as it:
        for text in ("The garden is full of roses.", "My sister plays the piano.", TEXT):
            assert word_error_rate(text, transcribe(*await it.say(text))) <= 0.2
            await asyncio.to_thread(server.until_idle)
        assert it.connections == 1


async def test_speech_begins_before_the_text_has_ended(server: Running) -> None:
    async with agent(server) as it, it.tts.stream() as stream:
        stream.push_text("Good morning, my name is Peter. How can ")
        events = [await anext(stream)]
        write(stream, "I help you today?")
        events += [event async for event in stream]
    assert word_error_rate(TEXT, transcribe(*audio(events))) <= 0.2


@pytest.mark.parametrize("text", ["🙂", "...", "[pause]"])
async def test_text_without_words(server: Running, text: str) -> None:
    """Without audio the plugin would raise."""
    async with agent(server) as it:
        pcm, rate = await it.say(text, conn_options=ONCE)
        assert 0 < len(pcm) / rate < 1
        async with it.tts.synthesize(text, conn_options=ONCE) as stream:
            pcm, rate = await hear(stream)
        assert 0 < len(pcm) / rate < 1


async def test_streams_at_once(server: Running) -> None:
    texts = ["I have seven red apples.", "The train leaves at night.", "My sister plays the piano."]
    async with agent(server) as it:
        for _ in range(2):
            for text, speech in zip(texts, await asyncio.gather(*map(it.say, texts)), strict=True):
                assert word_error_rate(text, transcribe(*speech)) <= 0.2
        assert it.connections == len(texts)


async def test_options_reach_the_server(server: Running) -> None:
    async with agent(server) as it:
        usual, rate = await it.say(TEXT)
        it.tts.update_options(
            voice_id=server.engine.info.voice_ids[1],
            speed=1.5,
            volume=-3.0,
            normalize_loudness=True,
            latency_mode="low",
            chunk_length=300,
            min_chunk_length=0,
            condition_on_previous_chunks=False,
            max_new_tokens=0,
            early_stop_threshold=0.5,
        )
        fast, _ = await it.say(TEXT)
        assert it.connections == 1
    assert len(fast) < 0.85 * len(usual)
    assert word_error_rate(TEXT, transcribe(fast, rate)) <= 0.3


async def test_an_interruption_in_mid_speech(server: Running) -> None:
    """A closed stream frees its slot, and the next one says its own text only."""
    async with agent(server) as it:
        stream = it.tts.stream()
        write(stream, OLD)
        await anext(stream)
        assert server.engine.open_streams == 1
        await stream.aclose()
        speech = await it.say(TEXT)
        assert word_error_rate(TEXT, transcribe(*speech)) <= 0.15
        await asyncio.to_thread(server.until_idle)


async def test_an_interruption_of_a_download(server: Running) -> None:
    async with agent(server) as it:
        stream = it.tts.synthesize(OLD)
        await anext(stream)
        await stream.aclose()
        await asyncio.to_thread(server.until_idle)


async def test_a_plugin_that_is_closed_in_mid_speech(server: Running) -> None:
    async with agent(server) as it:
        streams = [it.tts.stream() for _ in range(3)]
        for stream in streams:
            write(stream, OLD)
        await asyncio.gather(*map(anext, streams))
        assert server.engine.open_streams == 3
    await asyncio.to_thread(server.until_idle)


async def test_an_unknown_voice_is_an_error(server: Running) -> None:
    async with agent(server, voice_id="nobody") as it:
        with pytest.raises(APIStatusError):
            await it.say(TEXT, conn_options=ONCE)
        with pytest.raises(APIStatusError) as error:
            async with it.tts.synthesize(TEXT, conn_options=ONCE) as stream:
                await hear(stream)
        assert error.value.status_code == 400
        it.tts.update_options(voice_id=server.engine.info.voice_ids[0])
        assert word_error_rate(TEXT, transcribe(*await it.say(TEXT))) <= 0.15


@pytest.fixture
def small() -> Iterator[Running]:
    """A server with room for one."""
    for running in run_server(Settings(port=0, engine=EngineConfig(max_streams=1)), ToneModel):
        yield running
        running.until_idle()


async def test_a_full_server_is_tried_again(small: Running) -> None:
    refused = asyncio.Event()
    patient = APIConnectOptions(max_retry=100, retry_interval=0.1)
    async with agent(small, output_format="pcm") as it, LiveClient(small.live) as other:
        it.tts.on("error", lambda error: refused.set() if error.recoverable else None)
        await other.start(format="pcm")
        await other.send("text", text="a" * 300)  # half a minute, of which the server is ten seconds ahead
        await other.send("flush")
        await other.bytes_of(1.0, 44100)
        turn = asyncio.create_task(it.say("ten tones.", conn_options=patient))
        await asyncio.wait_for(refused.wait(), 30)
        await other.send("cancel")
        pcm, rate = await turn
    assert abs(len(pcm) / rate - 1.0) < 0.15
