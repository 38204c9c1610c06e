"""Speech at a model's rate to the bytes of one output stream."""

import numpy as np

from engine.audio.encoders import open_encoder
from engine.audio.formats import OutputFormat
from engine.audio.level import Leveler
from engine.audio.resample import Resampler
from engine.speech import Pcm


class AudioStream:
    """One container stream from its header to its end: level, resample, encode.

    Takes mono samples at ``source_rate`` Hz. ``gain_db`` is the listener's volume; ``normalize`` brings the
    voice, thought to be ``expected_loudness`` LUFS loud, to -18 LUFS (see :class:`Leveler`).
    Meant to be used off the event loop: from any thread, but by one at a time.
    """

    def __init__(
        self,
        source_rate: int,
        output: OutputFormat,
        *,
        gain_db: float = 0.0,
        normalize: bool = False,
        expected_loudness: float = -20.0,
    ) -> None:
        self.output = output
        self._source_rate = source_rate
        self._leveler = Leveler(
            source_rate, gain_db=gain_db, normalize=normalize, expected_loudness=expected_loudness
        )
        self._resampler = Resampler(source_rate, output.sample_rate)
        self._encoder = open_encoder(output)
        self._samples_in = 0
        self._silence_in = 0
        self._flushed = True
        self._finished = False

    @property
    def seconds_in(self) -> float:
        """Seconds of audio written so far."""
        return self._samples_in / self._source_rate

    @property
    def padding_seconds(self) -> float:
        """Seconds of silence that flushes have added so far; what is played lasts longer by that much."""
        return self._silence_in / self._source_rate + self._encoder.padding / self.output.sample_rate

    def write(self, pcm: Pcm) -> bytes:
        """Append samples, shape ``(n,)``; returns the bytes that are complete by now, maybe none."""
        self._check_open()
        self._samples_in += pcm.size
        self._flushed = self._flushed and not pcm.size
        return self._push(pcm)

    def flush(self) -> bytes:
        """Make everything written so far audible to whoever decodes the bytes so far.

        What the stages hold back is pushed out by silence, which becomes part of the stream. The stream goes
        on. Nothing happens if nothing was written since the last flush.
        """
        self._check_open()
        if self._flushed:
            return b""
        self._flushed = True
        silence = np.zeros(self._leveler.latency + self._resampler.latency, np.float32)
        self._silence_in += silence.size
        return self._push(silence) + self._encoder.flush()

    def finish(self) -> bytes:
        """The rest of the stream, up to the end of its container.

        A stream to which nothing was written becomes 100 ms of silence: not every player takes an empty file.
        """
        self._check_open()
        self._finished = True
        start = b"" if self._samples_in else self._push(np.zeros(self._source_rate // 10, np.float32))
        rest = self._resampler.push(self._leveler.drain())
        end = self._encoder.encode(rest) + self._encoder.encode(self._resampler.drain())
        return start + end + self._encoder.finish()

    def _push(self, pcm: Pcm) -> bytes:
        return self._encoder.encode(self._resampler.push(self._leveler.push(pcm)))

    def _check_open(self) -> None:
        if self._finished:
            raise RuntimeError("this audio stream is finished")
