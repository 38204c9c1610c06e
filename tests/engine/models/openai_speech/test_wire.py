"""What is asked of an endpoint and how its answers are understood: all that needs no endpoint."""

import base64
import io
import json
import wave

import httpx
import numpy as np
import pytest

from engine import Reference, Sampling, SpeechBusy, SpeechError, StreamOptions
from engine.models.openai_speech import OpenAISpeechConfig
from engine.models.openai_speech.body import encoded, speech_body
from engine.models.openai_speech.pcm import PcmReader, answered_rate
from engine.models.openai_speech.refusal import refusal, retry_after

URL = "http://localhost:8000/v1"


def body(config: OpenAISpeechConfig, options: StreamOptions = StreamOptions(("anna",)), **more):  # noqa: B008
    return json.loads(speech_body(config, "Hello.", "anna", more.pop("speed", 1.0), options, **more))


# -- requests -----------------------------------------------------------------------------------------


def test_a_request_asks_for_a_stream_of_pcm_whichever_server_it_is() -> None:
    assert body(OpenAISpeechConfig(URL, "m")) == {
        "model": "m",
        "input": "Hello.",
        "voice": "anna",
        "response_format": "pcm",
        "stream_format": "audio",
        "stream": True,
    }


def test_openai_gets_no_field_that_it_does_not_know() -> None:
    assert "stream" not in body(OpenAISpeechConfig("https://api.openai.com/v1", "m"))


def test_fields_are_added_replaced_and_left_out() -> None:
    fields = {"instructions": "Calmly.", "stream_format": None, "response_format": "pcm16"}
    asked = body(OpenAISpeechConfig(URL, "m", fields=fields))
    assert asked["instructions"] == "Calmly."
    assert asked["response_format"] == "pcm16"
    assert "stream_format" not in asked


def test_speed_and_sampling_are_for_those_who_take_them() -> None:
    options = StreamOptions(("anna",), sampling=Sampling(0.5, 0.6, 1.1, 256, seed=7))
    plain = body(OpenAISpeechConfig(URL, "m"), options, speed=1.5)
    assert not {"speed", "temperature", "seed"} & plain.keys()
    rich = body(OpenAISpeechConfig(URL, "m", speeds=(0.25, 4.0), sampling=True), options, speed=1.5)
    assert rich["speed"] == 1.5
    expected = {"temperature": 0.5, "top_p": 0.6, "repetition_penalty": 1.1, "max_new_tokens": 256, "seed": 7}
    assert {name: rich[name] for name in expected} == expected
    none = StreamOptions(("anna",), sampling=Sampling(max_new_tokens=0))
    assert not {"seed", "max_new_tokens"} & body(OpenAISpeechConfig(URL, "m", sampling=True), none).keys()


def test_recordings_travel_as_wav_in_data_urls() -> None:
    pcm = np.sin(np.arange(16_000) / 10).astype(np.float32)
    (item,) = body(OpenAISpeechConfig(URL, "m"), references=encoded([Reference(pcm, 16_000, 'Say "hi".')]))[
        "references"
    ]
    assert item["text"] == 'Say "hi".'
    kind, _, data = item["audio_path"].partition(",")
    assert kind == "data:audio/wav;base64"
    with wave.open(io.BytesIO(base64.b64decode(data))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        sent = np.frombuffer(file.readframes(16_000), "<i2") / 32767
    assert np.abs(sent - pcm).max() < 1e-3


def test_recordings_have_a_limit_together() -> None:
    long = Reference(np.zeros(31 * 8_000, np.float32), 8_000, "")
    encoded([long])
    with pytest.raises(SpeechError, match="last 62 s; expected at most 60 s"):
        encoded([long, long])


def test_a_password_in_the_url_and_a_key_are_not_shown() -> None:
    config = OpenAISpeechConfig("http://user:geheim@host:1/v1", key="sk-geheim")
    assert config.place == "http://***@host:1/v1"
    assert "geheim" not in config.place
    assert "sk-geheim" not in repr(config)


# -- answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "rate"),
    [
        ({}, 24_000),
        ({"content-type": "audio/pcm"}, 24_000),
        ({"content-type": "application/octet-stream"}, 24_000),
        ({"content-type": "audio/pcm; rate=44100; channels=1"}, 44_100),
        ({"content-type": 'AUDIO/PCM;rate="16000"'}, 16_000),
        ({"content-type": "audio/pcm", "x-sample-rate": "44100", "x-channels": "1"}, 44_100),
    ],
)
def test_an_answer_tells_its_rate_or_has_the_usual_one(headers: dict[str, str], rate: int) -> None:
    assert answered_rate(httpx.Headers(headers), 24_000) == rate


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"content-type": "audio/wav"}, "audio/wav, though audio/pcm was asked for"),
        ({"content-type": "application/json"}, "application/json"),
        ({"content-type": "text/event-stream; charset=utf-8"}, "text/event-stream"),
        ({"content-type": "audio/pcm;rate=12"}, "sample rate of 12; expected 8000 to 192000 Hz"),
        ({"content-type": "audio/pcm;rate=fast"}, "sample rate of fast"),
        ({"content-type": "audio/pcm;channels=2"}, "2 channels; expected one"),
        ({"x-channels": "2"}, "2 channels"),
    ],
)
def test_what_is_no_mono_pcm_is_named(headers: dict[str, str], told: str) -> None:
    with pytest.raises(SpeechError, match=told):
        answered_rate(httpx.Headers(headers), 24_000)


@pytest.mark.parametrize("sizes", [[1], [3], [5, 1, 2], [4096]])
def test_pcm_may_be_cut_anywhere(sizes: list[int]) -> None:
    samples = np.random.default_rng(1).integers(-32768, 32767, 5_000).astype("<i2")
    data, pieces, reader, turn = samples.tobytes(), [], PcmReader(24_000, 24_000), 0
    while data:
        size = sizes[turn % len(sizes)]
        pieces.append(reader.push(data[:size]))
        data, turn = data[size:], turn + 1
    pieces.append(reader.end())
    assert np.array_equal(np.concatenate(pieces) * 32768, samples)


def test_pcm_at_another_rate_is_converted() -> None:
    wave_ = (0.5 * np.sin(2 * np.pi * 440 * np.arange(44_100) / 44_100) * 32768).astype("<i2").tobytes()
    reader = PcmReader(44_100, 24_000)
    pcm = np.concatenate([reader.push(wave_), reader.end()])
    assert len(pcm) == 24_000
    assert np.abs(np.fft.rfft(pcm)).argmax() == 440


@pytest.mark.parametrize("data", [b"", b"\1", b"\1\0", b"\1\0\2"])
def test_hardly_any_pcm_is_no_error(data: bytes) -> None:
    reader = PcmReader(24_000, 24_000)
    assert len(reader.push(data)) + len(reader.end()) == len(data) // 2


@pytest.mark.parametrize(
    ("data", "what"),
    [(b"RIFF\0\0\0\0WAVE", "a WAV file"), (b"OggS....", "an Ogg file"), (b"ID3\3", "an MP3 file")],
)
def test_a_file_that_is_called_pcm_is_not_played_as_noise(data: bytes, what: str) -> None:
    reader = PcmReader(24_000, 24_000)
    reader.push(data[:1])
    with pytest.raises(SpeechError, match=f"sent {what}, though raw PCM was asked for"):
        reader.push(data[1:])


# -- refusals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body_", "told"),
    [
        (b'{"error": {"message": "Voice \'x\' not found.", "type": "a"}}', "404: Voice 'x' not found."),
        (b'{"error": "no such voice"}', "404: no such voice"),
        (b'{"detail": [{"loc": ["body"], "msg": "Field required"}]}', "404: Field required"),
        (b'{"detail": {"error": "validation_error", "message": "Voice"}}', "404: validation_error"),
        (b'{"message": "gone", "status": 404}', "404: gone"),
        (b"<html>\n nginx </html>", "404: <html> nginx </html>"),
        (b"", "answered 404"),
        (b"\xff" * 5_000, "404: "),
        (b"[]", r"404: \[\]"),
    ],
)
def test_a_refusal_says_what_the_endpoint_said(body_: bytes, told: str) -> None:
    error = refusal(404, {}, body_, None)
    with pytest.raises(SpeechError, match=f"{told}"):
        raise error
    assert len(str(error)) < 400


def test_keys_do_not_appear_in_refusals() -> None:
    echo = b'{"error": {"message": "Incorrect API key provided: sk-geh**eim. sk-geheim"}}'
    assert "sk" not in str(refusal(401, {}, echo, "sk-geheim"))
    assert "does not accept the key it was given (401)" in str(refusal(401, {}, echo, "sk-geheim"))
    assert "wants a key, and was given none (403)" in str(refusal(403, {}, echo, None))
    assert "sk-geheim" not in str(refusal(500, {}, echo, "sk-geheim"))


def test_too_busy_says_for_how_long() -> None:
    error = refusal(429, {"retry-after": "7"}, b'{"message": "slow down"}', None)
    assert isinstance(error, SpeechBusy)
    assert error.retry_after == 7
    assert "too busy (429: slow down)" in str(error)
    assert isinstance(refusal(503, {}, b"", None), SpeechBusy)
    assert not isinstance(refusal(500, {}, b"", None), SpeechBusy)
    assert "redirection" in str(refusal(307, {}, b"", None))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("2", 2), ("0.5", 0.5), ("", None), ("Wed, 21 Oct", None), ("-1", None), ("inf", None)],
)
def test_retry_after_is_read_in_seconds(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}) == seconds
