"""A film with another sound: its pictures as they are, and one new audio track."""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import click
import numpy as np
from av.audio.codeccontext import AudioCodecContext

RATE = 48_000
"""Hz of the audio track."""

# What is written by the file's suffix: FFmpeg's container, and the codec of the new track.
_KINDS = {
    ".mp4": ("mp4", "aac"),
    ".mov": ("mov", "aac"),
    ".mkv": ("matroska", "libopus"),
    ".webm": ("webm", "libopus"),
}
_BITRATES = {"aac": 128_000, "libopus": 64_000}
SUFFIXES = tuple(_KINDS)


def film_seconds(path: Path) -> float:
    """How long a film is. Raises :class:`click.BadParameter` if it is none."""
    try:
        with av.open(str(path)) as film:
            if not film.streams.video:
                raise click.BadParameter(f"{path} has no pictures", param_hint="--video")
            return (film.duration or 0) / av.time_base
    except (av.FFmpegError, OSError) as error:
        raise click.BadParameter(f"{path}: {error.strerror or error}", param_hint="--video") from None


class Film:
    """Writes the pictures of a film with new sound, which comes in as 16-bit mono samples at :data:`RATE`.

    The file appears under its name when all is written, and not at all if an error ends the block.
    """

    def __init__(self, pictures: Path, target: Path) -> None:
        kind, codec = _KINDS[target.suffix.lower()]
        self._target = target.resolve()
        self._part = self._target.with_name(f".{self._target.name}.{os.getpid()}.part")
        self._source = av.open(str(pictures))
        self._out = av.open(str(self._part), "w", format=kind)
        self._pictures = self._packets(self._source.streams.video[0])
        self._next = next(self._pictures, None)
        sound = self._out.add_stream(codec, rate=RATE)
        assert isinstance(sound, av.AudioStream)
        context = sound.codec_context
        assert isinstance(context, AudioCodecContext)
        context.layout, context.bit_rate = "mono", _BITRATES[codec]
        self._sound = sound
        self._samples = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._end()
            self._out.close()
            if kind is None:
                self._part.replace(self._target)
        finally:
            self._source.close()
            self._part.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """The next samples."""
        samples = np.frombuffer(data, "<i2")
        if not samples.size:
            return
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._samples, Fraction(1, RATE)
        self._samples += samples.size
        self._write_pictures(self._samples / RATE)
        for packet in self._sound.encode(frame):
            self._out.mux(packet)

    def _end(self) -> None:
        for packet in self._sound.encode(None):
            self._out.mux(packet)
        self._write_pictures(float("inf"))

    def _packets(self, stream: av.VideoStream) -> "Iterator[av.Packet[av.VideoStream]]":
        copy = self._out.add_stream_from_template(stream)
        for packet in self._source.demux(stream):
            if packet.dts is not None:  # the last one only ends the stream
                packet.stream = copy
                yield packet

    def _write_pictures(self, until: float) -> None:
        """The pictures up to a time: sound and pictures lie side by side in the file."""
        while (packet := self._next) is not None and float((packet.dts or 0) * packet.time_base) <= until:
            self._next = next(self._pictures, None)
            self._out.mux(packet)
