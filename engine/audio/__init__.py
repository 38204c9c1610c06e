"""From a model's samples to bytes that somebody can play: level, sample rate, container; and back."""

from engine.audio.decoding import AudioReader, DecodeError, TooLong, decode
from engine.audio.formats import (
    Container,
    FormatError,
    OutputFormat,
    output_format,
    packet_format,
    split_packets,
)
from engine.audio.g711 import Law, decode_g711
from engine.audio.level import Leveler, loudness
from engine.audio.opus import OPUS_RATE, OpusDecoder
from engine.audio.resample import Resampler
from engine.audio.stream import AudioStream
from engine.audio.stretch import Stretcher

__all__ = [
    "OPUS_RATE",
    "AudioReader",
    "AudioStream",
    "Container",
    "DecodeError",
    "FormatError",
    "Law",
    "Leveler",
    "OpusDecoder",
    "OutputFormat",
    "Resampler",
    "Stretcher",
    "TooLong",
    "decode",
    "decode_g711",
    "loudness",
    "output_format",
    "packet_format",
    "split_packets",
]
