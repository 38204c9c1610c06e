"""Finds the places where a text may be cut, once, as it arrives."""

import re
from collections import deque
from typing import NamedTuple

from realtime.chunker.markup import MAX_TAG, speaker_end, tag_end
from realtime.chunker.words import CLOSERS, LOOKAHEAD, SENTENCE_ENDS, UNSPACED_ENDS, Boundary, grade

_LANDMARK = re.compile(rf"[\s<\[{UNSPACED_ENDS}]")
_SPACE = re.compile(r"\s+")
_UNSPACED_END = re.compile(rf"[{UNSPACED_ENDS}{re.escape(CLOSERS)}]{{1,{LOOKAHEAD}}}")
_LONGEST_WORD = 64  # of a longer word, its end tells as much


class Mark(NamedTuple):
    """A place where the text may be cut."""

    position: int
    boundary: Boundary


class Scanner:
    """Scans a stream once, from left to right. Positions count from the start of the stream.

    Each place is decided only when no later text could change it, so that the marks are the same however the
    text was split. ``marks`` are ascending; ``position`` is how far all is decided; ``turn`` is where the next
    speaker's turn begins, if the scan has come to one, and it goes no further until it is told to.
    """

    def __init__(self) -> None:
        self.marks: deque[Mark] = deque()
        self.position = 0
        self.turn: int | None = None
        self._word = 0  # where the word began that is being read

    def begin(self, position: int) -> None:
        """A new text begins here, which has nothing to do with the one before: a turn, or after a flush."""
        self.drop(position)
        self.turn = None
        self._word = position

    def drop(self, position: int) -> None:
        """Everything up to here was taken."""
        marks = self.marks
        while marks and marks[0].position <= position:
            marks.popleft()
        self.position = max(self.position, position)
        self._word = max(self._word, position)

    def scan(self, text: str, base: int, end: int, reach: int, *, final: bool) -> None:
        """Scan on, up to ``reach``. The text begins at ``base`` and ends at ``end``, for good if ``final``."""
        stop = min(end, reach + MAX_TAG + LOOKAHEAD) - base
        final = final and stop == end - base
        reach -= base
        index = self.position - base
        while self.turn is None and (match := _LANDMARK.search(text, index, stop)):
            index, char = match.start(), match[0]
            if index >= reach:
                break
            after: int | None
            if char == "<":
                after = self._angle(text, base, index, stop, final)
            elif char == "[":
                after = tag_end(text, index, stop, final=final)
                after = index + 1 if after == index else after
            elif char in UNSPACED_ENDS:
                after = self._unspaced_end(text, base, index, stop, final)
            else:
                after = self._space(text, base, index, stop, final)
            if after is None:
                self.position = index + base
                return
            index = after
        if self.turn is None:
            # A tag may have led past the reach: never resume inside it.
            index = max(index, min(stop, reach))
        self.position = index + base

    def _mark(self, position: int, boundary: Boundary) -> None:
        if not self.marks or self.marks[-1].position < position:
            self.marks.append(Mark(position, boundary))

    def _angle(self, text: str, base: int, index: int, stop: int, final: bool) -> int | None:
        """The "<" of a speaker mark, or a mere one."""
        end = speaker_end(text, index, stop, final=final)
        if end is not None and end > index:
            self.turn = index + base
            self._mark(self.turn, Boundary.SENTENCE)
            return index
        return end if end is None else index + 1

    def _unspaced_end(self, text: str, base: int, index: int, stop: int, final: bool) -> int | None:
        """Punctuation of a script that puts no space after it."""
        match = _UNSPACED_END.match(text, index, stop)
        assert match is not None
        if match.end() == stop and len(match[0]) < LOOKAHEAD and not final:
            return None
        ends = any(char in SENTENCE_ENDS for char in match[0])
        self._word = match.end() + base
        self._mark(self._word, Boundary.SENTENCE if ends else Boundary.CLAUSE)
        return match.end()

    def _space(self, text: str, base: int, index: int, stop: int, final: bool) -> int | None:
        """White space: a place to cut if a word ends before it."""
        began = self._word - base
        if began < index:
            boundary = grade(text[max(began, index - _LONGEST_WORD) : index], text, index, stop, final=final)
            if boundary is None:
                return None
            self._mark(index + base, boundary)
        match = _SPACE.match(text, index, stop)
        assert match is not None
        self._word = match.end() + base
        return match.end()
