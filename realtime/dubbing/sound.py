"""The sound of a line: what of it can be heard, how it is made to fit, and where it lies in the whole."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.audio import Stretcher
from engine.speech import Pcm
from realtime.dubbing.fitting import Fit, Measured

# What is so much quieter than the loudest 10 ms of a line counts as silence: under it even the soft consonants at
# the beginning of a word, which are some 30 dB below a vowel, are heard.
_SILENCE = 10 ** (-40 / 20)
# A line whose loudest 10 ms are quieter is silent.
_NOTHING = 10 ** (-60 / 20)
_WINDOW_SECONDS = 0.01
_SHORTEST_PAUSE = 0.1  # the closure of a plosive is silent for up to 80 ms, and belongs to its word
_EDGE_SECONDS = 0.01  # kept before the onset and behind the end
_FADE_SECONDS = 0.005
# Of a pause that is shortened, so much is kept before the next word: it may begin more softly than is measured.
_UPBEAT_SECONDS = 0.03


def measure(pcm: Pcm, sample_rate: int, word_ends: Sequence[float]) -> tuple[Pcm, Measured]:
    """A line as it came from the voice, without the silence at both ends, and what the planner must know of it.

    ``pcm`` has shape ``(n,)`` at ``sample_rate`` Hz; ``word_ends`` are in seconds of it.
    """
    window = round(_WINDOW_SECONDS * sample_rate)
    whole = np.pad(pcm, (0, -pcm.size % window)).reshape(-1, window)
    levels = np.sqrt(np.mean(np.square(whole, dtype=np.float64), axis=1))
    loudest = levels.max(initial=0.0)
    if loudest < _NOTHING:
        return np.zeros(0, np.float32), Measured(0.0)
    heard = np.flatnonzero(levels >= max(_SILENCE * loudest, _NOTHING / 10))
    edge = round(_EDGE_SECONDS * sample_rate)
    begin = max(0, int(heard[0]) * window - edge)
    end = min(pcm.size, (int(heard[-1]) + 1) * window + edge)
    gaps = np.flatnonzero(np.diff(heard) > _SHORTEST_PAUSE / _WINDOW_SECONDS)
    pauses = tuple(
        (
            ((int(heard[gap]) + 1) * window - begin) / sample_rate,
            (int(heard[gap + 1]) * window - begin) / sample_rate,
        )
        for gap in gaps
    )
    offset, seconds = begin / sample_rate, (end - begin) / sample_rate
    stops = {moment - offset for moment in word_ends} | {start for start, _ in pauses}
    inner = tuple(sorted(stop for stop in stops if 0 < stop < seconds))
    return pcm[begin:end], Measured(seconds, pauses, inner)


def arrange(pcm: Pcm, sample_rate: int, measured: Measured, fitted: Fit) -> Pcm:
    """The sound of a measured line as it has been fitted, shape ``(n,)``."""
    fade = round(_FADE_SECONDS * sample_rate)
    parts, at = [], 0
    for (start, end), kept in zip(measured.pauses, fitted.pauses, strict=True):
        size = round((end - start - kept) * sample_rate)
        if not size:
            continue
        stop = max(at, round((end - _UPBEAT_SECONDS) * sample_rate))
        parts.append(_faded(pcm[at : max(at, stop - size)], fade))
        at = stop
    parts.append(pcm[at:])
    line = np.concatenate(parts)
    if fitted.speed > 1:
        stretcher = Stretcher(sample_rate, fitted.speed)
        line = np.concatenate([stretcher.push(line), stretcher.drain()])
    return _faded(line[: round(fitted.seconds * sample_rate)], fade)


class Mixer:
    """The sound of all lines at ``sample_rate`` Hz, as one stream that is taken out from its beginning on."""

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._at = 0  # samples that were taken out
        self._lines: dict[int, tuple[int, Pcm]] = {}  # where each begins, and its sound

    def add(self, key: int, at: float, pcm: Pcm) -> None:
        """A line is heard from ``at`` seconds on. What should be heard already is left out."""
        self._lines[key] = round(at * self._rate), pcm

    def shorten(self, key: int, at: float) -> None:
        """A line is silent from ``at`` seconds on."""
        if key in self._lines:
            start, pcm = self._lines[key]
            end = max(round(at * self._rate), self._at + 1) - start
            self._lines[key] = start, _faded(pcm[:end], round(_FADE_SECONDS * self._rate), fade_in=False)

    def render(self, until: float) -> Pcm:
        """The next samples, up to ``until`` seconds."""
        begin, end = self._at, max(self._at, round(until * self._rate))
        out = np.zeros(end - begin, np.float32)
        for key, (start, pcm) in list(self._lines.items()):
            first, last = max(start, begin), min(start + pcm.size, end)
            if first < last:
                out[first - begin : last - begin] += pcm[first - start : last - start]
            if start + pcm.size <= end:
                del self._lines[key]
        self._at = end
        return out


def _faded(pcm: Pcm, samples: int, *, fade_in: bool = True) -> Pcm:
    samples = min(samples, pcm.size // 2)
    ramp: npt.NDArray[np.float32] = np.linspace(0, 1, samples, dtype=np.float32)
    faded = pcm.copy()
    if fade_in:
        faded[:samples] *= ramp
    faded[pcm.size - samples :] *= ramp[::-1]
    return faded
