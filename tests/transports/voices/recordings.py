"""Files for tests: speech of the bundled voice, once, and pictures."""

import functools
from itertools import cycle

import numpy as np

from engine import Segment, StreamId, StreamOptions
from engine.audio import AudioStream, Container, output_format
from engine.models.hibari import HibariModel
from engine.speech import Pcm

SENTENCE = "The quick brown fox jumps over the lazy dog."
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
JPEG = b"\xff\xd8\xff\xe0" + b"\0" * 100
WEBP = b"RIFF\x64\0\0\0WEBPVP8 " + b"\0" * 100
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@functools.cache
def speech(voice: str = "walter", text: str = SENTENCE) -> tuple[Pcm, int]:
    """What one of the bundled voices says, and its rate in Hz."""
    model = HibariModel()
    model.prefill(StreamId(1), Segment(text), StreamOptions(voices=(voice,), paced=False))
    pieces = []
    for _ in cycle([None]):
        (frame,) = model.step([StreamId(1)])
        pieces.append(frame.pcm)
        if frame.last:
            break
    model.close()
    return np.concatenate(pieces), model.info.sample_rate


@functools.cache
def recording(container: Container = "wav", voice: str = "walter", text: str = SENTENCE) -> bytes:
    """The same as a file."""
    pcm, rate = speech(voice, text)
    stream = AudioStream(rate, output_format(container))
    return stream.write(pcm) + stream.finish()
