"""A server whose engine is a speech endpoint: one that answers as a test says, and another parrotfish."""

from collections.abc import Iterator

import httpx
import numpy as np
import ormsgpack
import pytest

from engine import EngineConfig
from engine.audio import AudioStream, output_format
from engine.models.openai_speech import OpenAISpeechConfig, OpenAISpeechModel, discover
from tests.hearing import transcribe, word_error_rate
from tests.speech_stub import Answer, Gate, speech_stub, tone
from tests.transports.conftest import Running, run_server
from tests.transports.fish.live_client import LiveClient
from transports.settings import Settings

RATE = 24_000
TEXT = "The old sailor told us a long story about the storm. Then he went home and slept."


def front(config: OpenAISpeechConfig) -> Iterator[Running]:
    """A server with this endpoint as its engine."""
    settings = Settings(port=0, engine=EngineConfig(max_ahead=3600.0))
    yield from run_server(settings, lambda: OpenAISpeechModel(discover(config)))


class Script:
    """Answers with a tone, or whatever a test puts here."""

    def __init__(self) -> None:
        self.answer = Answer([tone(0.5)])

    def __call__(self, asked: object) -> Answer:
        return self.answer


@pytest.fixture(scope="module")
def script() -> Script:
    return Script()


@pytest.fixture(scope="module")
def stub(script: Script):
    with speech_stub(script) as stub:
        yield stub


@pytest.fixture(scope="module")
def stubbed(stub) -> Iterator[Running]:
    yield from front(OpenAISpeechConfig(stub.url, key="sk-upstream"))


@pytest.fixture(scope="module")
def relayed(server: Running) -> Iterator[Running]:
    """A server in front of another one, which is the OpenAI-compatible endpoint."""
    yield from front(OpenAISpeechConfig(f"{server.url}/v1"))


def pcm(data: bytes) -> np.ndarray:
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768


# -- another parrotfish -------------------------------------------------------------------------------


def test_a_parrotfish_tells_another_one_what_it_has(relayed: Running, server: Running) -> None:
    behind, in_front = server.engine.info, relayed.engine.info
    assert set(in_front.voice_ids) == set(behind.voice_ids)
    assert in_front.default_voice == behind.default_voice
    assert in_front.name == "tts-1"


def test_words_come_through_two_servers_over_http(relayed: Running) -> None:
    answer = httpx.post(
        f"{relayed.url}/v1/tts",
        json={"text": TEXT, "format": "pcm", "sample_rate": RATE, "reference_id": "otto"},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    assert word_error_rate(TEXT, transcribe(pcm(answer.content), RATE)) <= 0.1
    relayed.until_idle()


async def test_words_come_through_two_servers_over_the_live_socket(relayed: Running) -> None:
    async with LiveClient(relayed.live) as client:
        await client.start(format="pcm", sample_rate=RATE)
        for word in TEXT.split(" "):
            await client.send("text", text=word + " ")
        await client.send("stop")
        assert await client.finish() == "stop"
        assert word_error_rate(TEXT, transcribe(pcm(b"".join(client.heard)), RATE)) <= 0.1
    relayed.until_idle()


def test_speed_and_pauses_are_made_here(relayed: Running) -> None:
    def seconds(text: str, **fields: object) -> float:
        body = {"text": text, "format": "pcm", "sample_rate": RATE, **fields}
        return len(httpx.post(f"{relayed.url}/v1/tts", json=body, timeout=60).content) / 2 / RATE

    plain = seconds("I went home. Then I slept.")
    assert seconds("I went home. [pause 2s] Then I slept.") == pytest.approx(plain + 2, abs=0.6)
    assert seconds("I went home. Then I slept.", prosody={"speed": 2.0}) == pytest.approx(plain / 2, abs=0.4)


# -- one that answers as a test says ------------------------------------------------------------------


def test_a_client_of_http_that_goes_ends_the_request_behind(stubbed: Running, stub, script: Script) -> None:
    gate = Gate()
    script.answer = Answer([tone(1.0), gate, tone(1.0)])
    with httpx.stream(
        "POST", f"{stubbed.url}/v1/tts", json={"text": "Hello.", "format": "pcm"}, timeout=30
    ) as answer:
        assert next(answer.iter_bytes())
        assert gate.reached.wait(10)
    assert stub.aborted.acquire(timeout=10)
    stubbed.until_idle()


async def test_a_live_client_that_goes_ends_the_request_behind(
    stubbed: Running, stub, script: Script
) -> None:
    gate = Gate()
    script.answer = Answer([tone(1.0), gate, tone(1.0)])
    async with LiveClient(stubbed.live) as client:
        await client.start(format="pcm")
        await client.send("text", text="Hello there.")
        await client.send("flush")
        await client.bytes_of(0.5, 44_100)
        assert gate.reached.wait(10)
    assert stub.aborted.acquire(timeout=10)
    stubbed.until_idle()


async def test_who_interrupts_ends_the_request_behind_and_is_answered_anew(
    stubbed: Running, stub, script: Script
) -> None:
    gate = Gate()
    script.answer = Answer([tone(1.0), gate, tone(1.0)])
    async with LiveClient(stubbed.live) as client:
        await client.start(format="pcm", sample_rate=RATE)
        await client.send("text", text="Hello there.")
        await client.send("flush")
        await client.bytes_of(0.5, RATE)
        assert gate.reached.wait(10)
        await client.send("cancel")
        assert stub.aborted.acquire(timeout=10)
        while (await client.event())["event"] != "cancelled":
            pass
        script.answer = Answer([tone(0.7)])
        await client.start(format="pcm", sample_rate=RATE)
        await client.send("text", text="Once more.")
        await client.send("stop")
        assert await client.finish() == "stop"
        assert len(b"".join(client.heard)) == pytest.approx(0.7 * RATE * 2, abs=RATE / 50)
    stubbed.until_idle()


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (Answer([b'{"message": "no such voice"}'], 404), 500, "answered 404: no such voice"),
        (Answer([b'{"message": "key sk-upstream"}'], 401), 500, "does not accept the key"),
        (Answer([], 429, {"retry-after": "17"}), 503, "too busy"),
    ],
)
def test_what_goes_wrong_behind_is_told_in_front(
    stubbed: Running, script: Script, answer: Answer, status: int, told: str
) -> None:
    script.answer = answer
    got = httpx.post(f"{stubbed.url}/v1/tts", json={"text": "Hello."}, timeout=30)
    assert got.status_code == status
    assert told in got.json()["message"]
    assert "sk-upstream" not in got.text
    assert got.headers.get("retry-after") == ("17" if status == 503 else None)


async def test_a_failure_behind_finishes_a_live_utterance(stubbed: Running, script: Script) -> None:
    script.answer = Answer([b"RIFF0000WAVEfmt "], headers={"content-type": "audio/wav"})
    async with LiveClient(stubbed.live) as client:
        await client.start(format="pcm")
        await client.send("text", text="Hello.")
        await client.send("stop")
        assert await client.finish() == "error"
    stubbed.until_idle()


def spoken_with_recordings(server: Running) -> httpx.Response:
    """The answer to a request that brings the recordings of its voice."""
    stream = AudioStream(RATE, output_format("wav"))
    recording = stream.write(pcm(tone(2.0))) + stream.finish()
    request = {"text": "Hello.", "references": [{"audio": recording, "text": "Hi."}]}
    return httpx.post(
        f"{server.url}/v1/tts",
        content=ormsgpack.packb(request),
        headers={"Content-Type": "application/msgpack"},
        timeout=30,
    )


def test_recordings_are_refused_where_the_endpoint_takes_none(stubbed: Running) -> None:
    got = spoken_with_recordings(stubbed)
    assert got.status_code == 400
    assert (
        "stub-tts cannot learn a voice from recordings here; choose one of anna, ben" in got.json()["message"]
    )


def test_recordings_go_on_to_an_endpoint_that_clones(stub, script: Script) -> None:
    script.answer = Answer([tone(0.5)])
    for server in front(OpenAISpeechConfig(stub.url, cloning="all")):
        assert spoken_with_recordings(server).status_code == 200
        (reference,) = stub.asked[-1]["references"]
        assert reference["text"] == "Hi."
        assert reference["audio_path"].startswith("data:audio/wav;base64,")
