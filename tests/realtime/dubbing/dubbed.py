"""What can be heard in a dub, and when."""

import numpy as np

from tests.hearing import transcribe, word_error_rate


def onset(pcm: np.ndarray, rate: int, after: float) -> float:
    """When something is first heard (10 ms RMS above 0.01) after so many seconds."""
    window = rate // 100
    begin = round(after * rate)
    levels = np.sqrt(np.convolve(pcm[begin:] ** 2, np.full(window, 1 / window), "valid"))
    assert (levels > 0.01).any(), f"nothing is heard after {after} s"
    return (begin + int(np.argmax(levels > 0.01))) / rate


def words_wrong(text: str, pcm: np.ndarray, rate: int, start: float, end: float) -> float:
    """The share of words that are not heard there as they should be.

    The best of several hearings: now and then the recogniser hears a "You" before what begins at once.
    """
    piece = pcm[max(0, round((start - 0.05) * rate)) : round((end + 0.05) * rate)]
    heard = (transcribe(np.pad(piece, round(silence * rate)), rate) for silence in (0.3, 0.2, 0.45))
    return min(word_error_rate(text, one) for one in heard)
