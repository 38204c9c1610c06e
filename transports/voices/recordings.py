"""Recordings as they are kept: prepared once, as FLAC."""

from engine import Reference
from engine.audio import AudioStream, decode, output_format
from engine.speech import Pcm
from engine.voices import prepare
from engine.voices.recording import RATE


def prepared(data: bytes, *, enhance: bool) -> tuple[bytes, float]:
    """A stranger's recording as we keep it, and its length in seconds. Blocks; raises BadRecording."""
    recording = prepare(data, enhance=enhance)
    return flac(recording.pcm, RATE), recording.seconds


def reference(flac: bytes, text: str) -> Reference:
    """What a model learns from, of a recording that was kept. Blocks."""
    pcm, rate = decode(flac)
    return Reference(pcm, rate, text)


def flac(pcm: Pcm, rate: int) -> bytes:
    """Samples at ``rate`` Hz as a file. Blocks."""
    stream = AudioStream(rate, output_format("flac", RATE))
    return stream.write(pcm) + stream.finish()
