"""``/v1/audio/transcriptions`` with OpenAI's own client."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI, BadRequestError, OpenAI

from engine.audio import AudioStream, output_format
from engine.speech import Pcm
from tests.engine.models.speaking import RATE, speak
from tests.hearing import word_error_rate
from tests.transports.conftest import Running, run_server
from transports.settings import Settings

TEXT = "We should leave before the rain starts, or we will be wet."


@cache
def spoken() -> Pcm:
    return speak(TEXT).pcm


@cache
def audio() -> bytes:
    stream = AudioStream(RATE, output_format("mp3"))
    return stream.write(spoken()) + stream.finish()


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    yield from run_server(Settings(port=0, data=tmp_path_factory.mktemp("data")))


@pytest.fixture(scope="module")
def client(hearing: Running) -> Iterator[OpenAI]:
    with OpenAI(api_key="any", base_url=f"{hearing.url}/v1", max_retries=0) as client:
        yield client


def transcribed(client: OpenAI, **options: Any) -> Any:
    file = options.pop("file", ("speech.mp3", audio()))
    return client.audio.transcriptions.create(file=file, model="whisper-1", **options)


def test_json_and_text(client: OpenAI) -> None:
    answer = transcribed(client, language="en")
    assert word_error_rate(TEXT, answer.text) == 0
    assert answer.usage.seconds == pytest.approx(len(spoken()) / RATE, abs=0.1)
    assert transcribed(client, response_format="text") == f"{answer.text}\n"


def test_verbose_json(client: OpenAI) -> None:
    answer = transcribed(
        client, response_format="verbose_json", timestamp_granularities=["segment"], prompt="Weather."
    )
    assert answer.language == "en"
    assert answer.duration == pytest.approx(len(spoken()) / RATE, abs=0.1)
    (segment,) = answer.segments
    assert segment.text == answer.text
    assert 0 <= segment.start < segment.end <= answer.duration


def test_subtitles(client: OpenAI) -> None:
    text = transcribed(client).text
    srt, vtt = (transcribed(client, response_format=kind) for kind in ("srt", "vtt"))
    time = r"00:00:0\d[.,]\d{3}"
    assert re.fullmatch(rf"1\n{time} --> {time}\n{re.escape(text)}\n\n", srt)
    assert re.fullmatch(rf"WEBVTT\n\n{time} --> {time}\n{re.escape(text)}\n\n", vtt)
    assert "," in srt.split("\n")[1]
    assert "," not in vtt.split("\n")[2]


async def test_async_and_streamed(hearing: Running) -> None:
    async with AsyncOpenAI(api_key="any", base_url=f"{hearing.url}/v1", max_retries=0) as client:
        stream = await client.audio.transcriptions.create(
            file=("speech.mp3", audio()), model="gpt-4o-transcribe", stream=True
        )
        events = [event async for event in stream]
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert word_error_rate(TEXT, events[-1].text) == 0  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"language": "zh"}, "language"),
        ({"response_format": "diarized_json"}, "response_format"),
        (
            {"timestamp_granularities": ["word"], "response_format": "verbose_json"},
            "timestamp_granularities.0",
        ),
        ({"file": ("speech.mp3", b"nothing of the kind")}, "file"),
    ],
    ids=str,
)
def test_what_cannot_be(client: OpenAI, options: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        transcribed(client, **options)
    assert (caught.value.param, caught.value.type) == (param, "invalid_request_error")


def test_a_form_without_a_file(hearing: Running) -> None:
    url = f"{hearing.url}/v1/audio/transcriptions"
    assert httpx.post(url, files={"model": (None, "whisper-1")}).json()["error"]["param"] == "file"
    assert httpx.post(url, json={"file": "x"}).status_code == 415


def test_the_recogniser_is_among_the_models(client: OpenAI) -> None:
    assert "whisper-1" in [model.id for model in client.models.list()]
