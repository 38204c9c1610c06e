"""What a voice is like, measured on its speech: pitch and how far it moves."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio import Resampler
from engine.speech import Pcm

RATE = 16_000
"""What is measured, is at this rate in Hz."""

_LOWEST_HZ, _HIGHEST_HZ = 50.0, 600.0
_WINDOW = 480  # 30 ms that are compared with what lies one period later
_HOP = 160  # 10 ms
_AT_A_TIME = 1000  # frames: 10 s
_PERIODIC = 0.2  # the normalised difference below which a frame is voiced
_FEWEST_VOICED = 20  # frames: 0.2 s

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Traits:
    """``pitch`` is the median of f0 in Hz, ``span`` the distance of its 10th and 90th percentile in octaves.

    None is what could not be measured: where there is no voice, or too little.
    """

    pitch: float | None
    span: float | None


def measure(pcm: Pcm, sample_rate: int) -> Traits:
    """Measure mono speech at ``sample_rate`` Hz. Takes some 10 ms for each second."""
    resampler = Resampler(sample_rate, RATE)
    speech = np.concatenate([resampler.push(pcm), resampler.drain()])
    f0 = melody(speech)
    if len(f0) < _FEWEST_VOICED:
        return Traits(None, None)
    low, middle, high = np.percentile(f0, [10, 50, 90])
    return Traits(float(middle), float(np.log2(high / low)))


def melody(pcm: Pcm) -> Array:
    """f0 in Hz of the voiced frames of samples at :data:`RATE`, one each 10 ms.

    The normalised difference function of YIN (de Cheveigné and Kawahara 2002), read twice: the second time
    between bounds that follow from the quartiles of the first (De Looze and Hirst 2008), where octave errors lie
    outside.
    """
    differences = _differences(pcm)
    first = _periods(differences, _LOWEST_HZ, _HIGHEST_HZ)
    if not len(first):
        return first
    lower, upper = np.percentile(first, [25, 75])
    return _periods(differences, max(0.75 * lower, _LOWEST_HZ), min(1.7 * upper, _HIGHEST_HZ))


def _differences(pcm: Pcm) -> Array:
    """YIN's cumulative mean normalised difference of each frame that is not silent: (frames, lags)."""
    lags = int(RATE / _LOWEST_HZ) + 2
    if len(pcm) < _WINDOW + lags:
        return np.ones((0, lags))
    frames = np.lib.stride_tricks.sliding_window_view(pcm, _WINDOW + lags)[::_HOP]
    power = np.square(frames[:, :_WINDOW]).mean(1)
    frames = frames[power > max(1e-3 * np.percentile(power, 95), 1e-8)]
    size = 1024
    assert size >= _WINDOW + lags, "no lag wraps around"
    parts = [np.ones((0, lags))]
    for at in range(0, len(frames), _AT_A_TIME):
        block = frames[at : at + _AT_A_TIME].astype(np.float64)
        window = np.fft.rfft(block[:, :_WINDOW], size)
        product = np.fft.irfft(window.conj() * np.fft.rfft(block, size), size)[:, :lags]
        energy = np.cumsum(np.pad(np.square(block), ((0, 0), (1, 0))), axis=1)
        powers = energy[:, _WINDOW : _WINDOW + lags] - energy[:, :lags]
        difference = np.maximum(powers[:, :1] + powers - 2 * product, 0)
        sums = np.cumsum(difference[:, 1:], axis=1)
        normal = np.ones_like(difference)
        normal[:, 1:] = difference[:, 1:] * np.arange(1, lags) / np.maximum(sums, 1e-12)
        parts.append(normal)
    return np.concatenate(parts)


def _periods(differences: Array, lowest: float, highest: float) -> Array:
    """f0 of the frames that are periodic within these bounds, in Hz."""
    first, last = int(RATE / highest), min(int(RATE / lowest) + 1, differences.shape[1] - 2)
    inner = differences[:, first : last + 1]
    if not len(inner):
        return np.zeros(0)
    # The first dip that is nearly the deepest: the deepest of all may lie at two periods.
    deep = inner <= np.maximum(inner.min(1, keepdims=True) + 0.1, 0.1)
    dip = deep & (inner <= differences[:, first - 1 : last]) & (inner <= differences[:, first + 1 : last + 2])
    lag = np.argmax(dip, axis=1) + first
    rows = np.arange(len(lag))
    depth = differences[rows, lag]
    voiced = dip.any(1) & (depth < _PERIODIC)
    before, after = differences[rows, lag - 1], differences[rows, lag + 1]
    bend = np.maximum(before - 2 * depth + after, 1e-12)
    shift = np.clip((before - after) / (2 * bend), -0.5, 0.5)
    f0: Array = (RATE / (lag + shift))[voiced]
    return f0
