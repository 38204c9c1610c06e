"""A model of S2-Pro's family behind the real wires. Its weights are random: it says noise, made as speech is."""

import threading
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from fishaudio import FishAudio
from fishaudio.types import FlushEvent, TTSConfig

from engine import EngineConfig, Segment, SpeechModel, StreamId, StreamOptions
from engine.audio import AudioStream, decode, loudness, output_format
from engine.models.dual_ar import DualAROptions, load_dual_ar
from tests.transports.conftest import Running, run_server
from tests.transports.fish.live_client import LiveClient
from transports.settings import Settings

TEXT = "The parrot repeats what it has heard."

Said = list[tuple[Segment, StreamOptions]]


@pytest.fixture(scope="module")
def said() -> Said:
    """What the model was given to speak, and how."""
    return []


@pytest.fixture(scope="module")
def babbling(checkpoint: Path, voice_folder: Path, said: Said) -> Iterator[Running]:
    """A server with the model, not held back to real time."""

    def make() -> SpeechModel:
        options = DualAROptions(
            device="cpu",
            max_streams=6,
            kv_memory=1 << 27,
            context=1024,
            voices=voice_folder,
            warm_voices=("low",),
        )
        model = load_dual_ar(checkpoint, options)
        prefill = model.prefill

        def noted(stream: StreamId, segment: Segment, options: StreamOptions) -> None:
            said.append((segment, options))
            prefill(stream, segment, options)

        model.prefill = noted  # type: ignore[method-assign]
        return model

    config = EngineConfig(max_streams=6, max_ahead=3600.0)
    before = set(threading.enumerate())  # of the server that other tests share
    yield from run_server(Settings(port=0, engine=config), make)
    left = [
        thread.name for thread in set(threading.enumerate()) - before if thread.name.startswith("parrotfish")
    ]
    assert not left, "threads are left behind"


@pytest.fixture(autouse=True)
def _all_is_given_back(babbling: Running, said: Said) -> Iterator[None]:
    said.clear()
    yield
    babbling.until_idle()


@pytest.fixture(scope="module")
def client(babbling: Running) -> Iterator[FishAudio]:
    client = FishAudio(api_key="any", base_url=babbling.url)
    yield client
    client.close()


def post(server: Running, path: str = "/v1/tts", **fields: Any) -> httpx.Response:
    body = {"text": TEXT, "format": "wav"} | fields
    return httpx.post(server.url + path, json=body, timeout=60, trust_env=False)


def speech(data: bytes, format_: str = "wav") -> np.ndarray:  # type: ignore[type-arg]
    """The decoded noise, which is as long and as loud as speech."""
    if format_ == "pcm":
        audio, rate = np.frombuffer(data, "<i2").astype(np.float32) / 32768, 44_100
    else:
        audio, rate = decode(data)
        assert rate == (48_000 if format_ == "opus" else 44_100)
    assert 1 < len(audio) / rate < 25
    assert -30 < loudness(audio, rate) < -10
    return audio


# -- sound --------------------------------------------------------------------------------------------


def test_several_streams_at_once_in_every_format_and_voice(babbling: Running, said: Said) -> None:
    wanted = [("wav", None), ("pcm", "low"), ("opus", "high"), ("mp3", "default")]
    with ThreadPoolExecutor(len(wanted)) as threads:
        responses = list(
            threads.map(lambda request: post(babbling, format=request[0], reference_id=request[1]), wanted)
        )
    heard = {}
    for (format_, _), response in zip(wanted, responses, strict=True):
        assert response.status_code == 200, response.text
        heard[format_] = speech(response.content, format_)
    assert {options.voices for _, options in said} == {("default",), ("low",), ("high",)}
    power = np.abs(np.fft.rfft(heard["wav"])) ** 2
    assert (
        power[len(power) * 13 // 22 :].sum() > 1e-3 * power.sum()
    )  # above 13 kHz, where 24 kHz have nothing


def test_the_sdk_speaks_live(client: FishAudio) -> None:
    words = (word + " " for word in TEXT.split())
    config = TTSConfig(format="opus", latency="normal", reference_id="low")
    speech(b"".join(client.tts.stream_websocket(words, config=config)), "opus")


def test_without_a_seed_no_two_streams_say_the_same(babbling: Running) -> None:
    with ThreadPoolExecutor(2) as threads:
        one, two = threads.map(lambda _: speech(post(babbling, reference_id="high").content), range(2))
    both = min(len(one), len(two))
    assert not np.allclose(one[:both], two[:both], atol=0.02)


def test_a_seed_says_the_same_again_whoever_else_speaks(babbling: Running) -> None:
    alone = speech(post(babbling, reference_id="high", seed=7).content)
    with ThreadPoolExecutor(3) as threads:
        again, other, _ = threads.map(
            lambda fields: speech(post(babbling, reference_id="high", **fields).content),
            ({"seed": 7}, {"seed": 8}, {}),
        )
    assert len(again) == len(alone)
    np.testing.assert_allclose(again, alone, atol=0.01)
    both = min(len(alone), len(other))
    assert not np.allclose(other[:both], alone[:both], atol=0.02)


def test_every_way_of_drawing_speaks(babbling: Running) -> None:
    ways: list[dict[str, Any]] = [
        {"temperature": 0},
        {"top_p": 0, "repetition_penalty": 1},
        {"temperature": 1, "top_p": 1, "max_new_tokens": 0, "normalize": False},
    ]
    with ThreadPoolExecutor(len(ways)) as threads:
        for response in threads.map(lambda fields: post(babbling, **fields), ways):
            speech(response.content)


# -- the live socket ----------------------------------------------------------------------------------


async def test_a_flush_speaks_a_cancel_ends_and_the_socket_goes_on(babbling: Running) -> None:
    async with LiveClient(babbling.live) as live:
        await live.start(format="pcm", reference_id="low")
        await live.send("text", text="I was about to")
        await live.send("flush")
        await live.bytes_of(0.3, 44_100)
        await live.send("cancel")
        while (await live.event())["event"] != "cancelled":
            pass
        babbling.until_idle()
        await live.start(format="wav", reference_id="high")
        await live.send("text", text=TEXT)
        await live.send("stop")
        assert await live.finish() == "stop"
        speech(b"".join(live.heard))


def test_streams_speak_on_with_and_without_their_past(client: FishAudio, said: Said) -> None:
    def speak(condition: bool) -> None:
        def text() -> Iterator[Any]:
            yield "One. "
            yield FlushEvent()
            yield "Two."

        config = TTSConfig(format="wav", condition_on_previous_chunks=condition)
        speech(b"".join(client.tts.stream_websocket(text(), config=config)))

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(speak, (True, False)))
    for condition in (True, False):
        own = [segment.text for segment, options in said if options.condition_on_previous is condition]
        assert own == ["One.", "Two."]


# -- text ---------------------------------------------------------------------------------------------


def events(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    return [orjson.loads(line.removeprefix("data: ")) for line in response.text.split("\n\n") if line]


def times(events: Sequence[dict[str, Any]]) -> list[tuple[str, float, float]]:
    """The words of all chunks, and when they are heard."""
    last = {event["chunk_seq"]: event for event in events if event["alignment"]}
    return [
        (word["text"], word["start"] + offset, word["end"] + offset)
        for event in last.values()
        for offset in [event["chunk_audio_offset_sec"]]
        for word in event["alignment"]["segments"]
    ]


def test_tags_and_digits_reach_the_model_and_words_are_timed_in_their_order(
    babbling: Running, said: Said
) -> None:
    text = "[laughing] **Das** kostet 3,50 €, am 5. März. [pause 1.5s] Ja! <|im_end|>"
    heard = events(post(babbling, "/v1/tts/stream/with-timestamp", text=text, format="pcm"))
    spoken = " ".join(segment.text for segment, _ in said)
    assert spoken.startswith("[laughing] Das kostet 3,50 €, am 5. März. [pause 1.5s] Ja!")
    assert "<|" not in spoken
    words = times(heard)
    assert [word for word, _, _ in words][:7] == ["Das", "kostet", "3,50", "am", "5.", "März.", "Ja!"]
    moments = [moment for _, start, end in words for moment in (start, end)]
    assert moments == sorted(moments)
    assert moments[-1] <= sum(len(event["audio_base64"]) for event in heard) * 3 / 4 / 2 / 44_100 + 0.1


def test_speakers_have_the_voices_of_the_list(babbling: Running, said: Said) -> None:
    text = "<|speaker:0|>Hello there, my friend. <|speaker:1|>Hello yourself."
    heard = events(
        post(
            babbling, "/v1/tts/stream/with-timestamp", text=text, format="opus", reference_id=["low", "high"]
        )
    )
    assert [word for word, _, _ in times(heard)] == ["Hello", "there,", "my", "friend.", "Hello", "yourself."]
    assert {options.voices for _, options in said} == {("low", "high")}
    assert " ".join(segment.text for segment, _ in said) == "Hello there, my friend. Hello yourself."
    assert {segment.text: segment.speaker for segment, _ in said}["Hello yourself."] == 1
    assert said[0][0].speaker == 0


# -- errors -------------------------------------------------------------------------------------------


async def test_an_error_of_the_model_reaches_the_socket(babbling: Running) -> None:
    async with LiveClient(babbling.live) as live:
        await live.start(format="pcm", max_new_tokens=5)
        await live.send("text", text=TEXT)
        await live.send("stop")
        assert await live.finish() == "error"
        assert any("max_new_tokens: the text was not finished after 5 frames" in log for log in live.logs)


def test_an_error_after_some_speech_breaks_the_body_off(babbling: Running) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        post(babbling, format="pcm", max_new_tokens=5)


def test_voices_that_leave_no_room_for_speech_are_the_callers_to_change(babbling: Running) -> None:
    several = ["low", "high"] * 16
    response = post(babbling, reference_id=several)
    assert response.status_code == 400
    assert response.json()["message"].startswith("reference_id: the voice")
    assert "use shorter recordings" in response.json()["message"]


@pytest.mark.parametrize("seconds", [40, 60])
def test_a_recording_that_leaves_no_room_for_speech_is_refused_by_name(
    babbling: Running, seconds: int
) -> None:
    """It would be short enough for a model of a larger context."""
    stream = AudioStream(24_000, output_format("opus"))
    tone = 0.3 * np.sign(np.sin(2 * np.pi * 150 * np.arange(seconds * 24_000) / 24_000))
    audio = stream.write(tone.astype(np.float32)) + stream.finish()
    response = post(babbling, references=[{"audio": b64encode(audio).decode(), "text": "Long."}])
    assert response.status_code == 400, response.text
    assert response.json()["message"].startswith("references: the voice")
    assert "use shorter recordings" in response.json()["message"]


async def test_live_such_voices_end_the_utterance_only(babbling: Running) -> None:
    async with LiveClient(babbling.live) as live:
        await live.start(reference_id=["low", "high"] * 16)
        await live.send("text", text=TEXT)
        await live.send("stop")
        assert await live.finish() == "error"
        assert any("use shorter recordings" in log for log in live.logs)
        await live.start(format="wav", reference_id="low")
        await live.send("text", text=TEXT)
        await live.send("stop")
        assert await live.finish() == "stop"


def test_a_voice_that_is_not_there_is_named_with_those_that_are(babbling: Running) -> None:
    response = post(babbling, reference_id="nobody")
    assert response.status_code == 400
    assert "default, high, low" in response.json()["message"]
