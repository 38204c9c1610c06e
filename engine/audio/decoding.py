"""Any audio file to samples."""

import io
import re
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from os import PathLike
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.codec import Codec
from av.container import InputContainer

from engine.speech import Pcm


def _audio_decoders() -> str:
    """The names of FFmpeg's, with commas."""
    names = set()
    for name in av.codecs_available:
        with suppress(ValueError):  # it only encodes
            if (codec := Codec(name, "r")).type == "audio":
                names.add(codec.name)
    return ",".join(sorted(names))


# Of FFmpeg's containers those that hold audio. The others include playlists, which open files and addresses
# that a stranger names in them.
_CONTAINERS = (
    "aac,ac3,aiff,alaw,amr,ape,asf,au,avi,caf,dsf,eac3,flac,flv,g722,gsm,matroska,webm,mp3,mpeg,mpegts,mulaw,"
    "ogg,oma,rm,tta,voc,w64,wav,wv"
)
_MP4 = "mov,mp4,m4a"
_OPTIONS = {
    # FFmpeg looks into every stream to learn what it is: the picture in an MP3 may unpack to a gigabyte.
    "codec_whitelist": _audio_decoders(),
    # Each edit in an MP4's list of them goes through all its samples, and may add them once more.
    "advanced_editlist": "0",
}
# What a header may claim. Between very different rates the filter of a resampler, or its output, is huge.
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 768_000
_MOST_CHANNELS = 64
# Each packet costs some microseconds, however little is in it. No codec has more of them in a second (TrueHD has
# 1200), but much of a file may be damaged.
_PACKETS_PER_SECOND, _MORE_PACKETS = 1_500, 10_000
_BATCH_SAMPLES = 4_096


class DecodeError(ValueError):
    """Bytes or a file that hold no audio that can be decoded."""


class TooLong(DecodeError):
    """More audio than was to be decoded."""


class AudioReader:
    """The audio of bytes or of a file at a path, of any container and codec that FFmpeg knows, piece by piece.

    Iteration yields mono samples (channels are mixed), shape ``(n,)`` with n > 0, at ``sample_rate`` Hz: the one
    asked for, or the file's own. No more than ``max_seconds`` of them are decoded, whatever the file claims to
    hold, and memory is bounded by one piece. Damaged packets are left out, as players do. Headerless PCM cannot
    be recognised; ``numpy.frombuffer`` reads it. To be closed, or used in a ``with``.

    Opening it and reading from it raise :class:`DecodeError`; opening raises OSError if there is no such file.
    """

    def __init__(
        self,
        source: bytes | str | PathLike[str],
        sample_rate: int | None = None,
        max_seconds: float | None = None,
    ) -> None:
        self._max_seconds = max_seconds
        self._open = ExitStack()
        with self._open:
            file: io.BytesIO | io.FileIO = (
                io.BytesIO(source) if isinstance(source, bytes) else io.FileIO(source)
            )
            self._open.enter_context(file)
            try:
                self._container = self._open.enter_context(_opened(file, source))
            except av.FFmpegError as error:
                raise _unreadable(error) from error
            if not self._container.streams.audio:
                raise DecodeError("the file has no audio stream")
            self._stream = self._container.streams.audio[0]
            rate = self._stream.rate
            if not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
                raise DecodeError(
                    f"sample rate: got {rate} Hz; expected {_LOWEST_RATE} to {_HIGHEST_RATE} Hz"
                )
            if self._stream.channels > _MOST_CHANNELS:
                raise DecodeError(f"channels: got {self._stream.channels}; expected at most {_MOST_CHANNELS}")
            self.sample_rate = sample_rate or rate
            self._open = self._open.pop_all()

    @property
    def claimed_seconds(self) -> float | None:
        """How long the audio is if the file is to be believed."""
        ticks = self._container.duration
        return None if ticks is None else ticks / av.time_base

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._open.close()

    def __iter__(self) -> Iterator[Pcm]:
        decoded = 0
        for piece in self._resampled():
            decoded += piece.size
            if self._max_seconds is not None and decoded > self._max_seconds * self.sample_rate:
                raise TooLong(f"more than {self._max_seconds:g} s of audio")
            yield piece

    def _resampled(self) -> Iterator[Pcm]:
        resampler, fifo, made_for = None, AudioFifo(), None
        try:
            for frame in self._frames():
                kind = frame.format.name, frame.layout.name, frame.sample_rate
                if kind != made_for:  # the first, or the file changes its format midway
                    yield from _rest(resampler, fifo)
                    resampler, fifo = AudioResampler(format="fltp", rate=self.sample_rate), AudioFifo()
                    made_for = kind
                frame.pts = None  # where a file has gaps, they are left out
                fifo.write(frame)
                if fifo.samples >= _BATCH_SAMPLES and resampler is not None:
                    yield from _mixed(resampler, fifo.read())
            yield from _rest(resampler, fifo)
        except (av.FFmpegError, ValueError) as error:
            if isinstance(error, DecodeError):
                raise
            raise _unreadable(error) from error

    def _frames(self) -> Iterator[AudioFrame]:
        read, damage = 0.0, None
        for number, packet in enumerate(self._container.demux(self._stream)):
            if number > _MORE_PACKETS + _PACKETS_PER_SECOND * read:
                raise DecodeError(f"{number} packets hold no more than {read:.1f} s of audio")
            try:
                for frame in packet.decode():
                    usable = _LOWEST_RATE <= frame.sample_rate <= _HIGHEST_RATE
                    if usable and frame.layout.nb_channels <= _MOST_CHANNELS:
                        read += frame.samples / frame.sample_rate
                        yield frame
            except av.InvalidDataError as error:
                damage = error
        if damage is not None and not read:
            raise _unreadable(damage) from damage


def decode(
    source: bytes | str | PathLike[str], sample_rate: int | None = None, *, max_seconds: float | None = None
) -> tuple[Pcm, int]:
    """All samples of what :class:`AudioReader` reads, shape ``(n,)``, and their rate in Hz."""
    with AudioReader(source, sample_rate, max_seconds) as reader:
        pieces = list(reader)
        return np.concatenate(pieces) if pieces else np.zeros(0, np.float32), reader.sample_rate


def _opened(file: io.BytesIO | io.FileIO, source: bytes | str | PathLike[str]) -> InputContainer:
    """The container of a file. An MP4 that a stranger has sent may only have tables that it can have.

    Raises FFmpegError or :class:`DecodeError`.
    """
    try:
        return av.open(file, "r", options=_OPTIONS | {"format_whitelist": _CONTAINERS})
    except av.ArgumentError:  # a container that is not on the list
        file.seek(0)
    if isinstance(source, bytes):
        _check_tables(memoryview(source))
    return av.open(file, "r", options=_OPTIONS | {"format_whitelist": _MP4})


# A table of samples that are all alike says how long each is, and how many there are; a run of them in a fragment
# says how many.
_TABLE = re.compile(rb"stsz(?=.{4}(.{4})(.{4}))|trun(?=.{4}(.{4}))|cmov(?=.{4}dcom)", re.DOTALL)


def _check_tables(data: memoryview) -> None:
    """Refuse an MP4 that claims more samples than it has bytes, or whose header is packed.

    FFmpeg takes 24 bytes of memory for each sample when it opens the file, without looking whether it is there.
    All boxes are searched but those of media, of which FFmpeg believes nothing either.
    """
    claimed = 0
    for box in _boxes(data):
        for found in _TABLE.finditer(box):
            size, several, run = (int.from_bytes(each or b"", "big") for each in found.groups())
            if found[0] == b"cmov":
                raise DecodeError("its header is compressed")
            claimed += several if size else run
    if claimed > len(data):
        raise DecodeError(f"its header claims {claimed:,} samples, which are not there")


def _boxes(data: memoryview) -> Iterator[memoryview]:
    """The boxes of an MP4, whole, but for those of media."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        end = at + size if size >= 8 else len(data)
        if bytes(data[at + 4 : at + 8]) != b"mdat":
            yield data[at:end]
        at = end


def _rest(resampler: AudioResampler | None, fifo: AudioFifo) -> Iterator[Pcm]:
    """The samples of what has not been resampled yet, and those held back."""
    if resampler is None:
        return
    if fifo.samples:
        yield from _mixed(resampler, fifo.read())
    yield from _mixed(resampler, None)


def _mixed(resampler: AudioResampler, frame: AudioFrame | None) -> Iterator[Pcm]:
    """The samples that a frame gives, or with None those held back."""
    for out in resampler.resample(frame):
        # Channels are mixed by hand: FFmpeg's own mix of equal channels is 3 dB too loud.
        mixed = out.to_ndarray().mean(axis=0, dtype=np.float32)
        if mixed.size:
            yield np.nan_to_num(mixed, copy=False, posinf=1.0, neginf=-1.0)


def _unreadable(error: Exception) -> DecodeError:
    reason = (error.strerror if isinstance(error, av.FFmpegError) else None) or str(error)
    return DecodeError(f"this is no audio file that FFmpeg can read: {reason}")
