"""Ears for the tests: what a recogniser hears in audio, and how far that is from what was to be said.

They are not the product's own (``realtime.ears``), though both use Moonshine: what judges the product's speech
shall not change with the product.
"""

import re
from functools import cache

import moonshine_voice
import numpy as np
import numpy.typing as npt
from hibari.g2p.normalize import normalize
from hibari.g2p.numbers import cardinal

HEARING_RATE = 16_000
_LONGEST = 7 * HEARING_RATE  # given more at a time, the recogniser loses words, or says a phrase twice
_WORD = re.compile(r"[a-z0-9']+")


@cache
def _recogniser() -> moonshine_voice.Transcriber:
    return moonshine_voice.Transcriber(
        moonshine_voice.get_model_path("tiny-en"), moonshine_voice.ModelArch.TINY
    )


def transcribe(pcm: npt.NDArray[np.float32], sample_rate: int) -> str:
    """The words in mono audio at any rate, as Moonshine tiny hears them. Long audio is cut in its pauses."""
    audio = resample(pcm, sample_rate, HEARING_RATE)
    texts = []
    for piece in _pieces(audio):
        padded = np.pad(piece, HEARING_RATE // 4)
        lines = _recogniser().transcribe_without_streaming(padded.tolist(), HEARING_RATE).lines
        texts += [line.text.strip() for line in lines]
    return " ".join(texts)


def word_error_rate(reference: str, heard: str) -> float:
    """Insertions, deletions and substitutions for each word of the reference.

    Case, punctuation and the way in which numbers are written do not count.
    """
    expected, got = _words(reference), _words(heard)
    row = list(range(len(got) + 1))
    for i, word in enumerate(expected, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(got, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1] / max(len(expected), 1)


def resample(pcm: npt.NDArray[np.float32], source: int, target: int) -> npt.NDArray[np.float32]:
    """Mono audio at another rate, by cutting off or adding the top of its spectrum."""
    if source == target or not len(pcm):
        return np.asarray(pcm, np.float32)
    length = round(len(pcm) * target / source)
    spectrum = np.fft.rfft(pcm)[: length // 2 + 1]
    return (np.fft.irfft(spectrum, length) * (length / len(pcm))).astype(np.float32)


def _pieces(audio: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    pieces = []
    while len(audio) > _LONGEST:
        window = audio[_LONGEST // 2 : _LONGEST]
        hop = HEARING_RATE // 20
        level = np.abs(window[: len(window) // hop * hop]).reshape(-1, hop).mean(1)
        cut = _LONGEST // 2 + int(level.argmin()) * hop + hop // 2
        pieces.append(audio[:cut])
        audio = audio[cut:]
    return [*pieces, audio]


def _words(text: str) -> list[str]:
    text = normalize(text).lower().replace("-", " ").replace("’", "'")
    text = re.sub(r"\$(\d+)", r"\1 dollars", re.sub(r"(?<=\d),(?=\d{3})", "", text))
    text = re.sub(r"(?<=\d)\.(?=\d)", " point ", text)
    text = re.sub(r"\d+", lambda number: f" {cardinal(int(number.group()))} ", text)
    return [word.replace("'", "") for word in _WORD.findall(text.replace("-", " "))]
