"""Any audio file to samples."""

import io
from os import PathLike

import av
import numpy as np
from av.audio.resampler import AudioResampler

from engine.speech import Pcm


class DecodeError(ValueError):
    """Bytes or a file that hold no audio that can be decoded."""


def decode(source: bytes | str | PathLike[str], sample_rate: int | None = None) -> tuple[Pcm, int]:
    """Decode bytes or a file at a path, of any container and codec that FFmpeg knows.

    Returns mono samples (channels are mixed), shape ``(n,)``, and their rate in Hz: ``sample_rate``, or the
    file's own. Headerless PCM cannot be recognised; ``numpy.frombuffer`` reads it.
    Raises :class:`DecodeError`, or OSError if there is no such file.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else str(source)
    parts = []
    try:
        with av.open(file, "r") as container:
            if not container.streams.audio:
                raise DecodeError("the file has no audio stream")
            stream = container.streams.audio[0]
            rate = sample_rate or stream.rate
            # Channels are mixed by hand: FFmpeg's own mix of equal channels is 3 dB too loud.
            resampler = AudioResampler(format="fltp", rate=rate)
            for frame in (*container.decode(stream), None):
                parts += [out.to_ndarray().mean(axis=0) for out in resampler.resample(frame)]
    except (av.InvalidDataError, av.EOFError) as error:
        raise DecodeError(f"this is no audio file that FFmpeg can read: {error.strerror}") from error
    return np.concatenate(parts).astype(np.float32, copy=False) if parts else np.zeros(0, np.float32), rate
