"""``/v1/audio/speech`` and ``/v1/models`` with OpenAI's own client, sync and async."""

import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI

from engine import ModelInfo, Voice
from engine.audio import decode, decode_g711, loudness
from tests.hearing import transcribe, word_error_rate
from tests.transports.conftest import Running
from tests.transports.fish.test_live import pitch
from transports.errors import Failure, RequestError, failure
from transports.openai import speech, tell
from transports.openai.voices import reference_id

TEXT = "The parrot repeats what it has heard."
FORMATS = {
    "mp3": ("audio/mpeg", 44_100),
    "opus": ("audio/ogg", 48_000),
    "aac": ("audio/aac", 44_100),
    "flac": ("audio/flac", 44_100),
    "wav": ("audio/wav", 24_000),
    "pcm": ("audio/pcm", 24_000),
    "mulaw": ("audio/basic", 8_000),
    "alaw": ("audio/x-alaw-basic", 8_000),
}


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[OpenAI]:
    with OpenAI(api_key="any", base_url=f"{server.url}/v1", max_retries=0) as client:
        yield client


@pytest.fixture
async def async_client(server: Running) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key="any", base_url=f"{server.url}/v1", max_retries=0) as client:
        yield client


def samples(data: bytes, format_: str) -> Any:
    if format_ == "pcm":
        return np.frombuffer(data, "<i2").astype(np.float32) / 32768
    if format_ in ("mulaw", "alaw"):
        return decode_g711(data, format_)
    audio, rate = decode(data)
    assert rate == FORMATS[format_][1]
    return audio


def speak(client: OpenAI, text: str = TEXT, **options: Any) -> Any:
    options = {"model": "tts-1", "voice": "alloy", "response_format": "wav"} | options
    return samples(client.audio.speech.create(input=text, **options).content, options["response_format"])


@pytest.mark.parametrize("format_", FORMATS)
def test_every_format(client: OpenAI, format_: Any) -> None:
    response = client.audio.speech.create(input=TEXT, model="tts-1", voice="alloy", response_format=format_)
    mime, rate = FORMATS[format_]
    assert response.response.headers["content-type"] == mime
    audio = samples(response.content, format_)
    assert word_error_rate(TEXT, transcribe(audio, rate)) <= 0.15


def test_the_default_is_mp3(client: OpenAI) -> None:
    response = client.audio.speech.create(input="Hello.", model="gpt-4o-mini-tts", voice="nova")
    assert response.response.headers["content-type"] == "audio/mpeg"
    assert len(decode(response.content)[0]) > 10_000


def test_the_body_is_sent_as_it_is_produced(client: OpenAI, server: Running) -> None:
    with client.audio.speech.with_streaming_response.create(
        input=TEXT * 40, model="tts-1", voice="alloy", response_format="pcm"
    ) as response:
        chunks = response.iter_bytes(4096)
        assert len(next(chunks)) == 4096
        assert server.engine.open_streams == 1


async def test_async_streaming(async_client: AsyncOpenAI) -> None:
    async with async_client.audio.speech.with_streaming_response.create(
        input=TEXT, model="tts-1-hd", voice="onyx", response_format="opus"
    ) as response:
        data = b"".join([chunk async for chunk in response.iter_bytes()])
    assert word_error_rate(TEXT, transcribe(samples(data, "opus"), 48_000)) <= 0.3


def test_events(server: Running) -> None:
    body = {"input": TEXT, "voice": "alloy", "stream_format": "sse", "response_format": "pcm"}
    events = []
    with httpx.stream("POST", f"{server.url}/v1/audio/speech", json=body, timeout=60) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        events = [orjson.loads(line[6:]) for line in response.iter_lines() if line.startswith("data: ")]
    *deltas, done = events
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    audio = samples(b"".join(base64.b64decode(event["audio"]) for event in deltas), "pcm")
    assert word_error_rate(TEXT, transcribe(audio, 24_000)) <= 0.15
    assert done["type"] == "speech.audio.done"
    assert done["usage"]["input_tokens"] == len(TEXT)


@pytest.mark.parametrize("speed", [0.25, 0.5, 2.0, 4.0])
def test_speed_over_its_whole_range(client: OpenAI, speed: float) -> None:
    text = f"{TEXT} {TEXT}"
    normal, other = speak(client, text), speak(client, text, speed=speed)
    assert len(normal) / len(other) == pytest.approx(speed, rel=0.25)
    assert abs(12 * np.log2(pitch(other) / pitch(normal))) < 1.5


def test_voices_differ_and_have_the_same_loudness(client: OpenAI) -> None:
    woman, man = speak(client, voice="alloy"), speak(client, voice="onyx")
    assert pitch(woman) > 1.4 * pitch(man)
    assert abs(loudness(woman, 24_000) - loudness(man, 24_000)) < 3


def test_our_own_voices_and_ids_of_made_ones(client: OpenAI) -> None:
    assert pitch(speak(client, voice="otto")) == pytest.approx(
        pitch(speak(client, voice={"id": "otto"})), rel=0.05
    )


def test_instructions_are_followed(client: OpenAI) -> None:
    plain, slow = (
        client.audio.speech.create(
            input=TEXT,
            model="gpt-4o-mini-tts",
            voice="alloy",
            response_format="wav",
            instructions=instructions,
        )
        for instructions in ("Speak like a pirate.", "Speak in a sad, slow voice.")
    )
    assert len(slow.content) > 1.15 * len(plain.content)
    assert "instructions" in plain.response.headers["x-parrotfish-note"]
    assert "x-parrotfish-note" not in slow.response.headers


def test_fish_audios_address_for_it(server: Running) -> None:
    body = {"input": "Hello.", "voice": "alloy", "model": "s2-pro", "response_format": "wav"}
    response = httpx.post(f"{server.url}/compat/v1/audio/speech", json=body)
    assert len(decode(response.content)[0]) > 10_000


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"voice": "nobody"}, "voice"),
        ({"voice": {"id": 3}}, "voice"),
        ({"input": ""}, "input"),
        ({"input": 5}, "input"),
        ({"speed": 4.5}, "speed"),
        ({"response_format": "wma"}, "response_format"),
        ({"stream_format": "smoke"}, "stream_format"),
    ],
)
def test_what_cannot_be_is_told_as_openai_does(client: OpenAI, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.audio.speech.create(**{"input": TEXT, "model": "tts-1", "voice": "alloy"} | fields)
    error = caught.value
    assert (error.type, error.param, error.status_code) == ("invalid_request_error", param, 400)
    assert error.body["message"].startswith(f"{param}: got ")  # type: ignore[index]


def test_a_body_that_is_none(server: Running) -> None:
    for content, kind, status in ((b"{", "application/json", 400), (b"\x80", "application/msgpack", 415)):
        response = httpx.post(
            f"{server.url}/v1/audio/speech", content=content, headers={"content-type": kind}
        )
        assert (response.status_code, response.json()["error"]["type"]) == (status, "invalid_request_error")
    assert httpx.post(f"{server.url}/v1/audio/speech", json={}).json()["error"]["param"] == "input"
    assert httpx.get(f"{server.url}/v1/audio/speech").status_code == 405
    assert "error" in httpx.get(f"{server.url}/v1/audio/nothing").json()


def test_models(client: OpenAI, server: Running) -> None:
    names = [model.id for model in client.models.list()]
    assert names[0] == server.engine.info.name
    assert "tts-1" in names
    assert client.models.retrieve("tts-1").owned_by == "parrotfish"
    with pytest.raises(NotFoundError) as caught:
        client.models.retrieve("gpt-4")
    assert caught.value.param == "model"


def test_voices_are_listed_the_default_one_first(server: Running) -> None:
    listed = httpx.get(f"{server.url}/v1/audio/voices").json()["voices"]
    info = server.engine.info
    assert listed[0]["id"] == info.default_voice
    assert {voice["id"]: voice["name"] for voice in listed} == {voice.id: voice.name for voice in info.voices}


def test_a_voice_of_openais_is_always_the_same_one_of_another_model(server: Running) -> None:
    voices = tuple(Voice(name, name, "") for name in ("b", "a", "c"))
    info = ModelInfo("any", 24_000, 2400, 1, -20.0, voices, "a", ("en",))
    asked = {name: reference_id(name, info, {}) for name in ("alloy", "ash", "ballad", "cedar")}
    assert asked == {"alloy": "a", "ash": "b", "ballad": "c", "cedar": "a"}
    assert reference_id("c", info, {}) == "c"
    assert reference_id("alloy", info, {"alloy": "c"}) == "alloy"
    assert reference_id("unheard-of", info, {}) == "unheard-of"
    alone = ModelInfo("any", 24_000, 2400, 1, -20.0, voices[:1], "b", ("en",))
    assert reference_id("verse", alone, {}) is None


def test_what_may_be_tried_again_says_when() -> None:
    with pytest.raises(RequestError) as caught, speech._our_names():
        raise RequestError(
            "reference_id: 'x' is still being trained", 503, field="reference_id", retry_after=5
        )
    told = failure(caught.value)
    assert (told.message, told.headers) == ("voice: 'x' is still being trained", {"Retry-After": "5"})


def test_who_has_no_money_is_told_so_as_openai_does() -> None:
    response = tell(Failure("no credit left", 402))
    assert response.status_code == 429
    assert response.headers["x-should-retry"] == "false"
    assert orjson.loads(response.body)["error"]["code"] == "insufficient_quota"
