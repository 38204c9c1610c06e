"""Any audio file to samples."""

import io
from collections.abc import Iterator
from contextlib import ExitStack
from os import PathLike
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from engine.speech import Pcm

# Of FFmpeg's containers those that hold audio. The others include playlists, which open files and addresses
# that a stranger names in them.
_CONTAINERS = (
    "aac,ac3,aiff,alaw,amr,ape,asf,au,avi,caf,dsf,eac3,flac,flv,g722,gsm,matroska,webm,mov,mp4,m4a,mp3,mpeg,"
    "mpegts,mulaw,ogg,oma,rm,tta,voc,w64,wav,wv"
)
# What a header may claim. Between very different rates the filter of a resampler, or its output, is huge.
_LOWEST_RATE, _HIGHEST_RATE = 1_000, 768_000


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
            file = self._open.enter_context(
                io.BytesIO(source) if isinstance(source, bytes) else io.FileIO(source)
            )
            try:
                options = {"format_whitelist": _CONTAINERS}
                self._container = self._open.enter_context(av.open(file, "r", options=options))
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
        resampler, made_for = None, None
        try:
            for frame in self._frames():
                kind = frame.format.name, frame.layout.name, frame.sample_rate
                if kind != made_for:  # the first, or the file changes its format midway
                    yield from _mixed(resampler, None)
                    resampler, made_for = AudioResampler(format="fltp", rate=self.sample_rate), kind
                yield from _mixed(resampler, frame)
            yield from _mixed(resampler, None)
        except (av.FFmpegError, ValueError) as error:
            if isinstance(error, DecodeError):
                raise
            raise _unreadable(error) from error

    def _frames(self) -> Iterator[AudioFrame]:
        read, damage = False, None
        for packet in self._container.demux(self._stream):
            try:
                for frame in packet.decode():
                    if _LOWEST_RATE <= frame.sample_rate <= _HIGHEST_RATE:
                        read = True
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


def _mixed(resampler: AudioResampler | None, frame: AudioFrame | None) -> Iterator[Pcm]:
    """The samples that a frame gives, or with None those held back."""
    if resampler is None:
        return
    for out in resampler.resample(frame):
        # Channels are mixed by hand: FFmpeg's own mix of equal channels is 3 dB too loud.
        mixed = out.to_ndarray().mean(axis=0, dtype=np.float32)
        if mixed.size:
            yield np.nan_to_num(mixed, copy=False, posinf=1.0, neginf=-1.0)


def _unreadable(error: Exception) -> DecodeError:
    reason = (error.strerror if isinstance(error, av.FFmpegError) else None) or str(error)
    return DecodeError(f"this is no audio file that FFmpeg can read: {reason}")
