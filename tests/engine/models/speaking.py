"""Speaking with the bundled voice in tests: one model for the whole run, and a stream spoken to its end."""

from dataclasses import dataclass
from functools import cache
from itertools import count

import numpy as np

from engine.errors import SpeechError
from engine.models.hibari import HibariModel
from engine.speech import Frame, Pcm, Sampling, Segment, StreamId, StreamOptions, WordTime

RATE = 24_000
_ids = count(1)


@cache
def model() -> HibariModel:
    made = HibariModel()
    made.warm()
    return made


@dataclass(frozen=True)
class Spoken:
    """What was said: all samples, the words in seconds of the stream, and the frames of each segment."""

    pcm: Pcm
    words: list[WordTime]
    segments: list[list[Frame]]

    def seconds(self) -> float:
        return len(self.pcm) / RATE


def speak(*segments: Segment | str, voice: str = "heart", speed: float = 1.0, seed: int | None = 1) -> Spoken:
    """One stream from its first segment to its last."""
    stream = StreamId(next(_ids))
    options = StreamOptions((voice,), speed, Sampling(seed=seed))
    spoken: list[list[Frame]] = []
    words: list[WordTime] = []
    try:
        for segment in segments:
            start = sum(len(frame.pcm) for frames in spoken for frame in frames) / RATE
            model().prefill(stream, Segment(segment) if isinstance(segment, str) else segment, options)
            spoken.append(list(finish(stream)))
            for frame in spoken[-1]:
                words += [
                    WordTime(word.text, start + word.start, start + word.end, word.start_char, word.end_char)
                    for word in frame.words
                ]
    finally:
        model().release(stream)
    return Spoken(np.concatenate([frame.pcm for frames in spoken for frame in frames]), words, spoken)


def finish(stream: StreamId) -> list[Frame]:
    """The rest of a stream's segment."""
    frames = []
    while not frames or not frames[-1].last:
        frame = step(stream)
        frames.append(frame)
    return frames


def step(stream: StreamId) -> Frame:
    (frame,) = model().step([stream])
    if isinstance(frame, SpeechError):
        raise frame
    return frame


def level(pcm: Pcm, milliseconds: int = 10) -> Pcm:
    """RMS over windows of so many milliseconds, one for each millisecond."""
    step, width = RATE // 1000, RATE // 1000 * milliseconds
    windows = np.lib.stride_tricks.sliding_window_view(pcm, width)[::step]
    return np.sqrt(np.square(windows).mean(1))


def onset(pcm: Pcm) -> float:
    """When speech becomes audible, in seconds: the end of the first 10 ms with an RMS above 0.01."""
    return int(np.argmax(level(pcm) > 0.01)) / 1000 + 0.01


def pitches(pcm: Pcm) -> Pcm:
    """f0 in Hz of every voiced 60 ms, by autocorrelation between 60 and 500 Hz."""
    width, taper = 1440, np.hanning(1440)
    bias = _autocorrelation(taper)
    found = []
    for start in range(0, len(pcm) - width, 480):
        window = pcm[start : start + width]
        if np.sqrt(np.square(window).mean()) < 0.03:
            continue
        correlation = _autocorrelation(window * taper) / bias
        lags = correlation[RATE // 500 : RATE // 60]
        if lags.max() > 0.7 * correlation[0]:
            # The first peak that is nearly the highest: the highest may be at two periods.
            peak = int(np.argmax(lags > 0.85 * lags.max()))
            while peak + 1 < len(lags) and lags[peak + 1] > lags[peak]:
                peak += 1
            found.append(RATE / (peak + RATE // 500))
    return np.array(found, np.float32)


def _autocorrelation(window: np.ndarray) -> np.ndarray:
    return np.fft.irfft(np.square(np.abs(np.fft.rfft(window, 4096))))[: RATE // 60]
