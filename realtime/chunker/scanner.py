"""Finds the places where a text may be cut, once, as it arrives."""

import re
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import regex

from realtime.chunker.markup import MAX_TAG, speaker_end, tag_end
from realtime.chunker.unspaced import LETTERS, breaks
from realtime.chunker.vocabulary import ALWAYS_OPEN, CLOSERS, LOOSE_ENDS, QUOTES, SENTENCE_ENDS, UNSPACED_ENDS
from realtime.chunker.words import LOOKAHEAD, Boundary, grade

MAX_SPAN = 60
"""A quotation or bracket is held together up to this length; one that is not closed by then is cut as text."""

# From here on are the scripts that put no space between words: Han, kana and their punctuation.
_UNSPACED = "\u2e80"
_QUOTING = "".join({*QUOTES, *"".join(QUOTES.values())})
_LANDMARK = re.compile(
    rf"(\s)|(<)|(\[)|([{UNSPACED_ENDS}])|((?<=[{_UNSPACED}-\uabff\uf900-\uffef])[{LOOSE_ENDS}])"
    rf"|([{re.escape(_QUOTING)}])|([{LETTERS}])"
)
_SPACE = re.compile(r"\s+")
_ENDS = UNSPACED_ENDS + LOOSE_ENDS
_CLOSING = CLOSERS.translate({ord(char): None for char in "“«‹"})
_UNSPACED_END: re.Pattern[str] = regex.compile(
    rf"[{_ENDS}][{_ENDS}{re.escape(_CLOSING)}\p{{M}}\u200d]{{0,{LOOKAHEAD - 1}}}"
)
LONGEST_WORD = 64
"""Of a longer word, its end tells as much. So much of what was taken is looked at again."""


class Mark(NamedTuple):
    """A place where the text may be cut."""

    position: int
    boundary: Boundary


class _Span(NamedTuple):
    """A quotation or bracket that is open."""

    start: int
    closers: str


@dataclass(slots=True)
class _View:
    """What of the text is in sight: it begins at ``base``, and ends at ``stop`` for good if ``final``."""

    text: str
    base: int
    stop: int
    final: bool


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
        self._dropped = 0  # no place up to here is of use any more
        self._word = 0  # where the word began that is being read
        self._before = ""  # the word before it on the same line
        self._spans: list[_Span] = []  # the outermost first
        self._steps = (
            self._space,
            self._angle,
            self._square,
            self._unspaced_end,
            self._loose_end,
            self._quote,
            self._unspaced,
        )

    @property
    def held(self) -> int | None:
        """Where a quotation or bracket begins that may yet be short: nothing behind is to be cut for now."""
        return self._spans[0].start if self._spans else None

    def closes(self, char: str) -> bool:
        """Whether this sign would close all that is open."""
        return bool(self._spans) and char in self._spans[0].closers

    def begin(self, position: int) -> None:
        """A new text begins here, which has nothing to do with the one before: a turn, or after a flush."""
        self.drop(position)
        self.turn = None
        self._word = position
        self._before = ""
        self._spans.clear()

    def drop(self, position: int) -> None:
        """Everything up to here was taken."""
        marks = self.marks
        while marks and marks[0].position <= position:
            marks.popleft()
        self.position = max(self.position, position)
        self._dropped = max(self._dropped, position)
        if self._spans and self._spans[0].start < position:
            self._spans = [span for span in self._spans if span.start >= position]

    def step_over(self, text: str, base: int, start: int, end: int) -> None:
        """What is from ``start`` to ``end`` was dropped, perhaps before it was scanned: it is white space."""
        unscanned = end > self.position
        self.drop(end)
        if unscanned:
            first, last = start - base, end - base
            self._before = text[max(self._word - base, first - LONGEST_WORD, 0) : first] or self._before
            self._new_word(end, text[first:last])

    def scan(self, text: str, base: int, end: int, reach: int, *, final: bool) -> None:
        """Scan on, up to ``reach``. The text begins at ``base`` and ends at ``end``, for good if ``final``."""
        stop = min(end, reach + MAX_TAG + LOOKAHEAD) - base
        view = _View(text, base, stop, final and stop == end - base)
        reach -= base
        index = self.position - base
        search = _LANDMARK.search
        while self.turn is None and (match := search(text, index, stop)):
            index = match.start()
            if index >= reach:
                break
            if self._spans:
                self._expire(index + base)
            kind = match.lastindex
            assert kind is not None
            after = self._steps[kind - 1](view, index)
            if after is None:
                self.position = index + base
                return
            index = after
        if self.turn is None:
            # A tag may have led past the reach: never resume inside it.
            index = max(index, min(stop, reach))
        self.position = index + base
        self._expire(self.position)
        if view.final and self.position == end:
            self._spans.clear()

    def words_to_come(self, text: str, base: int) -> list[str]:
        """The words that are not decided yet."""
        return text[max(self._word - base, 0) :].split()

    def bound(self, words: list[str]) -> bool:
        """Whether the last of them, or of what is decided, belongs to what follows, if it ended there."""
        if not words:
            return bool(self.marks) and self.marks[-1].boundary is Boundary.INSIDE
        before = words[-2] if len(words) > 1 else self._before
        return grade(words[-1], before, " ", 0, 1, final=True) is Boundary.INSIDE

    def _mark(self, position: int, boundary: Boundary) -> None:
        if not self.marks or self.marks[-1].position < position:
            self.marks.append(Mark(position, boundary))

    def _new_word(self, position: int, space: str) -> None:
        """A word begins here, behind that white space."""
        self._word = position
        if "\n" in space:
            # A quotation does not go on in the next paragraph, and a list begins at a line's start.
            self._before = ""
            self._spans.clear()

    # -- landmarks: each says where to go on, or None if more text could change what it is ----------

    def _space(self, view: _View, index: int) -> int | None:
        """White space: a place to cut if a word ends before it."""
        text, base = view.text, view.base
        began = self._word - base
        if began < index:
            word = text[max(began, index - LONGEST_WORD, 0) : index]
            boundary = grade(word, self._before, text, index, view.stop, final=view.final)
            if boundary is None:
                return None
            self._mark(index + base, boundary)
            self._before = word
        match = _SPACE.match(text, index, view.stop)
        assert match is not None
        self._new_word(match.end() + base, match[0])
        return match.end()

    def _angle(self, view: _View, index: int) -> int | None:
        """The "<" of a speaker mark, or a mere one."""
        end = speaker_end(view.text, index, view.stop, final=view.final)
        if end is not None and end > index:
            self.turn = index + view.base
            self._mark(self.turn, Boundary.SENTENCE)
            self._spans.clear()
            return index
        return end if end is None else index + 1

    def _square(self, view: _View, index: int) -> int | None:
        """The "[" of a tag, or a mere one."""
        end = tag_end(view.text, index, view.stop, final=view.final)
        return index + 1 if end == index else end

    def _unspaced_end(self, view: _View, index: int) -> int | None:
        """Punctuation of a script that puts no space after it."""
        text, base = view.text, view.base
        match = _UNSPACED_END.match(text, index, view.stop)
        assert match is not None
        run, after = match[0], match.end()
        if after == view.stop and len(run) < LOOKAHEAD and not view.final:
            return None
        following = text[after : after + 1] if after < view.stop else ""
        if len(run) == 1 and following.isdigit() and index + base > self._word and text[index - 1].isdigit():
            return after  # "9：30"
        for offset, char in enumerate(run):
            if not self._close(char) and char == '"':
                # It opens what follows.
                run, after, following = run[:offset], index + offset, char
                break
        boundary = Boundary.CLAUSE
        if any(char in SENTENCE_ENDS and char != "…" for char in run) and not (
            # 「はい。」と言った: the sentence goes on behind the quotation.
            run[-1] in CLOSERS and following.isalnum()
        ):
            boundary = Boundary.SENTENCE
        self._word = after + base
        self._before = run
        self._mark(self._word, boundary)
        return after

    def _loose_end(self, view: _View, index: int) -> int | None:
        """Punctuation that may be such, if letters of such a script are on both sides."""
        if index + view.base == self._word:
            return index + 1
        match = _UNSPACED_END.match(view.text, index, view.stop)
        assert match is not None
        if match.end() == view.stop:
            return index + 1 if view.final else None
        return self._unspaced_end(view, index) if view.text[match.end()] >= _UNSPACED else index + 1

    def _quote(self, view: _View, index: int) -> int | None:
        """A sign that opens or closes a quotation or bracket, or an apostrophe or the like."""
        text, char, position = view.text, view.text[index], index + view.base
        following = text[index + 1] if index + 1 < view.stop else ""
        if not following and not view.final and char not in ALWAYS_OPEN:
            if char in QUOTES or self._spans:
                return None
            return index + 1
        if char == "’" and following.isalnum():
            return index + 1
        if not self._close(char) and char in QUOTES and self._opens(view, index, following):
            self._spans.append(_Span(position, QUOTES[char]))
        return index + 1

    def _unspaced(self, view: _View, index: int) -> int | None:
        """Letters of a script that puts no space between words: places to cut within."""
        end, places = breaks(view.text, index, view.stop, final=view.final)
        for place, boundary in places:
            if place + view.base > self._dropped:
                self._mark(place + view.base, boundary)
        return end if end > index else None

    def _opens(self, view: _View, index: int, following: str) -> bool:
        """Whether the sign opens something: only where the word begins, and something follows."""
        char = view.text[index]
        if char in ALWAYS_OPEN:
            return True
        first = index + view.base == self._word
        if char == "«" and first and following.isspace():
            return True  # French sets its quotation marks off
        if char == "(":
            return bool(following) and not following.isspace()
        if not (following.isalnum() or (following and following in "¿¡$€£([“‘„'*_…#@")):
            return False
        before = "" if first else view.text[index - 1]
        return not before.isalnum() or before >= _UNSPACED

    # -- quotations and brackets --------------------------------------------------------------------

    def _close(self, char: str) -> bool:
        """Close what this sign closes: what is inside is not to be cut. False if there is no such thing."""
        for depth in reversed(range(len(self._spans))):
            span = self._spans[depth]
            if char in span.closers:
                del self._spans[depth:]
                inside = []
                while self.marks and self.marks[-1].position > span.start:
                    inside.append(Mark(self.marks.pop().position, Boundary.INSIDE))
                self.marks.extend(reversed(inside))
                return True
        return False

    def _expire(self, position: int) -> None:
        """Give up those that are too long by now."""
        while self._spans and position - self._spans[0].start > MAX_SPAN:
            del self._spans[0]
