"""When words are heard, estimated: the model tells no times, so a segment's words are spread over its audio.

Each word has a nominal length by its letters and script. How fast the voice really speaks is learnt from the
segments of the stream that are finished; the first one begins with an average. Within a segment the error grows
until its end is known, then what is left is fitted in exactly.
"""

from dataclasses import dataclass

import regex

from engine.speech import WordTime

# Scripts that are written without spaces: each sign (grapheme cluster) counts as a word.
_SIGNS = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Yi}"
_LETTER = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{_SIGNS}]]"
_WORD = regex.compile(
    r"(?V1)<\|speaker:[0-9]{1,3}\|>|\[[^\[\]\n]{1,78}\]"  # no words: they are found here to be skipped
    rf"|(?<sign>(?=[{_SIGNS}])\X[ーｰ]*+)"
    rf"|(?<word>{_LETTER}++(?:(?:['’\-‐‑_.@&+/]|(?<=\p{{N}})[,:](?=\p{{N}})){_LETTER}++)*+)"
)

# Seconds at an average pace. A word of an alphabet takes _WORD_SECONDS and so much for each letter.
_WORD_SECONDS = 0.1
_LETTER_SECONDS = 0.05
_CLASSES = [
    (regex.compile(r"\p{Han}"), 0.22),  # a syllable each
    (regex.compile(r"[\p{Hiragana}\p{Katakana}ーｰ]"), 0.13),  # a mora
    (regex.compile(r"\p{Hangul}"), 0.16),
    (regex.compile(r"\p{N}"), 0.25),  # a word each
    (regex.compile(r"[\p{Arabic}\p{Hebrew}]"), 0.08),  # vowels are mostly not written
    (regex.compile(r"\p{M}"), 0.02),
]
_LONG_PAUSE, _LONG_PAUSE_SECONDS = regex.compile(r"[.!?…。！？｡؟।\n]"), 0.45
_SHORT_PAUSE, _SHORT_PAUSE_SECONDS = regex.compile(r"[,;:–—、，；：､،]"), 0.2

SILENCE = 1e-3
"""RMS (-60 dBFS) below which speech is silent in any case."""

_PRIOR_SECONDS = 2.0  # of speech at the average pace, which the first segments are weighed against
_KEPT = 0.7  # of the weight of what was learnt, with each segment
_SLOWEST, _FASTEST = 2.5, 0.4  # what counts of a segment's pace: beyond, the text was not what was said


@dataclass(frozen=True, slots=True)
class _Word:
    """Where a word stands in the text, and from when to when it is said at an average pace."""

    start_char: int
    end_char: int
    start: float
    end: float


class WordEstimator:
    """The words of one stream, segment after segment."""

    def __init__(self) -> None:
        self._spoken = self._nominal = _PRIOR_SECONDS

    @property
    def pace(self) -> float:
        """Seconds that the voice takes for what is nominally one second."""
        return self._spoken / self._nominal

    def segment(self, text: str, pause: float = 0.0) -> "SegmentWords":
        """Begin a segment, with ``pause`` seconds of silence before its audio."""
        return SegmentWords(self, text, pause)

    def _learn(self, seconds: float, nominal: float) -> None:
        seconds = min(max(seconds, _FASTEST * nominal), _SLOWEST * nominal)
        self._spoken = _KEPT * self._spoken + seconds
        self._nominal = _KEPT * self._nominal + nominal


class SegmentWords:
    """The words of one segment, made by :meth:`WordEstimator.segment`.

    Times are in order, do not overlap and lie within the audio, so a word is told when it is over: at the latest
    with the end of the segment. ``seconds`` are those of the segment's audio so far, without the pause before it;
    the times that come out count from the beginning of that pause.
    """

    def __init__(self, estimator: WordEstimator, text: str, pause: float) -> None:
        self._estimator = estimator
        self._pace = estimator.pace
        self._text = text
        self._pause = pause
        self._words = _words(text)
        self._told = 0
        self._lead = 0.0
        self._silent = True

    def hear(self, rms: float, seconds: float) -> None:
        """How loud the audio up to ``seconds`` is since the last call: words begin after the leading silence."""
        self._silent = self._silent and rms < SILENCE
        if self._silent:
            self._lead = seconds

    def until(self, seconds: float) -> tuple[WordTime, ...]:
        """The words that have been said since the last call."""
        first = self._told
        # The last word waits for the end, which it is fitted to.
        while self._told < len(self._words) - 1 and self._at(self._words[self._told].end) <= seconds:
            self._told += 1
        return tuple(
            self._time(word, self._at(word.start), self._at(word.end))
            for word in self._words[first : self._told]
        )

    def end(self, seconds: float) -> tuple[WordTime, ...]:
        """The segment is over: all that is left of its words. Call it once."""
        if not self._words:
            return ()
        left, nominal_end = self._words[self._told :], self._words[-1].end
        nominal = self._words[self._told - 1].end if self._told else 0.0
        begin = min(self._at(nominal), seconds)
        scale = (seconds - begin) / (nominal_end - nominal)
        self._told = len(self._words)
        if seconds > self._lead:
            self._estimator._learn(seconds - self._lead, nominal_end)

        def at(time: float) -> float:
            return min(begin + (time - nominal) * scale, seconds)

        return tuple(self._time(word, at(word.start), at(word.end)) for word in left)

    def _at(self, nominal: float) -> float:
        return self._lead + nominal * self._pace

    def _time(self, word: _Word, start: float, end: float) -> WordTime:
        spelt = self._text[word.start_char : word.end_char]
        return WordTime(spelt, self._pause + start, self._pause + end, word.start_char, word.end_char)


def _words(text: str) -> list[_Word]:
    """The words of a text at an average pace; tags in brackets and speaker marks are none."""
    words: list[_Word] = []
    now = 0.0
    for match in _WORD.finditer(text):
        if match.lastgroup is None:
            continue
        if words:
            now += _pause(text[words[-1].end_char : match.start()])
        end = now + _length(match.group(), alone=match.lastgroup == "sign")
        words.append(_Word(match.start(), match.end(), now, end))
        now = end
    return words


def _length(word: str, *, alone: bool) -> float:
    seconds = 0.0
    rest = word
    for letters, each in _CLASSES:
        rest, count = letters.subn("", rest)
        seconds += count * each
    return seconds + len(rest) * _LETTER_SECONDS + (0.0 if alone or not rest else _WORD_SECONDS)


def _pause(between: str) -> float:
    if _LONG_PAUSE.search(between):
        return _LONG_PAUSE_SECONDS
    return _SHORT_PAUSE_SECONDS if _SHORT_PAUSE.search(between) else 0.0
