"""The live socket, with a bare client that does what the known ones do, and worse."""

import asyncio
from typing import Any

import httpx
import numpy as np
import ormsgpack
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine.audio import Law, decode, decode_g711
from tests.hearing import transcribe, word_error_rate
from tests.tones import ToneModel
from tests.transports.conftest import Running, run_server
from tests.transports.fish.live_client import LiveClient
from transports.fish.live import MIN_PCM_BYTES, PcmPackets
from transports.settings import Settings

SENTENCE = "The old sailor told us a long story about the storm."


def pcm(chunks: list[bytes]) -> Any:
    return np.frombuffer(b"".join(chunks), "<i2").astype(np.float32) / 32768


async def test_start_text_stop(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.start(format="opus")
        for word in SENTENCE.split(" "):
            await client.send("text", text=word + " ")
        await client.send("stop")
        assert await client.finish() == "stop"
        audio, rate = decode(b"".join(client.heard))
        assert rate == 48000
        assert word_error_rate(SENTENCE, transcribe(audio, rate)) <= 0.1


async def test_many_flushes_to_a_start_are_one_container(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.start(format="wav", sample_rate=24000)
        sizes = []
        for text in ("First I went home.", "Then I ate a fish.", "Then I slept."):
            await client.send("text", text=text)
            await client.send("flush")
        await client.send("stop")
        assert await client.finish() == "stop"
        sizes = [chunk.count(b"RIFF") for chunk in client.heard]
        assert sizes[0] == 1
        assert sum(sizes) == 1
        audio, rate = decode(b"".join(client.heard))
        heard = transcribe(audio, rate)
        assert word_error_rate("First I went home. Then I ate a fish. Then I slept.", heard) <= 0.15


async def test_after_finish_the_socket_takes_another_start(server: Running) -> None:
    async with LiveClient(server.live) as client:
        for format_, magic in (("wav", b"RIFF"), ("opus", b"OggS"), ("wav", b"RIFF")):
            await client.start(format=format_)
            await client.send("text", text="Hello again.")
            await client.send("stop")
            assert await client.finish() == "stop"
            data = b"".join(client.heard)
            assert data.startswith(magic)
            assert 0.5 < len(decode(data)[0]) / decode(data)[1] < 3


@pytest.mark.parametrize("law", ["mulaw", "alaw"])
async def test_a_telephones_audio_is_understood(server: Running, law: Law) -> None:
    async with LiveClient(server.live) as client:
        await client.start(format=law, text=SENTENCE)
        await client.send("stop")
        assert await client.finish() == "stop"
        heard = decode_g711(b"".join(client.heard), law)
        assert word_error_rate(SENTENCE, transcribe(heard, 8000)) <= 0.15


async def test_flush_speaks_at_once_what_no_sentence_ends(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.start(format="pcm", sample_rate=24000)
        await client.send("text", text="I was about to")
        await client.send("flush")
        await client.bytes_of(0.3, 24000)
        await client.send("stop")
        assert await client.finish() == "stop"


async def test_text_in_the_start_request_is_spoken(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.start(format="pcm", text="Hello from the start.")
        await client.send("stop")
        assert await client.finish() == "stop"
        assert np.abs(pcm(client.heard)).max() > 0.05


async def test_the_language_model_may_write_for_as_long_as_it_likes(server: Running) -> None:
    """A first phrase is heard while the sentence is still unfinished, and nothing has been flushed."""
    async with LiveClient(server.live) as client:
        await client.start(format="pcm", sample_rate=16000)
        await client.send("text", text="She walked slowly down the road to the")
        await client.bytes_of(0.5, 16000)
        await client.send("text", text=" village.")
        await client.send("stop")
        assert await client.finish() == "stop"


async def test_speakers_have_different_voices_in_one_stream(server: Running) -> None:
    async with LiveClient(server.live) as client:
        voices = server.engine.info.voice_ids
        await client.start(format="pcm", sample_rate=24000, reference_id=[voices[0], voices[1]])
        await client.send("text", text="<|speaker:0|>Good morning to you.<|speaker:1|>Good morning to you.")
        await client.send("stop")
        assert await client.finish() == "stop"
        audio = pcm(client.heard)
        first, second = audio[: len(audio) // 2], audio[len(audio) // 2 :]
        for half in (first, second):
            assert "good morning to you" in transcribe(half, 24000).lower()
        assert abs(pitch(first) / pitch(second) - 1) > 0.15


def pitch(audio: Any, rate: int = 24000) -> float:
    """Median pitch by autocorrelation of the loud frames, in Hz."""
    pitches = []
    for start in range(0, len(audio) - 1200, 600):
        frame = audio[start : start + 1200]
        if np.sqrt((frame**2).mean()) > 0.03:
            lags = np.correlate(frame, frame, "full")[1199:]
            lag = 60 + int(lags[60:340].argmax())
            if lags[lag] > 0.5 * lags[0]:
                pitches.append(rate / lag)
    return float(np.median(pitches))


# -- what the known clients do ----------------------------------------------------------------------


async def test_sdk_default_start_with_all_its_nulls(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.start()
        await client.send("text", text="Hello.")
        await client.send("stop")
        assert await client.finish() == "stop"
        assert 0.5 < len(decode(b"".join(client.heard))[0]) / 44100 < 3


async def test_pipecat_turns_on_one_start_then_stop_and_close(server: Running) -> None:
    """One start for the whole conversation, text and flush for each sentence, all audio in big PCM messages."""
    async with LiveClient(server.live) as client:
        await client.send(
            "start",
            request={
                "text": "",
                "sample_rate": 24000,
                "latency": "balanced",
                "format": "pcm",
                "normalize": True,
                "prosody": {"speed": 1.0, "volume": 0},
                "reference_id": None,
            },
        )
        turns = ("How are you today?", "I am very well.", "That is good news.")
        for number, turn in enumerate(turns, start=1):
            await client.send("text", text=turn)
            await client.send("flush")
            await client.bytes_of(0.5 * number, 24000)
        await client.send("stop")
        assert await client.finish() == "stop"
        assert all(len(chunk) > 1024 and len(chunk) % 2 == 0 for chunk in client.heard)
        assert word_error_rate(" ".join(turns), transcribe(pcm(client.heard), 24000)) <= 0.1


async def test_pipecat_interrupts_by_closing_and_coming_back(server: Running) -> None:
    for _ in range(3):
        async with LiveClient(server.live) as client:
            await client.start(format="pcm", sample_rate=24000)
            await client.send("text", text=SENTENCE * 20)
            await client.send("flush")
            await client.bytes_of(0.2, 24000)
        await asyncio.to_thread(server.until_idle)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100])
async def test_pipecat_drops_no_message(server: Running, rate: int) -> None:
    async with LiveClient(server.live) as client:
        await client.start(format="pcm", sample_rate=rate)
        for word in ("Hi.", "A rather long sentence comes now, with a tail.", "Ok"):
            await client.send("text", text=word)
            await client.send("flush")
        await client.send("stop")
        assert await client.finish() == "stop"
        assert min(map(len, client.heard)) > 1024


async def test_livekit_start_with_its_defaults_and_pooled_socket(server: Running) -> None:
    start = {
        "text": "",
        "chunk_length": 100,
        "format": "wav",
        "sample_rate": 24000,
        "mp3_bitrate": 64,
        "opus_bitrate": 64000,
        "references": [],
        "reference_id": "933563129e564b19a115bedd57b7406a",
        "normalize": True,
        "latency": "balanced",
        "prosody": None,
        "top_p": 0.7,
        "temperature": 0.7,
        "features": ["quality-guard"],
    }
    async with LiveClient(server.live) as client:
        for _ in range(3):
            client.heard.clear()
            await client.send("start", request=start)
            for sentence in ("Hello there. ", "How are you? "):
                await client.send("text", text=sentence)
                await client.send("flush")
            await client.send("stop")
            assert await client.finish() == "stop"
            data = b"".join(client.heard)
            assert data.count(b"RIFF") == 1
            assert decode(data)[1] == 24000


async def test_the_socket_answers_pings_while_it_speaks(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.start(format="mp3")
        await client.send("text", text=SENTENCE * 10)
        await client.send("stop")
        for _ in range(3):
            await asyncio.wait_for(await client.socket.ping(), 5)
        assert await client.finish() == "stop"


# -- errors -----------------------------------------------------------------------------------------

BAD_REQUESTS = [
    ({"format": "flac"}, "format"),
    ({"format": 3}, "format"),
    ({"sample_rate": 48000}, "sample_rate"),
    ({"format": "opus", "sample_rate": 24000}, "sample_rate"),
    ({"mp3_bitrate": 100}, "mp3_bitrate"),
    ({"opus_bitrate": 1}, "opus_bitrate"),
    ({"chunk_length": 99}, "chunk_length"),
    ({"chunk_length": "200"}, "chunk_length"),
    ({"temperature": 1.5}, "temperature"),
    ({"top_p": -0.1}, "top_p"),
    ({"prosody": {"speed": 3.0}}, "prosody.speed"),
    ({"prosody": {"volume": "loud"}}, "prosody.volume"),
    ({"latency": "fast"}, "latency"),
    ({"reference_id": "nobody"}, "reference_id"),
    ({"reference_id": 5}, "reference_id"),
    ({"normalize": "yes"}, "normalize"),
    ({"references": [{"text": "no audio"}]}, "references"),
    ({"repetition_penalty": float("nan")}, "repetition_penalty"),
]


@pytest.mark.parametrize(("wrong", "field"), BAD_REQUESTS, ids=lambda value: str(value))
async def test_a_wrong_field_is_named_and_the_next_start_works(
    server: Running, wrong: dict[str, Any], field: str
) -> None:
    async with LiveClient(server.live) as client:
        await client.start(**wrong)
        assert await client.finish() == "error"
        assert field in client.logs[0]
        await client.start(format="pcm")
        await client.send("text", text="Fine.")
        await client.send("stop")
        assert await client.finish() == "stop"


async def test_text_before_start(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.send("text", text="Hello?")
        assert await client.finish() == "error"
        assert "start" in client.logs[0]


async def test_start_while_an_utterance_is_open(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.start()
        await client.start()
        assert await client.finish() == "error"


@pytest.mark.parametrize(
    "message",
    [b"", b"\xc1", b"\x93\x01\x02\x03", b"\x81\xa5event", ormsgpack.packb({"event": 7})],
)
async def test_what_is_not_the_protocol(server: Running, message: bytes) -> None:
    async with LiveClient(server.live) as client:
        await client.socket.send(message)
        assert await client.finish() == "error"
        assert "message" in client.logs[0]


async def test_a_text_frame(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.socket.send('{"event": "start"}')
        assert await client.finish() == "error"
        assert "binary" in client.logs[0]


async def test_an_unknown_event_is_told_and_ignored(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.start(format="pcm")
        await client.send("dance")
        await client.send("text", text="Still here.")
        await client.send("stop")
        assert await client.finish() == "stop"
        assert "dance" in client.logs[0]


async def test_text_that_is_no_string(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.start()
        await client.send("text", text=5)
        assert await client.finish() == "error"
        assert "text" in client.logs[0]


async def test_a_message_over_the_limit_is_answered(server: Running) -> None:
    limit = server.services.settings.max_message_bytes
    async with LiveClient(server.live) as client:
        await client.start()
        await client.send("text", text="a" * limit)
        assert await client.finish() == "error"
        assert str(limit) in client.logs[0]


async def test_a_message_far_over_the_limit_closes_its_socket_only(server: Running) -> None:
    async with LiveClient(server.live) as other, connect(server.live) as socket:
        await other.start(format="pcm")
        await socket.send(b"a" * (3 * server.services.settings.max_message_bytes))
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        await other.send("text", text="Undisturbed.")
        await other.send("stop")
        assert await other.finish() == "stop"


@pytest.mark.parametrize("text", ["   ", "\n\n", "🙂👍", "...", "?!", "—", "。", "\u200b", "\x00"])
async def test_text_without_words_ends_cleanly_with_some_audio(server: Running, text: str) -> None:
    async with LiveClient(server.live) as client:
        await client.start(format="pcm", sample_rate=24000)
        await client.send("text", text=text)
        await client.send("flush")
        await client.send("stop")
        assert await client.finish() == "stop"
        assert sum(map(len, client.heard)) > 1024


async def test_one_client_s_errors_do_not_disturb_another(server: Running) -> None:
    async with LiveClient(server.live) as good, LiveClient(server.live) as bad:
        await good.start(format="pcm", sample_rate=24000)
        for word in SENTENCE.split(" "):
            await bad.start(format="flac")
            await bad.socket.send(b"\xc1")
            await good.send("text", text=word + " ")
        await good.send("stop")
        assert await good.finish() == "stop"
        assert word_error_rate(SENTENCE, transcribe(pcm(good.heard), 24000)) <= 0.1


async def test_streams_at_once_do_not_mix(server: Running) -> None:
    texts = ["I have seven red apples.", "The train leaves at night.", "My sister plays the piano."] * 3

    async def one(text: str) -> Any:
        async with LiveClient(server.live) as client:
            await client.start(format="pcm", sample_rate=16000)
            await client.send("text", text=text)
            await client.send("stop")
            assert await client.finish() == "stop"
            return pcm(client.heard)

    for text, audio in zip(texts, await asyncio.gather(*map(one, texts)), strict=True):
        assert word_error_rate(text, transcribe(audio, 16000)) <= 0.2


async def test_a_page_of_another_site_may_not_use_the_socket(server: Running) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        async with connect(server.live, origin="https://evil.example"):  # type: ignore[arg-type]
            pass
    assert refusal.value.response.status_code == 403
    async with connect(server.live, origin=server.url):  # type: ignore[arg-type]
        pass


async def test_a_page_of_an_allowed_site_may() -> None:
    settings = Settings(port=0, allowed_origins=("https://friend.example",))
    for running in run_server(settings, ToneModel):
        async with connect(running.live, origin="https://friend.example"):  # type: ignore[arg-type]
            pass
        async with httpx.AsyncClient(base_url=running.url) as client:
            headers = {"Origin": "https://friend.example", "Access-Control-Request-Method": "POST"}
            preflight = await client.options("/v1/tts", headers=headers)
        assert preflight.headers["access-control-allow-origin"] == "https://friend.example"


async def test_start_needs_no_text(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.send("start", request={"format": "pcm"})
        await client.send("text", text="Hello.")
        await client.send("stop")
        assert await client.finish() == "stop"


def test_pcm_packets_lose_nothing_and_are_never_small() -> None:
    packets, data = PcmPackets(), bytes(range(256)) * 40
    out = [packets.push(data[i : i + 640], silence=False) for i in range(0, len(data), 640)]
    out.append(packets.push(b"", silence=True))
    sent = [message for message in out if message]
    assert b"".join(sent) == data
    assert min(map(len, sent)) >= MIN_PCM_BYTES
    assert packets.push(b"ab", silence=True) == b"ab".ljust(MIN_PCM_BYTES, b"\0")
    assert packets.push(b"", silence=True) == b""
