"""Opus packets as they travel, without a container, to samples."""

import av
import numpy as np
from av.audio.codeccontext import AudioCodecContext

from engine.audio.decoding import DecodeError
from engine.speech import Pcm

OPUS_RATE = 48_000
# RFC 6716: a packet holds 120 ms at the most.
_MAX_SAMPLES = OPUS_RATE * 12 // 100


class OpusDecoder:
    """One stream of Opus packets → mono samples at 48 kHz, whatever was encoded.

    Packets come in their order. To be used off the event loop, by one thread at a time.
    """

    def __init__(self) -> None:
        codec = av.CodecContext.create("libopus", "r")
        assert isinstance(codec, AudioCodecContext)
        codec.format, codec.layout, codec.sample_rate = "s16", "mono", OPUS_RATE
        self._codec = codec

    def decode(self, packet: bytes) -> Pcm:
        """The samples of a packet, shape ``(n,)``. Raises :class:`DecodeError` if it is none."""
        try:
            frames = self._codec.decode(av.Packet(packet)) if packet else []
        except av.FFmpegError as error:
            raise DecodeError(f"got {len(packet)} bytes; expected an Opus packet") from error
        pcm = [frame.to_ndarray().reshape(-1) for frame in frames]
        samples = np.concatenate(pcm)[:_MAX_SAMPLES] if pcm else np.zeros(0, np.int16)
        return samples.astype(np.float32) / np.float32(32768)
