"""Recorded audio messages to samples, each with the time at which a player could have had them."""

import io
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import av
import numpy as np
from av.audio.resampler import AudioResampler

from benchmarks.listener import Arrival, Samples

RATES = {"pcm": 24_000, "wav": 24_000, "mp3": 44_100, "opus": 48_000}
"""The formats that can be asked for, and the sample rate in Hz that each is asked for at."""

_MP3_KBPS = 128
_OPUS_PAGE_SECONDS = 0.02


class Message(NamedTuple):
    """Bytes of an audio message and when they arrived, in seconds."""

    at: float
    data: bytes


def decode(messages: Sequence[Message], audio_format: str) -> list[Arrival]:
    """Samples with their times of arrival. Empty if the bytes hold no audio; raises av.FFmpegError if bad."""
    if audio_format == "pcm":
        return [Arrival(at, _samples(data)) for at, data in messages]
    ends = list(accumulate(len(message.data) for message in messages))
    if not ends:
        return []
    arrivals = []
    file = io.BytesIO(b"".join(message.data for message in messages))
    with av.open(file, "r") as container:
        resampler = AudioResampler(format="flt", layout="mono", rate=RATES[audio_format])
        for packet in container.demux(audio=0):
            # A packet can be played when the message with its last byte is there.
            last_byte = ends[-1] if packet.pos is None else packet.pos + packet.size
            at = messages[min(bisect_left(ends, last_byte), len(ends) - 1)].at
            for frame in packet.decode():
                pieces = [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
                arrivals += [Arrival(at, piece.astype(np.float32, copy=False)) for piece in pieces]
    return arrivals


def estimated_seconds(messages: Sequence[Message], audio_format: str) -> float:
    """How long the audio lasts, without decoding it: cheap enough to be asked while others are measured."""
    if audio_format == "opus":
        return sum(data.count(b"OggS") for _, data in messages) * _OPUS_PAGE_SECONDS
    size = sum(len(data) for _, data in messages)
    return size * 8 / (_MP3_KBPS * 1000) if audio_format == "mp3" else size / 2 / RATES[audio_format]


def _samples(data: bytes) -> Samples:
    return np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
