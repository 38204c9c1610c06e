"""From a model's samples to bytes that somebody can play: level, sample rate, container; and back."""

from engine.audio.decoding import AudioReader, DecodeError, TooLong, decode
from engine.audio.formats import Container, FormatError, OutputFormat, output_format
from engine.audio.level import Leveler, loudness
from engine.audio.resample import Resampler
from engine.audio.stream import AudioStream
from engine.audio.stretch import Stretcher

__all__ = [
    "AudioReader",
    "AudioStream",
    "Container",
    "DecodeError",
    "FormatError",
    "Leveler",
    "OutputFormat",
    "Resampler",
    "Stretcher",
    "TooLong",
    "decode",
    "loudness",
    "output_format",
]
