"""Stateful encoders: mono float32 in, the bytes of one container out, as early as the codec lets them go."""

import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, Protocol

import av
import numpy as np
import numpy.typing as npt
from av.audio.codeccontext import AudioCodecContext

from engine.audio.formats import OutputFormat
from engine.audio.g711 import Law, encode_g711
from engine.speech import Pcm

_SampleFormat = Literal["flt", "fltp", "s16"]

# What the hosted Fish service writes as the sizes of a WAV whose end it does not know yet.
_WAV_DATA_SIZE = 0xFFFFFF00
_WAV_RIFF_SIZE = _WAV_DATA_SIZE + 36

_MP3_PACKET = 1152
# LAME's encoder delays by 576 samples, every decoder by 528 + 1 (LAME's technical FAQ).
_MP3_DELAY = 576 + 528 + 1

_OPUS_PACKET = 960  # 20 ms at 48 kHz
# OPUS_AUTO, which FFmpeg does not pass on, for mono at 48 kHz in 20 ms packets: 60 bit * 50 packets/s + the
# sample rate (user_bitrate_to_bitrate in opus_encoder.c).
_OPUS_AUTO_BITRATE = 51_000
_OPUS_OPTIONS = {"application": "voip", "frame_duration": "20"}  # voip: tuned for speech

_AAC_PACKET = 1024
# FFmpeg's encoder needs as much to render a tone of 440 Hz with a noise below -60 dB, at 32 and at 44.1 kHz.
_AAC_BITRATE = 128_000


class Encoder(Protocol):
    """Writes one container, from its header to its end. Samples are float32 at the format's own rate."""

    padding: int
    """Samples of silence that :meth:`flush` has added so far."""

    def encode(self, pcm: Pcm) -> bytes:
        """Append samples; returns the bytes that are complete by now, the header before the first of them."""

    def flush(self) -> bytes:
        """Make all samples so far audible to whoever decodes the bytes so far, and stay open.

        Adds just the silence that pushes them out of the codec, and none if there is nothing to push.
        """

    def finish(self) -> bytes:
        """End the container. Nothing may be called after it."""


def open_encoder(output: OutputFormat) -> Encoder:
    """A fresh encoder for one stream of ``output``."""
    match output.container:
        case "pcm":
            return PcmEncoder()
        case "wav":
            return WavEncoder(output.sample_rate)
        case "mp3":
            return Mp3Encoder(output.sample_rate, output.bitrate or 128_000)
        case "opus":
            return OpusEncoder(output.bitrate)
        case "aac":
            return AacEncoder(output.sample_rate)
        case "flac":
            return FlacEncoder(output.sample_rate)
        case "mulaw" | "alaw":
            return G711Encoder(output.container)
        case "packets":
            return PacketsEncoder(output.bitrate)


class PcmEncoder:
    """Headerless signed 16-bit little-endian samples, clipped at full scale."""

    def __init__(self) -> None:
        self.padding = 0

    def encode(self, pcm: Pcm) -> bytes:
        """The samples as bytes, two each."""
        return _as_int16(pcm).tobytes()

    def flush(self) -> bytes:
        """Nothing: no sample is ever held back."""
        return b""

    def finish(self) -> bytes:
        """Nothing: there is no end to write."""
        return b""


class G711Encoder(PcmEncoder):
    """Headerless G.711 of one law."""

    def __init__(self, law: Law) -> None:
        super().__init__()
        self._law = law

    def encode(self, pcm: Pcm) -> bytes:
        """The samples as bytes, one each."""
        return encode_g711(_as_int16(pcm), self._law)


class WavEncoder(PcmEncoder):
    """One 44-byte header with the sizes of an endless file, then 16-bit samples."""

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        riff = struct.pack("<4sI4s", b"RIFF", _WAV_RIFF_SIZE, b"WAVE")
        layout = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, sample_rate * 2, 2, 16)
        self._header = riff + layout + struct.pack("<4sI", b"data", _WAV_DATA_SIZE)

    def encode(self, pcm: Pcm) -> bytes:
        """The samples as bytes, the header before the first of them."""
        if not pcm.size:
            return b""
        header, self._header = self._header, b""
        return header + super().encode(pcm)


class _PacketEncoder(ABC):
    """What the encoders that are built on an FFmpeg codec have in common."""

    def __init__(self, codec: AudioCodecContext, packet_samples: int) -> None:
        self.padding = 0
        self._codec = codec
        self._packet_samples = packet_samples
        self._fed = 0  # samples that the codec was given
        self._end = 0  # as many of them as it takes to include the last real one

    def encode(self, pcm: Pcm) -> bytes:
        """The bytes that these samples complete."""
        if not pcm.size:
            return b""
        data = self._feed(pcm)
        self._end = self._fed
        return data

    def flush(self) -> bytes:
        """The bytes that hold the samples so far, with silence behind them."""
        data = bytearray()
        while self._audible() < self._end:
            silence = np.zeros(self._packet_samples - self._fed % self._packet_samples, np.float32)
            self.padding += silence.size
            data += self._feed(silence)
        return bytes(data)

    def finish(self) -> bytes:
        """The bytes still missing."""
        return self._write(self._codec.encode(None))

    def _feed(self, pcm: Pcm) -> bytes:
        # For mono, planar and interleaved are the same, and each codec takes one of the two.
        format_ = self._codec.format.name
        samples = pcm if format_.startswith("flt") else _as_int16(pcm)
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis], format=format_, layout="mono")
        frame.sample_rate = self._codec.sample_rate
        frame.time_base = Fraction(1, frame.sample_rate)
        frame.pts = self._fed
        self._fed += pcm.size
        return self._write(self._codec.encode(frame))

    @abstractmethod
    def _audible(self) -> int:
        """How many of the samples fed a decoder plays, given the bytes so far."""

    @abstractmethod
    def _write(self, packets: "Sequence[av.Packet[av.AudioStream]]") -> bytes:
        """Put packets into the container; returns the bytes to send."""


class Mp3Encoder(_PacketEncoder):
    """Constant-bitrate MPEG-1 layer III packets and nothing else: no ID3 tag, no Xing/Info frame.

    An Info frame could tell players how much codec delay to skip, but it also holds the number of frames,
    which a stream does not know. FFmpeg takes 0 for "no such tag" and plays the frame as 26 ms of silence;
    it believes any other number, shows it as the duration of a saved file, and seeks by it. So the delay is
    removed here: it is filled up to one whole packet, and that packet is not sent. Every decoder, whether it
    knows tags or not, plays sample n as sample n and ends less than one packet late. The price: the first 13
    ms of a stream are faded in, for want of the packet that they overlap with. The bit reservoir is off,
    because no packet may lean on the one that is missing; this also lets each packet leave 26 ms earlier.
    """

    def __init__(self, sample_rate: int, bitrate: int) -> None:
        codec = av.CodecContext.create("libmp3lame", "w")
        assert isinstance(codec, AudioCodecContext)
        _configure(codec, "fltp", sample_rate, bitrate, {"reservoir": "0"})
        super().__init__(codec, _MP3_PACKET)
        self._sent = -1  # packets, but for the first
        self._feed(np.zeros(_MP3_PACKET - _MP3_DELAY, np.float32))

    def finish(self) -> bytes:
        """The packets still missing, and not the one that LAME likes to add behind them."""
        needed = -(-(self._fed - _MP3_PACKET + _MP3_DELAY) // _MP3_PACKET)
        return self._write(self._codec.encode(None)[: needed - self._sent])

    def _audible(self) -> int:
        return self._sent * _MP3_PACKET + _MP3_PACKET - _MP3_DELAY

    def _write(self, packets: "Sequence[av.Packet[av.AudioStream]]") -> bytes:
        first = 1 if self._sent < 0 else 0
        self._sent += len(packets)
        return b"".join(bytes(packet) for packet in packets[first:])


class _ContainerEncoder(_PacketEncoder):
    """Packets that one of FFmpeg's containers is written around, without ever going back in the file."""

    def __init__(
        self,
        container: str,
        codec: str,
        sample_rate: int,
        sample_format: _SampleFormat,
        bitrate: int | None,
        options: dict[str, str],
        container_options: dict[str, str],
    ) -> None:
        self._sink = _Sink()
        self._container = av.open(
            self._sink, "w", format=container, options={"flush_packets": "1", **container_options}
        )
        stream = self._container.add_stream(codec, rate=sample_rate)
        assert isinstance(stream, av.AudioStream)
        self._stream = stream
        _configure(stream.codec_context, sample_format, sample_rate, bitrate, options)
        self._container.start_encoding()
        self._packets = 0
        super().__init__(stream.codec_context, stream.codec_context.frame_size)

    def finish(self) -> bytes:
        """What is still missing."""
        data = super().finish()
        self._container.close()
        return data + self._sink.take()

    def _write(self, packets: "Sequence[av.Packet[av.AudioStream]]") -> bytes:
        self._mux(packets)
        return self._sink.take()

    def _mux(self, packets: "Sequence[av.Packet[av.AudioStream]]") -> None:
        for packet in packets:
            packet.stream = self._stream
            self._container.mux(packet)
        self._packets += len(packets)


class OpusEncoder(_ContainerEncoder):
    """Ogg Opus: 48 kHz, 20 ms packets, variable bitrate, one page for each packet.

    FFmpeg's Ogg writer keeps the newest page back, since the last of a stream must be marked as such when it
    is written: all bytes are 20 ms late, and :meth:`flush` adds one packet more than the codec needs.
    """

    def __init__(self, bitrate: int | None) -> None:
        pages = {"page_duration": "20000"}
        super().__init__("ogg", "libopus", 48000, "flt", bitrate or _OPUS_AUTO_BITRATE, _OPUS_OPTIONS, pages)
        self._pre_skip = _pre_skip(self._codec)

    def _audible(self) -> int:
        return (self._packets - 1) * _OPUS_PACKET - self._pre_skip

    def _write(self, packets: "Sequence[av.Packet[av.AudioStream]]") -> bytes:
        self._mux(packets)
        # The header pages are ready long before; alone they are of no use to anybody.
        return self._sink.take() if self._packets > 1 else b""


class PacketsEncoder(_PacketEncoder):
    """Opus packets as they are, each behind its length (see :func:`engine.audio.packet_format`).

    No page is kept back, and a flush fills up the last packet and adds one more at most, for the codec's delay.
    """

    def __init__(self, bitrate: int | None) -> None:
        codec = av.CodecContext.create("libopus", "w")
        assert isinstance(codec, AudioCodecContext)
        _configure(codec, "flt", 48_000, bitrate or _OPUS_AUTO_BITRATE, _OPUS_OPTIONS)
        codec.open()
        super().__init__(codec, _OPUS_PACKET)
        self._pre_skip = _pre_skip(codec)
        self._packets = 0

    def _audible(self) -> int:
        return self._packets * _OPUS_PACKET - self._pre_skip

    def _write(self, packets: "Sequence[av.Packet[av.AudioStream]]") -> bytes:
        self._packets += len(packets)
        return b"".join(len(data).to_bytes(2, "big") + data for data in map(bytes, packets))


class AacEncoder(_ContainerEncoder):
    """AAC-LC in ADTS frames, each of which a decoder can begin with.

    ADTS cannot say how much of the beginning is the codec's delay, which is just one packet: as with
    :class:`Mp3Encoder` that packet is not sent, and the first 23 ms (at 44.1 kHz) are faded in.
    """

    def __init__(self, sample_rate: int) -> None:
        self._first = True
        super().__init__("adts", "aac", sample_rate, "fltp", _AAC_BITRATE, {}, {})

    def _audible(self) -> int:
        return self._packets * _AAC_PACKET

    def _write(self, packets: "Sequence[av.Packet[av.AudioStream]]") -> bytes:
        if packets and self._first:
            self._first, packets = False, packets[1:]
        return super()._write(packets)


class FlacEncoder(_ContainerEncoder):
    """Native FLAC of 16 bit; the header leaves the length open."""

    def __init__(self, sample_rate: int) -> None:
        no_padding = {"metadata_header_padding": "0"}
        super().__init__("flac", "flac", sample_rate, "s16", None, {}, no_padding)

    def _audible(self) -> int:
        return self._packets * self._packet_samples


def _pre_skip(opus: AudioCodecContext) -> int:
    """The samples by which an encoder is late: the identification header's field, RFC 7845 section 5.1."""
    return int.from_bytes((opus.extradata or b"")[10:12], "little")


def _as_int16(pcm: Pcm) -> npt.NDArray[np.int16]:
    """Samples in 16 bit, little-endian, rounded and clipped at full scale."""
    samples: npt.NDArray[np.int16] = np.rint(np.clip(pcm, -1.0, 1.0) * 32767.0).astype("<i2")
    return samples


class _Sink:
    """A file that can only be written; what was written is taken out of it."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


def _configure(
    codec: AudioCodecContext,
    sample_format: _SampleFormat,
    sample_rate: int,
    bitrate: int | None,
    options: dict[str, str],
) -> None:
    codec.format = sample_format
    codec.layout = "mono"
    codec.sample_rate = sample_rate
    if bitrate is not None:
        codec.bit_rate = bitrate
    codec.options = options
