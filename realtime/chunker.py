"""Tokens in, speakable segments out, while the text is still being written.

The text is scanned once, as it arrives, for the places where it may be cut: after a word, a clause or a
sentence. What is cut where then depends on how much speech the listener still has: a silent listener gets the
first few words as soon as they are a phrase; one who has seconds left waits for whole sentences, which sound
better. Where a cut may be never depends on how the text was split into tokens.
"""

import re
from collections import deque
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from engine import Segment
from realtime.request import Latency


class Boundary(IntEnum):
    """How well the text can be cut at a place."""

    CLINGING = 0  # after a word that belongs to the next, such as an article
    WORD = 1
    PHRASE = 2
    CLAUSE = 3
    SENTENCE = 4


@dataclass(frozen=True, slots=True)
class Pace:
    """When a segment leaves.

    ``first_words``: a silent listener gets a phrase of that many words. ``idle``: seconds without new text
    after which what is there is spoken. With less than ``urgent`` seconds of speech left the listener is served
    as if it were silent, with less than ``hurry`` the next longer phrase goes, with less than ``relaxed`` the
    next clause, with more only whole sentences.
    """

    first_words: int
    idle: float
    urgent: float
    hurry: float
    relaxed: float

    @property
    def turning_points(self) -> tuple[float, ...]:
        """How many seconds are left when something changes."""
        return self.relaxed, self.hurry, self.urgent


PACES = {
    Latency.LOW: Pace(first_words=3, idle=0.15, urgent=0.3, hurry=0.5, relaxed=1.5),
    Latency.BALANCED: Pace(first_words=4, idle=0.25, urgent=0.4, hurry=0.8, relaxed=2.5),
    Latency.NORMAL: Pace(first_words=8, idle=0.5, urgent=0.5, hurry=1.0, relaxed=4.0),
}

# Seconds by which a turning point may be early: a timer that was set for it must find it passed.
TOLERANCE = 0.001

SPEAKER = re.compile(r"<\|speaker:(\d{1,3})\|>")
MAX_SPEAKER_MARK = len("<|speaker:999|>")
# A tag is held together up to this length; a "[" that is not closed by then was only a bracket.
MAX_TAG = 80

# Words that end in a full stop without ending a sentence. Lower case, without the stop.
ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof sr jr st mt rev hon gen col capt lt sgt cmdr gov sen rep pres vs etc ed eds al "
    "cf inc ltd corp co dept univ assn bros ave blvd rd e.g i.e a.m p.m u.s u.k u.n jan feb mar apr jun "
    "jul aug sep sept oct nov dec bzw usw z.b d.h str bspw evtl ggf inkl sog u.a hr fr sra srta ud uds "
    "pág núm mme mlle m".split()
)
# The same, but only before a number.
NUMBER_ABBREVIATIONS = frozenset("approx no vol fig pp tel ext min max ca nr est".split())
# Words that begin a phrase: a speaker may take breath before one of them.
OPENERS = frozenset(
    "down up along across around off out and or but because that which who when where while if so than "
    "then though although unless until since as with without within into onto from for to in on at by "
    "of about after before between through over under during the a an my your his her its our their "
    "this these those".split()
)
# Words that belong to the next one: no breath is taken behind them.
CLINGING = OPENERS | frozenset(
    "no not very is are was were be been will would can could should may might must has have had do "
    "does did i you he she it we they there".split()
)
LONGEST_OPENER = max(map(len, OPENERS))
# How far past its place a cut may have to look; what is longer is no punctuation and no tag.
LOOKAHEAD = 32
SENTENCE_ENDS = ".!?…。！？｡؟۔।॥"
CLAUSE_ENDS = ",;:—、，；：､،؛"
# Scripts that put no space after their punctuation: the mark itself is the place to cut.
UNSPACED_ENDS = "。！？｡、，；：､"
CLOSERS = "\"'”’»›)]}）」』】》〉*_`"
_TAG = re.compile(rf"\[[^\s\[\]][^\[\]\n]{{0,{MAX_TAG - 3}}}\]")
_LANDMARK = re.compile(rf"[\s<\[{UNSPACED_ENDS}]")
_NEXT_WORD = re.compile(rf"\s{{1,{LOOKAHEAD}}}(\S{{1,{LONGEST_OPENER}}})(.?)", re.DOTALL)
_LAST_WORD = re.compile(r"\S+$")


class _Mark(NamedTuple):
    position: int
    boundary: Boundary


class Chunker:
    """Cuts one stream of text into segments. Sans-I/O: text and times in, segments out; times in seconds.

    Work and memory are linear in the text: it is scanned once, and no further ahead than one segment needs.

    >>> chunker = Chunker(PACES[Latency.BALANCED], chunk_length=200, min_chunk_length=50)
    >>> chunker.push("Hello there. How are", now=0.0)
    >>> chunker.take(now=0.0, ahead=0.0).text
    'Hello there.'
    """

    def __init__(self, pace: Pace, *, chunk_length: int, min_chunk_length: int) -> None:
        self._pace = pace
        self._chunk_length = max(chunk_length, 1)
        self._min_chunk_length = min(min_chunk_length, self._chunk_length)
        # Positions count from the start of the stream; _text holds it from _base on, _start is not yet taken.
        self._text = ""
        self._base = 0
        self._start = 0
        self._scanned = 0
        self._flushed = 0  # everything before leaves now
        self._marks: deque[_Mark] = deque()  # where it may be cut: behind _start, ascending
        self._turns: deque[tuple[int, int]] = deque()  # (position, speaker) of the speaker marks ahead
        self._speaker = 0
        self._last_push = 0.0

    @property
    def pending(self) -> int:
        """How many characters wait to be taken."""
        return self._end - self._start

    @property
    def _end(self) -> int:
        return self._base + len(self._text)

    def push(self, text: str, now: float) -> None:
        """More text, cut anywhere."""
        if text:
            self._text = self._text[self._start - self._base :] + text
            self._base = self._start
            self._last_push = now

    def flush(self) -> None:
        """What is there shall leave without waiting for more."""
        self._flushed = self._end

    def take(self, now: float, ahead: float) -> Segment | None:
        """The next segment, if a listener who has ``ahead`` seconds of speech left should hear it now.

        Call again until None; each segment that is taken adds to what is ahead.
        """
        ahead -= TOLERANCE
        while self._start < self._end:
            self._scan()
            cut = self._cut_flushed() if self._start < self._flushed else self._cut_live(now, ahead)
            if cut is None:
                return None
            if segment := self._take_until(*cut):
                return segment
        return None

    def due(self, now: float, ahead: float) -> float | None:
        """When to call :meth:`take` again if no text arrives before; None if only text can change it."""
        if self._start == self._end:
            return None
        times = [now + ahead - left for left in self._pace.turning_points]
        return min((time for time in (*times, self._last_push + self._pace.idle) if time > now), default=None)

    # -- where the text may be cut ------------------------------------------------------------------

    def _scan(self) -> None:
        """Find the cuts within reach. Each is decided only when no later text could change it."""
        reach = self._start + self._chunk_length + MAX_TAG
        if self._scanned < min(self._flushed, reach) and self._scan_to(self._flushed, reach, final=True):
            self._mark(self._flushed, Boundary.SENTENCE)
        if self._flushed <= self._scanned < reach:
            self._scan_to(self._end, reach, final=False)

    def _scan_to(self, end: int, reach: int, *, final: bool) -> bool:
        """Scan up to ``reach`` as if the text ended at ``end``; True if that end was reached."""
        window = self._text[self._start - self._base : end - self._base][
            : reach - self._start + MAX_TAG + LOOKAHEAD
        ]
        index = self._scanned - self._start
        while match := _LANDMARK.search(window, index):
            index, char = match.start(), match[0]
            if index + self._start >= reach:
                break
            step: int | None
            if char == "<":
                step = self._speaker_mark(window, index, final)
            elif char == "[":
                step = _tag_length(window, index, final)
            elif char in UNSPACED_ENDS:
                step = self._unspaced_end(window, index, final)
            else:
                step = self._space(window, index, final)
            if step is None:
                self._scanned = index + self._start
                return False
            index += step
        # A tag may have led past the reach: never resume inside it.
        self._scanned = index + self._start if match else max(index + self._start, min(end, reach))
        return self._scanned == end

    def _mark(self, position: int, boundary: Boundary) -> None:
        if position > self._start and (not self._marks or self._marks[-1].position < position):
            self._marks.append(_Mark(position, boundary))

    def _speaker_mark(self, window: str, index: int, final: bool) -> int | None:
        """Step over a speaker mark; None if it may still become one."""
        if match := SPEAKER.match(window, index):
            self._mark(index + self._start, Boundary.SENTENCE)
            self._turns.append((index + self._start, int(match[1])))
            return match.end() - index
        return 1 if final or not _may_become_speaker(window[index : index + MAX_SPEAKER_MARK]) else None

    def _unspaced_end(self, window: str, index: int, final: bool) -> int | None:
        """Punctuation of a script that puts no space after it."""
        after, furthest = index + 1, min(len(window), index + LOOKAHEAD)
        while after < furthest and window[after] in UNSPACED_ENDS + CLOSERS:
            after += 1
        if after == len(window) and not final:
            return None
        ends = any(char in SENTENCE_ENDS for char in window[index:after])
        self._mark(after + self._start, Boundary.SENTENCE if ends else Boundary.CLAUSE)
        return after - index

    def _space(self, window: str, index: int, final: bool) -> int | None:
        """White space: a place to cut if a word ends before it."""
        if (word := _LAST_WORD.search(window, 0, index)) is None:
            return 1
        boundary = _grade(word[0].rstrip(CLOSERS), window, index, final)
        if boundary is None:
            return None
        self._mark(index + self._start, boundary)
        return 1

    # -- when it is cut -----------------------------------------------------------------------------

    def _limit(self) -> int:
        """The furthest place the next segment may reach: the next speaker's turn, or the longest chunk."""
        turn = next((position for position, _ in self._turns if position > self._start), self._end)
        return min(turn, self._start + self._chunk_length)

    def _first(self, lowest: Boundary, limit: int, *, least: int = 1) -> _Mark | None:
        """The first cut up to ``limit`` of at least that grade, with ``least`` characters before it."""
        for mark in self._marks:
            if mark.position > limit:
                break
            if mark.boundary >= lowest and mark.position - self._start >= least:
                return mark
        return None

    def _last(self, lowest: Boundary, limit: int, *, least: int = 1) -> _Mark | None:
        """The last such cut."""
        best = None
        for mark in self._marks:
            if mark.position > limit:
                break
            if mark.boundary >= lowest and mark.position - self._start >= least:
                best = mark
        return best

    def _cut_flushed(self) -> _Mark:
        """A cut of text that leaves in any case: a sentence, or what is left if that is short."""
        limit = min(self._limit(), self._flushed)
        if mark := self._first(Boundary.SENTENCE, limit, least=self._min_chunk_length):
            return mark
        if limit == self._flushed or limit < self._start + self._chunk_length:
            return _Mark(limit, Boundary.SENTENCE)
        return self._cut_long(limit)

    def _cut_live(self, now: float, ahead: float) -> _Mark | None:
        """A cut of text that is still being written."""
        pace, limit = self._pace, self._limit()
        if ahead <= pace.urgent and (mark := self._first_phrase(limit)):
            return mark
        short = self._min_chunk_length // 2
        if ahead <= pace.hurry:
            mark = self._first(Boundary.PHRASE, limit, least=short)
            if mark is None and now - self._last_push >= pace.idle:
                mark = self._cut_idle(limit)
        elif ahead <= pace.relaxed:
            mark = self._first(Boundary.CLAUSE, limit, least=short)
        else:
            mark = self._first(Boundary.SENTENCE, limit, least=self._min_chunk_length)
        if mark is None and self._scanned > limit:
            return self._cut_long(limit)
        return mark

    def _first_phrase(self, limit: int) -> _Mark | None:
        """The first words for a silent listener: a clause, or some words, best up to a phrase's end."""
        least = self._pace.first_words
        for words, mark in enumerate(self._marks, start=1):
            if mark.position > limit:
                break
            spare = words - least
            if mark.boundary >= Boundary.CLAUSE or (mark.boundary is Boundary.PHRASE and spare >= 0):
                return mark
            if (mark.boundary is Boundary.WORD and spare >= 2) or spare >= 4:
                return mark
        return None

    def _cut_idle(self, limit: int) -> _Mark | None:
        """Nothing has come for a while: speak what is complete."""
        if self._end <= limit:
            text = self._text[self._start - self._base :].rstrip().rstrip(CLOSERS)
            if text and text[-1] in SENTENCE_ENDS + CLAUSE_ENDS:
                return _Mark(self._end, Boundary.SENTENCE)
            if self._text[self._scanned - self._base : self._scanned - self._base + 1].isspace():
                # Scanning waits here for the next word; that this one has ended is certain.
                return _Mark(self._scanned, Boundary.WORD)
        return self._last(Boundary.WORD, limit)

    def _cut_long(self, limit: int) -> _Mark:
        """The text has outgrown a segment: cut it where that does least harm."""
        half = (limit - self._start) // 2
        for boundary in reversed(Boundary):
            if mark := self._last(boundary, limit, least=half):
                return mark
        return _Mark(limit, Boundary.WORD)

    def _take_until(self, position: int, boundary: Boundary) -> Segment | None:
        """Take the text up to ``position``; None if there is nothing in it to speak."""
        if self._turns and self._turns[0][0] == self._start:
            self._speaker = self._turns.popleft()[1]
        text = SPEAKER.sub("", self._text[self._start - self._base : position - self._base]).strip()
        self._start = position
        self._scanned = max(self._scanned, position)
        while self._marks and self._marks[0].position <= position:
            self._marks.popleft()
        return Segment(text, self._speaker, open_ended=boundary < Boundary.SENTENCE) if text else None


def _may_become_speaker(head: str) -> bool:
    """Whether more text could make a speaker mark of this."""
    whole = "<|speaker:"
    if len(head) <= len(whole):
        return whole.startswith(head)
    digits, bar = head[len(whole) :].rstrip("|"), head.endswith("|")
    return head.startswith(whole) and len(digits) <= 3 and (digits.isdecimal() or (not digits and not bar))


def _tag_length(window: str, index: int, final: bool) -> int | None:
    """How far to step from the "[" here: over a whole tag, or over a mere bracket; None if still open."""
    if match := _TAG.match(window, index):
        return match.end() - index
    head = window[index : index + MAX_TAG]
    may_close = len(head) < MAX_TAG and _TAG.match(head + "x]" if head == "[" else head + "]")
    return None if may_close and not final else 1


def _grade(word: str, text: str, index: int, final: bool) -> Boundary | None:
    """How well the text can be cut at the space at ``index`` behind ``word``; None if that is still open."""
    if not word:
        return Boundary.WORD
    if text[index] == "\n":
        return Boundary.SENTENCE
    if word[-1] in CLAUSE_ENDS or word in {"-", "–"}:
        return Boundary.CLAUSE
    following = _NEXT_WORD.match(text, index)
    if word[-1] in SENTENCE_ENDS:
        if not following and not final:
            return None
        return Boundary.SENTENCE if _ends_sentence(word, following[1] if following else "") else Boundary.WORD
    if not following or not following[2]:
        if not final:
            return None
        return Boundary.WORD
    if word.lower() in CLINGING:
        return Boundary.CLINGING
    return Boundary.PHRASE if following[1].lower() in OPENERS else Boundary.WORD


def _ends_sentence(word: str, following: str) -> bool:
    """Whether a word with a full stop (or its like) ends a sentence, given what comes next."""
    if not word.endswith((".", "…")):
        return True
    bare = word.rstrip(".…").lstrip("(\"'“‘[").lower()
    if not word.endswith(("..", "…")) and (bare in ABBREVIATIONS or (len(bare) == 1 and bare.isalpha())):
        return False
    if bare in NUMBER_ABBREVIATIONS and following[:1].isdigit():
        return False
    return not following[:1].islower()
