"""Files for tests: speech of the bundled voice, once, and pictures."""

import functools
import io
from itertools import cycle

import av
import numpy as np

from engine import Segment, StreamId, StreamOptions
from engine.audio import AudioStream, Container, output_format
from engine.models.hibari import HibariModel
from engine.speech import Pcm

SENTENCE = "The quick brown fox jumps over the lazy dog."
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@functools.cache
def picture(codec: str, container: str, width: int = 16, height: int = 8, frames: int = 1) -> bytes:
    """A grey picture, as FFmpeg writes it; of several frames if it shall move."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = width, height
        stream.pix_fmt = "rgb24" if codec.endswith("png") else "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for shade in range(frames):
            frame = av.VideoFrame(width, height, stream.pix_fmt)
            for plane in frame.planes:
                plane.update(bytes([100 + 40 * shade]) * plane.buffer_size)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return file.getvalue()


PNG = picture("png", "image2pipe")
JPEG = picture("mjpeg", "image2pipe")
WEBP = picture("libwebp", "webp")


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
