"""``POST /v1/tts`` over real HTTP, with httpx where the official client hides what happens."""

import base64
from typing import Any

import httpx
import numpy as np
import orjson
import ormsgpack
import pytest

from engine.audio import decode, decode_g711, loudness
from tests.hearing import transcribe, word_error_rate
from tests.transports.conftest import Running
from tests.transports.fish.sentences import HELD
from tests.transports.fish.test_live import BAD_REQUESTS, pitch
from tests.transports.voices.recordings import recording

TEXT = "The parrot repeats what it has heard."


def post(server: Running, body: Any, kind: str = "application/json") -> httpx.Response:
    data = (
        body
        if isinstance(body, bytes)
        else {"application/json": orjson.dumps}.get(kind, ormsgpack.packb)(body)
    )
    return httpx.post(f"{server.url}/v1/tts", content=data, headers={"content-type": kind}, timeout=60)


def speech(server: Running, **fields: Any) -> np.ndarray:  # type: ignore[type-arg]
    response = post(server, {"text": TEXT, "format": "wav", "sample_rate": 24000} | fields)
    assert response.status_code == 200, response.text
    return decode(response.content)[0]


@pytest.mark.parametrize("kind", ["application/json", "application/msgpack"])
@pytest.mark.parametrize(
    ("format_", "mime"),
    [
        ("mp3", "audio/mpeg"),
        ("opus", "audio/ogg"),
        ("wav", "audio/wav"),
        ("pcm", "audio/pcm"),
        ("mulaw", "audio/basic"),
        ("alaw", "audio/x-alaw-basic"),
    ],
)
def test_formats_and_bodies(server: Running, kind: str, format_: str, mime: str) -> None:
    response = post(server, {"text": TEXT, "format": format_}, kind)
    assert response.status_code == 200
    assert response.headers["content-type"] == mime
    if format_ == "pcm":
        audio, rate = np.frombuffer(response.content, "<i2").astype(np.float32) / 32768, 44100
    elif format_ in ("mulaw", "alaw"):
        audio, rate = decode_g711(response.content, format_), 8000
    else:
        audio, rate = decode(response.content)
    assert word_error_rate(TEXT, transcribe(audio, rate)) <= 0.15


def test_the_body_is_sent_as_it_is_produced(server: Running) -> None:
    """The first bytes are here while the engine still holds the stream."""
    body = {"text": TEXT * 40, "format": "wav"}
    with httpx.stream("POST", f"{server.url}/v1/tts", json=body, timeout=60) as response:
        chunks = response.iter_raw()  # held: when it goes, so does the connection
        first = next(chunks)
        assert first.startswith(b"RIFF")
        assert server.engine.open_streams == 1


def test_a_client_that_leaves_frees_its_slot(server: Running) -> None:
    body = {"text": TEXT * 200, "format": "pcm"}
    with httpx.stream("POST", f"{server.url}/v1/tts", json=body, timeout=60) as response:
        next(response.iter_raw())
    server.until_idle()


def test_speed_changes_length_and_not_pitch(server: Running) -> None:
    """Every word is understood, at a pitch within a semitone; a tape at that speed would be twelve off."""
    text = " ".join(HELD[:5])
    normal, fast, slow = (speech(server, text=text, prosody={"speed": speed}) for speed in (1.0, 2.0, 0.5))
    assert len(normal) / len(fast) == pytest.approx(2.0, rel=0.25)
    assert len(slow) / len(normal) == pytest.approx(2.0, rel=0.25)
    for audio in (fast, slow):
        assert abs(12 * np.log2(pitch(audio) / pitch(normal))) < 1
        assert word_error_rate(text, transcribe(audio, 24000)) <= 0.12


def test_volume_is_in_decibels_and_never_clips(server: Running) -> None:
    base, quiet, loud = (
        speech(server, prosody={"volume": volume, "normalize_loudness": False}) for volume in (0, -10, 20)
    )
    assert loudness(quiet, 24000) == pytest.approx(loudness(base, 24000) - 10, abs=0.5)
    assert loudness(loud, 24000) > loudness(base, 24000) + 6
    assert np.abs(loud).max() < 0.95


def test_loudness_is_normalised(server: Running) -> None:
    voices = server.engine.info.voice_ids
    levels = [loudness(speech(server, reference_id=voice), 24000) for voice in voices]
    assert max(levels) - min(levels) < 4
    assert sum(levels) / len(levels) == pytest.approx(-18, abs=2)


@pytest.mark.parametrize("rate", [8000, 16000, 24000, 32000, 44100])
def test_sample_rates(server: Running, rate: int) -> None:
    response = post(server, {"text": "Hello.", "format": "wav", "sample_rate": rate})
    audio, got = decode(response.content)
    assert got == rate
    assert 0.5 < len(audio) / rate < 2.5


def test_every_field_of_the_api_is_accepted(server: Running) -> None:
    fields = {
        "text": TEXT,
        "chunk_length": 300,
        "min_chunk_length": 0,
        "format": "mp3",
        "sample_rate": 32000,
        "mp3_bitrate": 64,
        "opus_bitrate": -1000,
        "reference_id": None,
        "normalize": False,
        "latency": "low",
        "prosody": {"speed": 1, "volume": 0, "normalize_loudness": True},
        "top_p": 0,
        "temperature": 0,
        "max_new_tokens": 0,
        "repetition_penalty": 1,
        "condition_on_previous_chunks": False,
        "early_stop_threshold": 0,
        "features": ["quality-guard", "of tomorrow"],
        "something_new": {"from": 2027},
    }
    response = post(server, fields)
    assert response.status_code == 200, response.text
    assert decode(response.content)[1] == 32000


@pytest.mark.parametrize("nested", [False, True])
def test_references_are_accepted_and_what_becomes_of_them_is_said(server: Running, nested: bool) -> None:
    audio = recording("opus")
    for kind, value in (
        ("application/msgpack", audio),
        ("application/json", base64.b64encode(audio).decode()),
    ):
        reference = {"audio": value, "text": "what is said"}
        body = {"text": TEXT, "references": [[reference], [reference]] if nested else [reference]}
        response = post(server, body, kind)
        assert response.status_code == 200, response.text
        assert "cannot clone" in response.headers["x-parrotfish-note"]


@pytest.mark.parametrize(("wrong", "field"), BAD_REQUESTS, ids=lambda value: str(value))
def test_a_wrong_field_is_a_400_that_names_it(server: Running, wrong: dict[str, Any], field: str) -> None:
    response = post(server, {"text": TEXT} | wrong, "application/msgpack")
    assert response.status_code == 400
    error = response.json()
    assert set(error) == {"message", "status"}
    assert error["status"] == 400
    assert field in error["message"]


@pytest.mark.parametrize(
    ("body", "kind", "status", "names"),
    [
        ({}, "application/json", 400, "text"),
        ({"text": ""}, "application/json", 400, "text"),
        ({"text": 5}, "application/json", 400, "text"),
        ({"text": None}, "application/json", 400, "text"),
        ([1, 2], "application/json", 400, "body"),
        (b"{", "application/json", 400, "body"),
        (b"\xc1", "application/msgpack", 400, "body"),
        (b"", "application/msgpack", 400, "body"),
        (b"text=hello", "application/x-www-form-urlencoded", 415, "Content-Type"),
        (b"x" * 100_001, "application/json", 413, "100000"),
    ],
)
def test_bad_bodies(server: Running, body: Any, kind: str, status: int, names: str) -> None:
    response = post(server, body, kind)
    assert response.status_code == status
    assert response.json()["status"] == status
    assert names in response.json()["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/tts", 405),
        ("DELETE", "/v1/tts", 405),
        ("GET", "/v1/nothing", 404),
        ("POST", "/v2/tts", 404),
    ],
)
def test_unknown_paths_and_wrong_methods(server: Running, method: str, path: str, status: int) -> None:
    response = httpx.request(method, server.url + path)
    assert response.status_code == status
    assert response.json()["status"] == status
    assert path in response.json()["message"]


@pytest.mark.parametrize("text", ["   ", "🙂", "...", "\n"])
@pytest.mark.parametrize("format_", ["wav", "mp3", "opus"])
def test_text_without_words_is_a_short_silence(server: Running, text: str, format_: str) -> None:
    response = post(server, {"text": text, "format": format_})
    assert response.status_code == 200
    audio, rate = decode(response.content)
    assert 0 < len(audio) / rate < 1.5
    assert np.abs(audio).max() < 0.02


def test_the_api_describes_itself(server: Running) -> None:
    described = httpx.get(f"{server.url}/openapi.json").json()
    paths = described["paths"]
    schema = paths["/v1/tts"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    body = described["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    assert body["properties"]["chunk_length"]["maximum"] == 300
