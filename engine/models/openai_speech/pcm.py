"""From an endpoint's answer to samples. Sans-I/O."""

from collections.abc import Mapping
from email.message import Message

import numpy as np

from engine.audio import Resampler
from engine.errors import SpeechError
from engine.speech import Pcm

_PCM_TYPES = {
    "",
    "application/octet-stream",
    "audio/pcm",
    "audio/raw",
    "audio/x-pcm",
    "audio/x-raw",
    "binary/octet-stream",
}
# Some servers answer with what they like and call it PCM. Speech does not begin with such noise.
_OTHERS = {b"RIFF": "a WAV file", b"OggS": "an Ogg file", b"fLaC": "a FLAC file", b"ID3": "an MP3 file"}
_RATES = range(8_000, 192_001)


def answered_rate(headers: Mapping[str, str], default: int) -> int:
    """The sample rate that an answer says it has, in Hz, or else ``default``.

    Told by ``Content-Type: audio/pcm; rate=24000``, or ``X-Sample-Rate``. Raises :class:`SpeechError` if the
    answer is no mono PCM.
    """
    message = Message()
    message["content-type"] = headers.get("content-type", "")
    kind = message.get_content_type() if headers.get("content-type") else ""
    if kind not in _PCM_TYPES:
        raise SpeechError(f"the speech endpoint answered with {kind[:80]}, though audio/pcm was asked for")
    told = message.get_param("rate") or message.get_param("sample_rate") or headers.get("x-sample-rate")
    rate = _number(told, default)
    if rate not in _RATES:
        raise SpeechError(
            f"the speech endpoint answered with a sample rate of {str(told)[:20]}; expected "
            f"{_RATES.start} to {_RATES.stop - 1} Hz"
        )
    channels = message.get_param("channels") or headers.get("x-channels")
    if _number(channels, 1) != 1:
        raise SpeechError(f"the speech endpoint answered with {str(channels)[:20]} channels; expected one")
    return rate


def _number(told: object, default: int) -> int:
    """A number in a header; -1 for what is none."""
    if told is None:
        return default
    return int(told) if isinstance(told, str) and told.isdecimal() and len(told) < 10 else -1


class PcmReader:
    """Bytes of 16-bit little-endian PCM at ``source_rate`` Hz, cut anywhere, to samples at ``sample_rate`` Hz."""

    def __init__(self, source_rate: int, sample_rate: int) -> None:
        self._resampler = Resampler(source_rate, sample_rate)
        self._begun = False
        self._rest = b""

    def push(self, data: bytes) -> Pcm:
        """The samples that are complete by now. Raises :class:`SpeechError` for what is no PCM."""
        data = self._rest + data
        if not self._begun:
            if len(data) < 4:
                self._rest = data
                return np.zeros(0, np.float32)
            self._begun = True
            for start, what in _OTHERS.items():
                if data.startswith(start):
                    raise SpeechError(f"the speech endpoint sent {what}, though raw PCM was asked for")
        whole = len(data) // 2 * 2
        self._rest = data[whole:]
        samples = np.frombuffer(data[:whole], "<i2").astype(np.float32) / np.float32(32768)
        return self._resampler.push(samples)

    def end(self) -> Pcm:
        """The samples that were held back."""
        whole = len(self._rest) // 2 * 2  # of less than four bytes in all
        samples = np.frombuffer(self._rest[:whole], "<i2").astype(np.float32) / np.float32(32768)
        return np.concatenate([self._resampler.push(samples), self._resampler.drain()])
