"""``POST /v1/asr``: what the bundled voice says is heard again, over real HTTP, by the official clients and others."""

import asyncio
from collections.abc import AsyncIterator, Iterator
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
from tests.engine.models.speaking import RATE, speak
from tests.hearing import word_error_rate
from tests.transports.conftest import Running

TEXT = "We should leave before the rain starts, or we will be wet."


@cache
def spoken(text: str = TEXT) -> Pcm:
    return speak(text).pcm


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


def post(server: Running, body: Any, kind: str = "application/msgpack") -> httpx.Response:
    data = body if isinstance(body, bytes) else ormsgpack.packb(body)
    return httpx.post(f"{server.url}/v1/asr", content=data, headers={"content-type": kind}, timeout=60)


def heard(server: Running, audio: bytes, **fields: Any) -> dict[str, Any]:
    response = post(server, {"audio": audio, **fields})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_first(server: Running) -> None:
    answer = heard(server, encoded(spoken(), "mp3"), language="en")
    assert word_error_rate(TEXT, answer["text"]) == 0
    assert answer["duration"] == pytest.approx(len(spoken()) / RATE, abs=0.1)
    (segment,) = answer["segments"]
    assert segment["text"] == answer["text"]
