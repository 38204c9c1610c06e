"""What we add to the live protocol: contexts, cancel, flushed, alignment, and the endpoints with timestamps."""

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from websockets.exceptions import ConnectionClosed

from engine.audio import decode
from tests.hearing import transcribe, word_error_rate
from tests.tones import ToneModel
from tests.transports.conftest import Running, run_server
from tests.transports.fish.live_client import SDK_START, LiveClient
from tests.transports.fish.sentences import HELD
from transports.settings import Settings

RATE = 24_000
PCM = SDK_START | {"format": "pcm", "sample_rate": RATE}
STORY = " ".join(HELD)


def pcm(data: bytes) -> Any:
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768


async def test_contexts_speak_side_by_side_each_its_own_text(server: Running) -> None:
    texts = {"a": HELD[0], "b": HELD[1], "c": HELD[2]}
    heard = dict.fromkeys(texts, b"")
    async with LiveClient(server.live) as client:
        for context, text in texts.items():
            await client.send("start", request=PCM, context=context)
            await client.send("text", text=text, context=context)
            await client.send("stop", context=context)
        finished = 0
        while finished < len(texts):
            event = await client.event()
            if event["event"] == "audio":
                heard[event["context"]] += event["audio"]
            elif event["event"] == "finish":
                assert event["reason"] == "stop"
                finished += 1
    for context, text in texts.items():
        assert word_error_rate(text, transcribe(pcm(heard[context]), RATE)) <= 0.15


async def test_a_burst_of_what_is_refused_is_answered_to_its_end(server: Running) -> None:
    """And what is spoken meanwhile goes on."""
    names = [str(number) for number in range(1500)]
    async with LiveClient(server.live) as client:
        await client.start(format="pcm")
        await client.send("text", text=HELD[0])

        async def burst() -> None:
            for name in names:
                await client.send("start", request=PCM, context=name)

        sending = asyncio.create_task(burst())
        refused: set[str] = set()
        while len(refused) < len(names) - 15:  # which are open, and the default one
            told = await client.event()
            if told["event"] == "log":
                refused.add(told["context"])
        await sending
        await client.send("stop")
        while (told := await client.event())["event"] != "finish" or "context" in told:
            pass
        assert told["reason"] == "stop"


async def test_who_provokes_too_much_at_once_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    model = ToneModel()
    for running in run_server(Settings(port=0), lambda: model):
        model.gate.clear()
        async with LiveClient(running.live) as client:
            await client.start(format="pcm")
            await client.send("text", text="One.")
            for _ in range(1500):
                await client.send("flush")
            await client.send("text", text="Two.")
            await client.send("stop")
            await client.send("nonsense")
            while (await client.event())["event"] != "log":  # all before it has been read
                pass
            model.gate.set()
            with pytest.raises(ConnectionClosed) as closed:
                await client.bytes_of(3600, 44_100)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    assert "a client is cut off" in caplog.text


async def test_the_default_context_is_never_named(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.start(format="pcm")
        await client.send("text", text="Hello.")
        await client.send("stop")
        while (event := await client.event())["event"] != "finish":
            assert "context" not in event
        assert "context" not in event


async def test_an_error_of_one_context_leaves_the_others_alone(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.send("start", request=PCM, context="good")
        await client.send("start", request=PCM | {"format": "flac"}, context="bad")
        await client.send("text", text="x", context="never opened")
        await client.send("text", text=HELD[3], context="good")
        await client.send("stop", context="good")
        finishes: dict[str, str] = {}
        while "good" not in finishes:
            event = await client.event()
            if event["event"] == "finish":
                finishes[event["context"]] = event["reason"]
    assert finishes == {"bad": "error", "never opened": "error", "good": "stop"}


@pytest.fixture(scope="module")
def toned() -> Iterator[Running]:
    """A server whose model cannot speak whatever is unspeakable."""
    yield from run_server(Settings(port=0), ToneModel)


@pytest.mark.parametrize("context", ["bad", None])
async def test_what_cannot_be_spoken_ends_its_context_alone(toned: Running, context: str | None) -> None:
    named = {"context": context} if context else {}
    async with LiveClient(toned.live) as client:
        await client.send("start", request=PCM, context="good")
        await client.send("start", request=PCM, **named)
        await client.send("text", text="unspeakable", **named)
        await client.send("stop", **named)
        assert await client.finish() == "error"
        await client.send("start", request=PCM, **named)  # the socket is still good for it
        await client.send("text", text="hello", **named)
        await client.send("stop", **named)
        assert await client.finish() == "stop"
        await client.send("text", text="hello", context="good")
        await client.send("stop", context="good")
        assert await client.finish() == "stop"


async def test_the_only_utterance_of_a_socket_takes_it_along(toned: Running) -> None:
    """Who names no context may have opened it for a whole call, and has to be told that nothing is open."""
    async with LiveClient(toned.live) as client:
        await client.start(format="pcm")
        await client.send("text", text="unspeakable")
        await client.send("flush")
        assert await client.finish() == "error"
        with pytest.raises(ConnectionClosed) as closed:
            await client.event()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011


@pytest.fixture(scope="module")
def forgetful() -> Iterator[Running]:
    yield from run_server(Settings(port=0, context_seconds=0.2), ToneModel)


async def test_who_lies_idle_with_his_only_utterance_is_hung_up_on(forgetful: Running) -> None:
    async with LiveClient(forgetful.live) as client:
        await client.start(format="pcm")
        assert await client.finish() == "error"
        with pytest.raises(ConnectionClosed) as closed:
            await client.event()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1011, "nothing was sent for too long")


async def test_who_names_contexts_keeps_his_socket(forgetful: Running) -> None:
    async with LiveClient(forgetful.live) as client:
        await client.send("start", request=PCM, context="idle")
        assert await client.finish() == "error"
        await client.send("start", request=PCM, context="next")
        await client.send("text", text="hello", context="next")
        await client.send("stop", context="next")
        assert await client.finish() == "stop"


@pytest.mark.parametrize("context", ["", 5, "x" * 101, ["a"]])
async def test_a_context_that_is_no_name(server: Running, context: Any) -> None:
    async with LiveClient(server.live) as client:
        await client.send("start", request=PCM, context=context)
        assert await client.finish() == "error"
        assert "context" in client.logs[0]


async def test_cancel_is_immediate_and_says_what_was_heard(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.send("start", request=PCM)
        await client.send("text", text=STORY)
        await client.send("flush")
        await client.bytes_of(3.0, RATE)
        await client.send("played", seconds=2.0)
        await client.send("cancel")
        while (event := await client.event())["event"] != "cancelled":
            pass
        assert event["heard_seconds"] == pytest.approx(
            2.0, abs=1.0
        )  # it went on playing until the cancel came
        heard = STORY[: event["heard_characters"]]
        assert heard.endswith(event["last_word"])
        assert 10 < len(heard) < 70
        assert server.engine.open_streams == 0
        # The next turn speaks its own text and nothing else.
        client.heard.clear()
        await client.send("start", request=PCM)
        await client.send("text", text=HELD[5])
        await client.send("stop")
        assert await client.finish() == "stop"
        assert word_error_rate(HELD[5], transcribe(pcm(b"".join(client.heard)), RATE)) <= 0.15


async def test_cancel_before_the_first_sound(server: Running) -> None:
    async with LiveClient(server.live) as client:
        for _ in range(10):
            await client.send("start", request=PCM)
            await client.send("text", text=STORY)
            await client.send("flush")
            await client.send("cancel")
            while (await client.event())["event"] != "cancelled":
                pass
        await client.send("cancel")
        assert (await client.event())["event"] == "log"


async def test_the_turn_after_a_cancel_is_heard_though_it_did_not_wait(server: Running) -> None:
    async with LiveClient(server.live) as client:
        for _ in range(8):
            await client.send("start", request=PCM)
            await client.send("text", text=STORY)
            await client.bytes_of(0.3, RATE)
            await client.send("cancel")
            await client.send("start", request=PCM)
            await client.send("text", text="Now we talk of apples.")
            await client.send("stop")
            while (await client.event())["event"] != "cancelled":
                pass
            client.heard.clear()
            assert await client.finish() == "stop"
            assert sum(map(len, client.heard)) / 2 / RATE > 1.0
            client.heard.clear()


async def test_the_turn_after_an_error_is_heard_though_it_did_not_wait(server: Running) -> None:
    async with LiveClient(server.live) as client:
        for _ in range(8):
            await client.start(format="flac")
            await client.send("start", request=PCM)
            await client.send("text", text="Now we talk of apples.")
            await client.send("stop")
            assert await client.finish() == "error"
            client.heard.clear()
            assert await client.finish() == "stop"
            assert sum(map(len, client.heard)) / 2 / RATE > 1.0


async def test_flushed_comes_behind_the_audio_of_its_text(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.send("start", request=PCM, events=["flushed"])
        for sentence in HELD[:3]:
            client.heard.clear()
            await client.send("text", text=sentence)
            await client.send("flush")
            while (await client.event())["event"] != "flushed":
                pass
            assert word_error_rate(sentence, transcribe(pcm(b"".join(client.heard)), RATE)) <= 0.15


async def test_alignment_for_those_who_ask(server: Running) -> None:
    text = "It costs $3.14, and Dr. Smith paid."
    async with LiveClient(server.live) as client:
        await client.send("start", request=PCM, events=["alignment"])
        await client.send("text", text=text)
        await client.send("stop")
        words: dict[float, dict[str, Any]] = {}
        while (event := await client.event())["event"] != "finish":
            if event["event"] == "alignment":
                words |= {word["start"]: word for word in event["segments"]}
        seconds = sum(map(len, client.heard)) / 2 / RATE
    assert [word["text"] for _, word in sorted(words.items())] == text.split()
    ends = [word["end"] for _, word in sorted(words.items())]
    assert ends == sorted(ends)
    assert ends[-1] <= seconds


@pytest.mark.parametrize("events", [["nonsense"], "flushed", 5, [None]])
async def test_events_that_do_not_exist(server: Running, events: Any) -> None:
    async with LiveClient(server.live) as client:
        await client.send("start", request=PCM, events=events)
        assert await client.finish() == "error"
        assert "events" in client.logs[0]


@pytest.mark.parametrize("seconds", [-1, "one", None, float("nan"), True])
async def test_played_needs_seconds(server: Running, seconds: Any) -> None:
    async with LiveClient(server.live) as client:
        await client.start(format="pcm")
        await client.send("played", seconds=seconds)
        assert await client.finish() == "error"
        assert "seconds" in client.logs[0]


# -- timestamps -------------------------------------------------------------------------------------


def onsets(audio: Any, rate: int) -> list[float]:
    """When speech sets in after at least 100 ms of silence, in seconds."""
    step = rate // 100
    loud = np.sqrt((audio[: len(audio) // step * step].reshape(-1, step) ** 2).mean(axis=1)) > 0.01
    return [i / 100 for i in range(len(loud)) if loud[i] and not loud[max(i - 10, 0) : i].any()]


def check_alignment(chunks: dict[int, dict[str, Any]], text: str, audio: Any, rate: int) -> None:
    """Words are the text's own, in order, inside the audio, and set in where speech does."""
    words = []
    for _, chunk in sorted(chunks.items()):
        assert chunk["content"] in text
        offset = chunk["chunk_audio_offset_sec"]
        for word in chunk["alignment"]["segments"]:
            assert word["end"] <= chunk["alignment"]["audio_duration"] + 0.05
            words.append((word["text"], offset + word["start"], offset + word["end"]))
    assert [word for word, _, _ in words] == text.split()
    starts = [start for _, start, _ in words]
    assert starts == sorted(starts)
    assert words[-1][2] <= len(audio) / rate
    # After a silence, a word begins: the nearest one must do so within 80 ms.
    errors = [min(abs(start - onset) for start in starts) for onset in onsets(audio, rate)]
    assert len(errors) >= 3
    assert np.mean(np.array(errors) <= 0.08) >= 0.95, errors


async def test_live_with_timestamps(server: Running) -> None:
    text = " ".join(HELD[:6])
    async with LiveClient(server.live + "/with-timestamp") as client:
        await client.send("start", request=PCM)
        for word in text.split(" "):
            await client.send("text", text=word + " ")
        await client.send("stop")
        chunks: dict[int, dict[str, Any]] = {}
        while (event := await client.event())["event"] != "finish":
            if event["event"] == "audio" and event["alignment"]:
                chunks[event["chunk_seq"]] = event
        assert event["time"] > 0
    check_alignment(chunks, text, pcm(b"".join(client.heard)), RATE)


def test_server_sent_events_with_timestamps(server: Running) -> None:
    text = " ".join(HELD[6:12])
    body = {"text": text, "format": "opus"}
    data, chunks = b"", {}
    with httpx.stream(
        "POST", f"{server.url}/v1/tts/stream/with-timestamp", json=body, timeout=60
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        for line in response.iter_lines():
            if not line:
                continue
            assert line.startswith("data: ")
            event = orjson.loads(line.removeprefix("data: "))
            data += base64.b64decode(event["audio_base64"])
            if event["alignment"]:
                chunks[event["chunk_seq"]] = event
    audio, rate = decode(data)
    check_alignment(chunks, text, audio, rate)


def test_timestamps_and_bad_requests(server: Running) -> None:
    url = f"{server.url}/v1/tts/stream/with-timestamp"
    response = httpx.post(url, json={"text": "Hello.", "format": "flac"})
    assert response.status_code == 400
    assert "format" in response.json()["message"]


# -- what it sounds like ----------------------------------------------------------------------------


@pytest.mark.parametrize(("latency", "whole"), [("normal", True), ("balanced", False), ("low", False)])
def test_who_asks_for_prosody_hears_whole_sentences_from_the_first_on(
    server: Running, latency: str, whole: bool
) -> None:
    first = "When the rain had stopped, the children went out into the garden to play with the dog."
    body = {"text": f"{first} It was wet.", "latency": latency, "format": "pcm"}
    response = httpx.post(f"{server.url}/v1/tts/stream/with-timestamp", json=body, timeout=60)
    events = [orjson.loads(line[6:]) for line in response.text.split("\n") if line]
    assert (events[0]["content"] == first) is whole
    assert first.startswith(events[0]["content"])


async def test_a_streamed_text_is_as_long_as_the_same_in_one_piece(server: Running) -> None:
    async with httpx.AsyncClient(timeout=60) as http:
        response = await http.post(f"{server.url}/v1/tts", json={"text": STORY, "format": "wav"})
    whole = decode(response.content)
    async with LiveClient(server.live) as client:
        await client.start(format="wav")
        for word in STORY.split(" "):
            await client.send("text", text=word + " ")
            await asyncio.sleep(0)
        await client.send("stop")
        assert await client.finish() == "stop"
    streamed = decode(b"".join(client.heard))
    assert len(streamed[0]) == pytest.approx(len(whole[0]), rel=0.1)


async def test_tags_are_heard_and_never_read(server: Running) -> None:
    async def speak(text: str) -> Any:
        async with LiveClient(server.live) as client:
            await client.send("start", request=PCM)
            await client.send("text", text=text)
            await client.send("stop")
            assert await client.finish() == "stop"
            return pcm(b"".join(client.heard))

    plain = await speak("Come in and sit down. We have to talk.")
    tagged = await speak(
        "[whispers] Come in [laughing] and sit down. [pause 1.5s] (serious) We have to talk."
    )
    heard = transcribe(tagged, RATE).lower()
    assert word_error_rate("Come in and sit down. We have to talk.", heard) <= 0.25, heard
    assert len(tagged) / RATE == pytest.approx(len(plain) / RATE + 1.5, abs=0.7)


# -- shutdown ---------------------------------------------------------------------------------------


async def test_whom_a_shutdown_ends_is_told() -> None:
    for running in run_server(Settings(port=0, grace_seconds=0.0)):
        async with LiveClient(running.live) as client:
            await client.start(format="pcm")
            await client.send("text", text=STORY)
            await client.send("flush")
            await client.bytes_of(0.5, 44100)
            running.interrupt()
            assert await client.finish() == "error"
            assert "shutting down" in client.logs[-1]
