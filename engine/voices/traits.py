"""What a voice is like, measured on its speech: pitch, how far it moves, vocal tract, pace."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.audio import Resampler
from engine.speech import Pcm

RATE = 16_000
"""What is measured, is at this rate in Hz."""

_HOP = 160  # 10 ms
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 600.0
_LAGS = int(RATE / _LOWEST_HZ) + 2
_WINDOW = 480  # 30 ms that are compared with what lies one period later
_FFT = 1024
_AT_A_TIME = 1000  # frames: 10 s
_PERIODIC = 0.2  # the normalised difference below which a frame is voiced
_FEWEST_VOICED = 30  # frames: 0.3 s
_FAINT = 1e-3  # of the power of the loud frames; what is below is no voice

_LPC_WINDOW, _LPC_ORDER = 512, 18
_PRE_EMPHASIS = 0.95
_WARP_STEP = 0.01
_SCALE = np.arange(math.log(250), math.log(7600), _WARP_STEP)  # of log Hz
_COMPARED = np.abs(_SCALE - math.log(1600)) < math.log(4)  # 400 to 6400 Hz
_WIDEST_WARP = 25  # steps
# How much more alike a tract must make the spectra if it is not the one that goes with the pitch: by 0.1 where it
# deviates by a fifth.
_PRIOR = 0.1 / math.log(1.2) ** 2
# Men speak at 0.6 times the pitch of women, with formants at 0.87 times theirs (Peterson and Barney 1952).
_TRACT_OF_PITCH = math.log(0.87) / math.log(0.6)

_DEEPEST_DB, _HIGHEST_DB = -35.0, -20.0  # speech begins between these two, below its level ...
_ABOVE_NOISE_DB = 8.0  # ... where it stands out so far of what sounds in its pauses
_SHORTEST_PAUSE = 15  # hops
_SYLLABLE_DIP_DB = 2.0  # between two nuclei (de Jong and Wempe 2009)
_SYLLABLE_DB = -25.0  # below the level of speech

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Traits:
    """``pitch`` is the median of f0 in Hz, ``span`` the distance of its 10th and 90th percentile in octaves.

    ``spectrum`` is the mean of the voice's log spectral envelopes; ``syllables`` are spoken in each second.
    """

    pitch: float
    span: float
    spectrum: Array
    syllables: float


def measure(speech: Pcm) -> Traits | None:
    """Measure speech at :data:`RATE`; None if there is too little voice in it. Takes 5 ms for each second."""
    frames = _frames(speech)
    f0 = _melody(_differences(frames))
    voiced = f0 > 0
    if voiced.sum() < _FEWEST_VOICED:
        return None
    low, middle, high = np.percentile(f0[voiced], [10, 50, 90])
    seconds = speaking_seconds(speech)
    return Traits(
        pitch=float(middle),
        span=float(np.log2(high / low)),
        spectrum=_envelope(frames[voiced, :_LPC_WINDOW]),
        syllables=_syllables(speech) / seconds,
    )


def tract(traits: Traits, than: Traits) -> float:
    """By how much the formants of a voice are higher than those of another: above 1, its vocal tract is shorter.

    The factor by which the other's spectrum is stretched to be most like this one; what a microphone, a room or
    a way of speaking do to the spectrum as a whole (a parabola over log frequency) does not count. Where that
    leaves a choice, it is the one that goes with the pitch.
    """
    expected = _TRACT_OF_PITCH * math.log(traits.pitch / than.pitch)
    steps = np.arange(-_WIDEST_WARP, _WIDEST_WARP + 1)
    scores = np.array([_likeness(traits.spectrum, than.spectrum, int(step)) for step in steps])
    scores -= _PRIOR * np.square(steps * _WARP_STEP - expected)
    return math.exp(_WARP_STEP * float(steps[scores.argmax()]))


def resampled(pcm: Pcm, sample_rate: int) -> Pcm:
    """Samples at ``sample_rate`` Hz as they are measured: at :data:`RATE`."""
    resampler = Resampler(sample_rate, RATE)
    return np.concatenate([resampler.push(pcm), resampler.drain()])


def speaking_seconds(speech: Pcm) -> float:
    """How much of speech at :data:`RATE` is spoken, without the pauses in it."""
    decibels = _level(speech)
    if not len(decibels):
        return 0.0
    noise = float(np.percentile(decibels, 5))
    sounding = np.flatnonzero(decibels > min(max(noise + _ABOVE_NOISE_DB, _DEEPEST_DB), _HIGHEST_DB))
    gaps = np.diff(sounding) - 1
    return float(len(sounding) + gaps[gaps < _SHORTEST_PAUSE].sum()) * _HOP / RATE


def _level(speech: Pcm) -> Array:
    """dB of each hop, 0 being the level of the louder ones; smoothed over 50 ms."""
    hops = speech[: len(speech) // _HOP * _HOP].reshape(-1, _HOP)
    if not len(hops):
        return np.zeros(0)
    power = np.convolve(np.square(hops).mean(1), np.hanning(7)[1:-1] / 3)[2:-2].astype(np.float64)
    return 10 * np.log10(np.maximum(power, 1e-10) / max(float(np.percentile(power, 95)), 1e-10))


def _syllables(speech: Pcm) -> int:
    """The nuclei in speech: peaks of its level with a dip before each of them."""
    count, lowest, highest = 0, -math.inf, -math.inf  # silence lies before
    for level in _level(speech).tolist():
        highest = max(highest, level)
        if level < highest - _SYLLABLE_DIP_DB:  # a peak is over
            count += highest > _SYLLABLE_DB
            highest, lowest = -math.inf, level
        lowest = min(lowest, level)
        if level < lowest + _SYLLABLE_DIP_DB:  # the next one has not begun
            highest = -math.inf
    return count


def _frames(speech: Pcm) -> npt.NDArray[np.float32]:
    """Pieces of speech that are not silent, one each hop: (frames, samples)."""
    size = _WINDOW + _LAGS
    if len(speech) < size:
        return np.zeros((0, size), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(speech, size)[::_HOP]
    power = np.square(frames[:, :_WINDOW]).mean(1)
    heard: npt.NDArray[np.float32] = frames[power > max(_FAINT * np.percentile(power, 95), 1e-8)]
    return heard


def _melody(differences: Array) -> Array:
    """f0 of each frame in Hz, 0 where there is no voice.

    Read twice: the second time between bounds that follow from the quartiles of the first (De Looze and Hirst
    2008), where octave errors lie outside.
    """
    first = _f0(differences, _LOWEST_HZ, _HIGHEST_HZ)
    if not first.any():
        return first
    lower, upper = np.percentile(first[first > 0], [25, 75])
    return _f0(differences, max(0.75 * lower, _LOWEST_HZ), min(1.7 * upper, _HIGHEST_HZ))


def _differences(frames: npt.NDArray[np.float32]) -> Array:
    """The cumulative mean normalised difference of each frame, (frames, lags).

    That of YIN (de Cheveigné and Kawahara 2002).
    """
    assert _FFT >= _WINDOW + _LAGS, "no lag wraps around"
    parts = [np.ones((0, _LAGS))]
    for at in range(0, len(frames), _AT_A_TIME):
        block = frames[at : at + _AT_A_TIME].astype(np.float64)
        window = np.fft.rfft(block[:, :_WINDOW], _FFT)
        product = np.fft.irfft(window.conj() * np.fft.rfft(block, _FFT), _FFT)[:, :_LAGS]
        energy = np.cumsum(np.pad(np.square(block), ((0, 0), (1, 0))), axis=1)
        powers = energy[:, _WINDOW : _WINDOW + _LAGS] - energy[:, :_LAGS]
        difference = np.maximum(powers[:, :1] + powers - 2 * product, 0)
        sums = np.cumsum(difference[:, 1:], axis=1)
        normal = np.ones_like(difference)
        normal[:, 1:] = difference[:, 1:] * np.arange(1, _LAGS) / np.maximum(sums, 1e-12)
        parts.append(normal)
    return np.concatenate(parts)


def _f0(differences: Array, lowest: float, highest: float) -> Array:
    """f0 between these bounds in Hz, 0 for frames that are not periodic."""
    if not len(differences):
        return np.zeros(0)
    first, last = int(RATE / highest), min(int(RATE / lowest) + 1, _LAGS - 2)
    inner = differences[:, first : last + 1]
    # The first dip that is nearly the deepest: the deepest of all may lie at two periods.
    deep = inner <= inner.min(1, keepdims=True) + 0.1
    dip = deep & (inner <= differences[:, first - 1 : last]) & (inner <= differences[:, first + 1 : last + 2])
    lag = np.argmax(dip, axis=1) + first
    rows = np.arange(len(lag))
    depth = differences[rows, lag]
    before, after = differences[rows, lag - 1], differences[rows, lag + 1]
    bend = np.maximum(before - 2 * depth + after, 1e-12)
    shift = np.clip((before - after) / (2 * bend), -0.5, 0.5)
    return np.where(dip.any(1) & (depth < _PERIODIC), RATE / (lag + shift), 0.0)


def _envelope(frames: npt.NDArray[np.float32]) -> Array:
    """The mean of the log envelopes of voiced frames, by linear prediction, over :data:`_SCALE`."""
    emphasised = frames[:, 1:] - _PRE_EMPHASIS * frames[:, :-1]
    power = np.square(np.abs(np.fft.rfft(emphasised * np.hanning(frames.shape[1] - 1), _FFT)))
    correlation = np.fft.irfft(power)[:, : _LPC_ORDER + 1]
    correlation[:, 0] = correlation[:, 0] * 1.0001 + 1e-9  # so that there is always a solution
    lags = np.abs(np.subtract.outer(np.arange(_LPC_ORDER), np.arange(_LPC_ORDER)))
    predictors = np.linalg.solve(correlation[:, lags], correlation[:, 1:, None])[:, :, 0]
    inverse = np.fft.rfft(np.hstack([np.ones((len(predictors), 1)), -predictors]), _FFT)
    envelope = -np.log(np.abs(inverse) + 1e-9).mean(0)
    values: Array = np.interp(np.exp(_SCALE), np.arange(len(envelope)) * RATE / _FFT, envelope)
    return values


def _likeness(spectrum: Array, other: Array, step: int) -> float:
    """The correlation of two envelopes, the other's moved up by so many steps, without their parabolas."""
    inside = _COMPARED.copy()
    inside[: max(step, 0)] = False
    inside[len(inside) + min(step, 0) :] = False
    places = np.flatnonzero(inside)
    one, two = (_flat(values, places) for values in (spectrum[places], other[places - step]))
    return float(one @ two / max(math.sqrt(float(one @ one) * float(two @ two)), 1e-12))


def _flat(values: Array, places: npt.NDArray[np.intp]) -> Array:
    x = places / len(_SCALE)
    flat: Array = values - np.polyval(np.polyfit(x, values, 2), x)
    return flat
