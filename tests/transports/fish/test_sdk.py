"""The official SDK, fish-audio-sdk 1.3.0: new and legacy module, sync and async, over HTTP and WebSocket."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import fish_audio_sdk as legacy
import numpy as np
import pytest
from fishaudio import AsyncFishAudio, FishAudio
from fishaudio.exceptions import APIError, WebSocketError
from fishaudio.types import FlushEvent, Prosody, ReferenceAudio, TTSConfig
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.audio import decode, loudness
from tests.hearing import transcribe, word_error_rate
from tests.transports.conftest import Running
from tests.transports.fish.sentences import HELD
from tests.transports.voices.recordings import recording

TEXT = "The parrot repeats what it has heard."
FORMATS = [
    {"format": "pcm", "sample_rate": 16000},
    {"format": "pcm"},
    *({"format": "wav", "sample_rate": rate} for rate in (8000, 16000, 24000, 32000, 44100)),
    *(
        {"format": "mp3", "sample_rate": rate, "mp3_bitrate": b}
        for rate in (32000, 44100)
        for b in (64, 128, 192)
    ),
    *({"format": "opus", "opus_bitrate": bitrate} for bitrate in (-1000, 24, 32, 48, 64)),
]


def audible(data: bytes, config: dict[str, Any]) -> tuple[Any, int]:
    """The decoded audio, checked for rate, length and level."""
    if config["format"] == "pcm":
        audio = np.frombuffer(data, "<i2").astype(np.float32) / 32768
        rate = config.get("sample_rate") or 44100
    else:
        audio, rate = decode(data)
        assert rate == (48000 if config["format"] == "opus" else config.get("sample_rate") or 44100)
    assert 1.5 < len(audio) / rate < 4
    assert -23 < loudness(audio, rate) < -14
    return audio, rate


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[FishAudio]:
    client = FishAudio(api_key="any", base_url=server.url)
    yield client
    client.close()


@pytest.fixture
async def async_client(server: Running) -> AsyncIterator[AsyncFishAudio]:
    client = AsyncFishAudio(api_key="any", base_url=server.url)
    yield client
    await client.close()


@pytest.mark.parametrize("config", FORMATS, ids=str)
def test_convert_in_every_format(client: FishAudio, config: dict[str, Any]) -> None:
    audio, rate = audible(client.tts.convert(text=TEXT, config=TTSConfig(**config)), config)
    assert word_error_rate(TEXT, transcribe(audio, rate)) <= 0.15


@pytest.mark.parametrize("config", FORMATS[::3], ids=str)
def test_live_in_every_format(client: FishAudio, config: dict[str, Any]) -> None:
    words = (word + " " for word in TEXT.split())
    data = b"".join(client.tts.stream_websocket(words, config=TTSConfig(**config)))
    audio, rate = audible(data, config)
    assert word_error_rate(TEXT, transcribe(audio, rate)) <= 0.3


def test_stream(client: FishAudio) -> None:
    data = b"".join(client.tts.stream(text=TEXT, format="opus", latency="normal", speed=1.2))
    assert 1.0 < len(decode(data)[0]) / 48000 < 3


def test_options(client: FishAudio, server: Running) -> None:
    config = TTSConfig(
        format="wav",
        sample_rate=24000,
        prosody=Prosody(speed=1.5, volume=-6),
        temperature=0.0,
        top_p=0.0,
        chunk_length=300,
        min_chunk_length=0,
        max_new_tokens=0,
        repetition_penalty=1.0,
        condition_on_previous_chunks=False,
        early_stop_threshold=0.0,
    )
    voice = server.engine.info.voice_ids[1]
    data = client.tts.convert(text=TEXT, config=config, reference_id=voice, model="s1")
    assert 0.8 < len(decode(data)[0]) / 24000 < 3


def test_references_do_not_fail(client: FishAudio) -> None:
    reference = ReferenceAudio(audio=recording("opus"), text="said before")
    assert client.tts.convert(text=TEXT, references=[reference])


def test_live_flush_events(client: FishAudio) -> None:
    def text() -> Iterator[Any]:
        yield "This is the first part"
        yield FlushEvent()
        yield "and this is the second part."

    data = b"".join(client.tts.stream_websocket(text(), format="wav"))
    heard = transcribe(*decode(data))
    assert word_error_rate("This is the first part and this is the second part.", heard) <= 0.2


def test_an_error_of_the_api_is_the_sdk_s_error(client: FishAudio) -> None:
    with pytest.raises(APIError, match="reference_id: got 'nobody'") as error:
        client.tts.convert(text=TEXT, reference_id="nobody")
    assert error.value.status == 400
    with pytest.raises(WebSocketError):
        list(client.tts.stream_websocket(iter(["Hello"]), reference_id="nobody"))


def test_a_text_iterator_that_raises_frees_the_engine(client: FishAudio, server: Running) -> None:
    def text() -> Iterator[str]:
        yield "Hello there. "
        raise ZeroDivisionError

    stream = client.tts.stream_websocket(text(), format="pcm")
    assert next(stream)
    stream.close()
    server.until_idle()


async def test_async_convert(async_client: AsyncFishAudio) -> None:
    config = {"format": "opus"}
    audible(await async_client.tts.convert(text=TEXT, format="opus"), config)


async def test_async_live(async_client: AsyncFishAudio) -> None:
    async def words() -> AsyncIterator[str]:
        for word in TEXT.split():
            yield word + " "

    chunks = [chunk async for chunk in async_client.tts.stream_websocket(words(), format="mp3")]
    audio, rate = audible(b"".join(chunks), {"format": "mp3"})
    assert word_error_rate(TEXT, transcribe(audio, rate)) <= 0.3


@pytest.mark.parametrize("format_", ["wav", "pcm", "mp3"])
def test_legacy_http_and_socket(server: Running, format_: Any) -> None:
    session = legacy.Session("any", base_url=server.url)
    request = legacy.TTSRequest(text=TEXT, format=format_)
    audible(b"".join(session.tts(request)), {"format": format_})
    with legacy.WebSocketSession("any", base_url=server.url) as socket:
        request = legacy.TTSRequest(text="", format=format_)
        audible(b"".join(socket.tts(request, (word + " " for word in TEXT.split()))), {"format": format_})


async def test_legacy_async_socket(server: Running) -> None:
    async def words() -> AsyncIterator[str]:
        for word in TEXT.split():
            yield word + " "

    async with legacy.AsyncWebSocketSession("any", base_url=server.url) as socket:
        chunks = [chunk async for chunk in socket.tts(legacy.TTSRequest(text="", format="mp3"), words())]
    audible(b"".join(chunks), {"format": "mp3"})


def test_legacy_errors(server: Running) -> None:
    session = legacy.Session("any", base_url=server.url)
    with pytest.raises(
        legacy.HttpCodeErr
    ) as error:  # it streams, and has not read the message when it raises
        list(session.tts(legacy.TTSRequest(text=TEXT, reference_id="nobody")))
    assert error.value.status == 400
    with (
        legacy.WebSocketSession("any", base_url=server.url) as socket,
        pytest.raises(legacy.WebSocketErr),
    ):
        list(socket.tts(legacy.TTSRequest(text="", reference_id="nobody"), iter(["Hello"])))


def test_twenty_sentences_are_understood(client: FishAudio) -> None:
    """Word error rate over the held sentences as a recogniser hears them: at most 8 %."""
    heard = [transcribe(*decode(client.tts.convert(text=text, format="opus"))) for text in HELD]
    words = [len(text.split()) for text in HELD]
    errors = sum(
        word_error_rate(text, ear) * count for text, ear, count in zip(HELD, heard, words, strict=True)
    )
    assert errors / sum(words) <= 0.08, heard


def test_twenty_sentences_are_understood_live(client: FishAudio) -> None:
    """The same over the socket, word by word, in one stream."""
    words = (word + " " for text in HELD for word in text.split())
    data = b"".join(client.tts.stream_websocket(words, format="opus"))
    assert word_error_rate(" ".join(HELD), transcribe(*decode(data))) <= 0.08


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_any_split_into_tokens_speaks_the_same_words(client: FishAudio, data: st.DataObject) -> None:
    text = "Dr. Brown paid $3.14 at 9:30, and left. Was version 1.2.3 any good?"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text) - 1), max_size=25)))
    tokens = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    audio, rate = decode(b"".join(client.tts.stream_websocket(iter(tokens), format="wav")))
    heard = transcribe(audio, rate)
    assert word_error_rate("Doctor Brown paid", " ".join(heard.split()[:3])) <= 0.34, heard
    assert "any good" in heard.lower()
    assert 5 < len(audio) / rate < 11
