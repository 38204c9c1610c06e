"""``POST /v1/asr``: what the bundled voice says is heard again, over HTTP, by official clients and others."""

import asyncio
import itertools
from fractions import Fraction
from functools import cache
from io import BytesIO
from typing import Any

import av
import fish_audio_sdk as legacy
import httpx
import numpy as np
import ormsgpack
import pytest
from fishaudio import AsyncFishAudio, FishAudio
from fishaudio.exceptions import APIError

from engine.audio import AudioStream, Container, output_format
from engine.speech import Pcm
from realtime.ears import HearingOff
from tests.engine.models.speaking import RATE, speak
from tests.hearing import word_error_rate
from tests.transports.conftest import Running
from tests.transports.fish.sentences import HELD
from transports.errors import failure

TEXT = "We should leave before the rain starts, or we will be wet."


@cache
def spoken(text: str = TEXT) -> Pcm:
    return speak(text).pcm


def word_span(text: str) -> tuple[float, float]:
    """When its first word begins, and its last one ends."""
    words = speak(text).words
    return words[0].start, words[-1].end


def encoded(pcm: Pcm, container: Container = "wav", rate: int | None = None) -> bytes:
    stream = AudioStream(RATE, output_format(container, rate))
    return stream.write(pcm) + stream.finish()


def contained(container: str, codec: str, rate: int = 48000, layout: str = "mono") -> bytes:
    """The spoken text as FFmpeg writes it in other containers."""
    file = BytesIO()
    with av.open(file, "w", container) as out:
        stream = out.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(spoken()[None, :], format="flt", layout="mono")
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        resampler = av.AudioResampler(stream.format, layout, rate, stream.codec_context.frame_size or 4096)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return file.getvalue()


def post(hears: Running, body: Any, kind: str = "application/msgpack") -> httpx.Response:
    data = body if isinstance(body, bytes) else ormsgpack.packb(body)
    return httpx.post(f"{hears.url}/v1/asr", content=data, headers={"content-type": kind}, timeout=60)


def heard(hears: Running, audio: bytes, **fields: Any) -> dict[str, Any]:
    response = post(hears, {"audio": audio, **fields})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_the_sdk(hears: Running) -> None:
    client = FishAudio(api_key="any", base_url=hears.url)
    result = client.asr.transcribe(audio=encoded(spoken(), "mp3"), language="en")
    assert word_error_rate(TEXT, result.text) == 0
    assert result.duration == pytest.approx(len(spoken()) / RATE, abs=0.1)  # seconds
    (segment,) = result.segments
    assert segment.text == result.text
    assert (segment.start, segment.end) == pytest.approx(word_span(TEXT), abs=0.3)
    plain = client.asr.transcribe(audio=encoded(spoken()), include_timestamps=False)
    assert (plain.text, plain.segments) == (result.text, [])
    with pytest.raises(APIError, match=r"language: got 'zh'.* en"):
        client.asr.transcribe(audio=encoded(spoken()), language="zh")
    client.close()


async def test_the_async_sdk(hears: Running) -> None:
    client = AsyncFishAudio(api_key="any", base_url=hears.url)
    audio = encoded(spoken(), "opus")
    results = await asyncio.gather(*(client.asr.transcribe(audio=audio) for _ in range(3)))
    assert [word_error_rate(TEXT, result.text) for result in results] == [0, 0, 0]
    await client.close()


def test_the_legacy_sdk(hears: Running) -> None:
    with legacy.Session("any", base_url=hears.url) as session:
        result = session.asr(legacy.ASRRequest(audio=encoded(spoken()), language="en"))
        assert word_error_rate(TEXT, result.text) == 0
        assert len(result.segments) == 1
        with pytest.raises(legacy.HttpCodeErr, match="no audio file"):
            session.asr(legacy.ASRRequest(audio=b"nothing of the kind"))


@pytest.mark.parametrize(
    ("container", "codec", "rate", "layout"),
    [
        ("flac", "flac", 48000, "stereo"),
        ("ipod", "aac", 44100, "mono"),  # .m4a
        ("webm", "libopus", 48000, "mono"),
        ("matroska", "pcm_s16le", 8000, "mono"),
        ("aiff", "pcm_s16be", 22050, "stereo"),
    ],
)
def test_containers(hears: Running, container: str, codec: str, rate: int, layout: str) -> None:
    answer = heard(hears, contained(container, codec, rate, layout))
    assert word_error_rate(TEXT, answer["text"]) <= 0.1
    assert answer["duration"] == pytest.approx(len(spoken()) / RATE, abs=0.15)


def test_a_form_as_curl_sends_it(hears: Running) -> None:
    for fields, segments in (
        ({"language": "en", "ignore_timestamps": "false"}, 1),
        ({"ignore_timestamps": "true"}, 0),
    ):
        files = {"audio": ("../../etc/passwd", encoded(spoken(), "mp3"), "text/plain")}
        response = httpx.post(f"{hears.url}/v1/asr", data=fields, files=files, timeout=60)
        assert response.status_code == 200, response.text
        assert word_error_rate(TEXT, response.json()["text"]) == 0
        assert len(response.json()["segments"]) == segments


def test_two_minutes_are_cut_in_their_pauses(hears: Running) -> None:
    """Each text is a segment, with its times right to 0.3 s."""
    texts = [*HELD[:5], f"{HELD[8]} {HELD[9]}"]
    pauses = itertools.cycle([0.8, 22.0, 14.0, 1.2, 28.0])
    parts: list[Pcm] = []
    expected: list[tuple[float, float]] = []
    for text in texts:
        parts.append(np.zeros(round(next(pauses) * RATE), np.float32))
        at = sum(map(len, parts)) / RATE
        start, end = word_span(text)
        expected.append((at + start, at + end))
        parts.append(spoken(text))
    parts.append(np.zeros(120 * RATE - sum(map(len, parts)), np.float32))
    answer = heard(hears, encoded(np.concatenate(parts), "mp3"))
    assert answer["duration"] == pytest.approx(120, abs=0.1)
    assert word_error_rate(" ".join(texts), answer["text"]) <= 0.06
    segments = answer["segments"]
    assert [word_error_rate(text, part["text"]) < 0.5 for text, part in zip(texts, segments, strict=True)]
    for (start, end), part in zip(expected, segments, strict=True):
        assert part["start"] == pytest.approx(start, abs=0.3)
        assert part["end"] == pytest.approx(end, abs=0.3)


RATES = (2000).to_bytes(4, "little") + (4000).to_bytes(4, "little")
# 375 s, and a header that claims 4 GiB.
BOMB = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0" + RATES
BOMB += b"\x02\0\x10\0data\xff\xff\xff\xff" + bytes(1_500_000)


@pytest.mark.parametrize(
    ("body", "kind", "status", "names"),
    [
        ({"audio": b"garbage" * 1000}, "application/msgpack", 400, "audio: this is no audio file"),
        ({"audio": b"<svg xmlns='http://www.w3.org/2000/svg'/>"}, "application/msgpack", 400, "audio"),
        ({"audio": b""}, "application/msgpack", 400, "audio"),
        ({"audio": "text"}, "application/msgpack", 400, "audio"),
        ({}, "application/msgpack", 400, "audio"),
        ([1], "application/msgpack", 400, "body"),
        (b"\xc1", "application/msgpack", 400, "body"),
        ({"audio": b"x", "language": 5}, "application/msgpack", 400, "language"),
        ({"audio": b"x", "ignore_timestamps": "maybe"}, "application/msgpack", 400, "ignore_timestamps"),
        ({"audio": BOMB}, "application/msgpack", 413, "130 s"),
        (b"x" * 2_000_001, "application/msgpack", 413, "2000000"),
        (b"{}", "application/json", 415, "multipart/form-data or application/msgpack"),
        (b"RIFF", "audio/wav", 415, "Content-Type"),
        (b"", "", 415, "Content-Type"),
        (b"--x\r\nnonsense", "multipart/form-data; boundary=x", 400, "audio"),
        (b"", "multipart/form-data", 400, "body"),
        (b"--x\r\n\r\n\r\n--x--\r\n", "multipart/form-data; boundary=x", 400, "body"),
    ],
    ids=str,
)
def test_bad_bodies(hears: Running, body: Any, kind: str, status: int, names: str) -> None:
    response = post(hears, body, kind)
    assert response.status_code == status, response.text
    assert response.json()["status"] == status
    assert names in response.json()["message"]


def test_a_client_that_leaves_is_not_heard_any_further(hears: Running) -> None:
    """Its place is free again at once: as many as there are places may come and go, and then one is served."""
    speech = encoded(np.tile(spoken(), 25), "opus")
    for _ in range(3):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{hears.url}/v1/asr",
                content=ormsgpack.packb({"audio": speech}),
                headers={"content-type": "application/msgpack"},
                timeout=httpx.Timeout(10, read=0.2),
            )
    assert word_error_rate(TEXT, heard(hears, encoded(spoken()))["text"]) == 0


def test_a_server_without_ears_says_so() -> None:
    told = failure(HearingOff())
    assert told.status == 501
    assert "--asr none" in told.message


def test_the_api_describes_itself(hears: Running) -> None:
    content = httpx.get(f"{hears.url}/openapi.json").json()["paths"]["/v1/asr"]["post"]
    assert set(content["requestBody"]["content"]) == {"multipart/form-data", "application/msgpack"}
