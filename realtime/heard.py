"""Which words of a reply were heard, given how much of what was sent of it was. Decides; does no I/O."""

from collections import deque
from collections.abc import Sequence

from realtime.utterance import HEARD_SHARE, SpokenWord


class HeardWords:
    """The words of one utterance on their way to a listener.

    Its times are those of its speech; the packets it is sent in last longer by what fills up the last packet
    before each silence. A word counts as heard as soon as half of it was. Positions do not go back.
    """

    def __init__(self) -> None:
        self._words: deque[SpokenWord] = deque()
        self._speech = 0.0
        # From which position of the packets on speech is heard, and from where in the speech.
        self._runs: deque[tuple[float, float]] = deque([(0.0, 0.0)])

    def add(self, seconds: float, words: Sequence[SpokenWord]) -> None:
        """So much more speech, with the words that begin in it.

        A word that was written as one and is spoken as several comes again with each.
        """
        self._speech += seconds
        for word in words:
            if self._words and self._words[-1].start_char == word.start_char:
                self._words.pop()
            self._words.append(word)

    def fill(self, sent: float) -> None:
        """All speech so far lies in the first ``sent`` seconds of the packets; what follows begins there."""
        if self._runs[-1] != (sent, self._speech):
            self._runs.append((sent, self._speech))

    def speech(self, position: float) -> float:
        """How much of the speech lies in the first ``position`` seconds of the packets."""
        while len(self._runs) > 1 and self._runs[1][0] <= position:
            self._runs.popleft()
        until = self._runs[1][1] if len(self._runs) > 1 else self._speech
        began, speech = self._runs[0]
        return min(until, speech + max(0.0, position - began))

    def take(self, position: float) -> tuple[SpokenWord, ...]:
        """The words that were heard by ``position`` seconds of the packets. Each is returned once."""
        heard = self.speech(position)
        words: list[SpokenWord] = []
        while self._words:
            word = self._words[0]
            if word.start + HEARD_SHARE * (word.end - word.start) > heard:
                break
            words.append(self._words.popleft())
        return tuple(words)
