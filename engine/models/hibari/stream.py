"""One stream of the bundled voice: phrases in, frames of 100 ms with their words out."""

import math
from collections.abc import Iterator

import numpy as np

from engine.models.hibari.phrase import Phrase
from engine.models.hibari.sentences import Word
from engine.models.hibari.synthesis import HOP, HOP_SECONDS, Synthesizer
from engine.origin import Origin
from engine.speech import Frame, Pcm, WordTime

FRAME_HOPS = 8
"""Length of a frame: 8 hops of 300 samples, 100 ms."""

_LOOKAHEAD_HOPS = 120  # less than this left to say, and the next phrase is wanted


class Stream:
    """Speaks segment after segment with one synthesizer, so that pitch phase and noise run on.

    ``origin`` is on whose behalf, for the log.
    """

    def __init__(self, synthesizer: Synthesizer) -> None:
        self.origin: Origin | None = None
        self._synthesizer = synthesizer
        self.begin(iter(()))

    def begin(self, phrases: Iterator[Phrase]) -> None:
        """Take on the next segment; its phrases are asked for one at a time, when they are needed."""
        self._phrases = phrases
        self._following: Phrase | None = None
        self._more = True
        self._pause_hops = 0
        self._hop = 0
        self._words: list[WordTime] = []
        self._latest: Word | None = None

    @property
    def hops_left(self) -> int:
        """What is left of the current phrase and its pause."""
        return self._synthesizer.hops_left + self._pause_hops

    @property
    def wants_phrase(self) -> bool:
        """Whether the current phrase is about to end and nobody knows what follows."""
        return self._more and self._following is None and self.hops_left < _LOOKAHEAD_HOPS

    def prepare(self) -> None:
        """Have the next phrase ready, if there is one."""
        if self._more and self._following is None:
            self._following = next(self._phrases, None)
            self._more = self._following is not None

    def next_frame(self) -> Frame:
        """The next 100 ms, or what is left of the segment."""
        pieces: list[Pcm] = []
        end = self._hop + FRAME_HOPS
        while self._hop < end and (self.hops_left or self._begin_following()):
            missing = end - self._hop
            if self._synthesizer.hops_left:
                piece = self._synthesizer.advance(missing)
            else:
                piece = np.zeros(min(missing, self._pause_hops) * HOP, np.float32)
                self._pause_hops -= len(piece) // HOP
            pieces.append(piece)
            self._hop += len(piece) // HOP
        if not self.hops_left:
            self.prepare()
        last = not self.hops_left and self._following is None
        words = self._words_begun(math.inf if last else self._hop * HOP_SECONDS)
        return Frame(np.concatenate(pieces), words, last)

    def _begin_following(self) -> bool:
        self.prepare()
        phrase, self._following = self._following, None
        if phrase is None:
            return False
        self._synthesizer.start(phrase.spectra, phrase.timbre)
        self._pause_hops = phrase.pause_hops
        offset = self._hop * HOP_SECONDS
        for word, start, end in phrase.words:
            if word != self._latest:  # a word too long for one phrase was given with its first
                self._words.append(WordTime(word.text, offset + start, offset + end, word.start, word.end))
                self._latest = word
        return True

    def _words_begun(self, seconds: float) -> tuple[WordTime, ...]:
        """The words that begin before a time and were not given yet."""
        begun = tuple(word for word in self._words if word.start < seconds)
        self._words = self._words[len(begun) :]
        return begun
