"""When the text is cut: by what the listener still has to hear."""

from dataclasses import dataclass

from realtime.chunker.buffer import Buffer
from realtime.chunker.markup import MAX_TAG, NOTHING_TO_SAY, hard_cut, unfinished
from realtime.chunker.pace import TOLERANCE, Pace
from realtime.chunker.scanner import LONGEST_WORD, Mark, Scanner
from realtime.chunker.vocabulary import CLAUSE_ENDS, CLOSERS, GROWING, SENTENCE_ENDS, UNSPACED_WORD
from realtime.chunker.words import LOOKAHEAD, Boundary, may_go_on

# How much text with nothing to say one call steps over: less than a millisecond's worth.
_STRIDE = 1 << 16
# Text that comes in one go is no sign of how fast its writer is.
_BURST = 0.005
# Of what a writer's rhythm was, so much is kept with each token.
_KEPT = 0.75
# Several times a writer's rhythm without a token is a pause.
_RHYTHMS = 2.0


@dataclass(frozen=True, slots=True)
class Chunk:
    """A stretch of the text as it was written: the characters from ``start`` to ``end`` of the stream.

    ``open_ended`` says that the sentence goes on in the next chunk.
    """

    text: str
    start: int
    end: int
    speaker: int = 0
    open_ended: bool = False


class Chunker:
    """Cuts one stream of text into chunks. Sans-I/O: text and times in, chunks out; times in seconds.

    Work and memory are linear in the text: it is scanned once, and no further ahead than one chunk needs. A
    call costs no more than a chunk does, however much text waits.

    >>> chunker = Chunker(PACES[Latency.BALANCED], chunk_length=200, min_chunk_length=50)
    >>> chunker.push("Hello there. How are", now=0.0)
    >>> chunker.take(now=0.0, ahead=0.0).text
    'Hello there.'
    """

    def __init__(self, pace: Pace, *, chunk_length: int, min_chunk_length: int) -> None:
        self._pace = pace
        self._chunk_length = max(chunk_length, 1)
        self._min_chunk_length = min(min_chunk_length, self._chunk_length)
        self._buffer = Buffer(keep=LONGEST_WORD)
        self._scanner = Scanner()
        # Positions count from the start of the stream.
        self._start = 0  # everything before is taken
        self._flushed = 0  # everything before leaves now
        self._speaker = 0
        self._last_push: float | None = None
        self._rhythm = 0.0  # seconds between two tokens, as a rule
        self._striding = False  # the last call did not come to the end of the text with nothing to say

    @property
    def pending(self) -> int:
        """How many characters wait to be taken."""
        return self._buffer.end - self._start

    @property
    def taken(self) -> int:
        """How many characters have been taken."""
        return self._start

    def push(self, text: str, now: float) -> None:
        """More text, cut anywhere."""
        if not text:
            return
        self._buffer.push(text)
        if self._last_push is not None and _BURST < (passed := now - self._last_push) < 2 * self._pace.idle:
            self._rhythm += (1 - _KEPT) * (passed - self._rhythm) if self._rhythm else passed
        self._last_push = now

    def flush(self) -> None:
        """What is there shall leave without waiting for more."""
        self._flushed = self._buffer.end

    def take(self, now: float, ahead: float) -> Chunk | None:
        """The next chunk, if a listener who has ``ahead`` seconds of speech left should hear it now.

        Call again until None; each chunk that is taken adds to what is ahead.
        """
        self._step_over_nothing()
        if self._striding or self._start == self._buffer.end:
            return None
        flushed = self._start < self._flushed
        self._scanner.scan(
            self._buffer.text,
            self._buffer.base,
            self._flushed if flushed else self._buffer.end,
            self._start + self._chunk_length + MAX_TAG,
            final=flushed,
        )
        cut = self._cut_flushed() if flushed else self._cut_live(now, ahead)
        return self._take_until(*cut) if cut else None

    def due(self, now: float, ahead: float) -> float | None:
        """When to call :meth:`take` again if no text arrives before; None if only text can change it."""
        if self._start == self._buffer.end:
            return None
        if self._striding:
            return now + TOLERANCE
        left = [ahead - point for point in self._pace.turning_points]
        left += [self._until_idle(now), self._until_settled(now)]
        return min((now + seconds for seconds in left if not _passed(seconds)), default=None)

    def _until_idle(self, now: float) -> float:
        """Seconds until no text has come for too long, for somebody who writes as fast as this."""
        return (self._last_push or 0.0) + max(self._pace.idle, _RHYTHMS * self._rhythm) - now

    def _until_settled(self, now: float) -> float:
        """Seconds until no text has come for so long that what is there is taken to be all of it."""
        return (self._last_push or 0.0) + self._pace.settled - now

    # -- what there is to say -----------------------------------------------------------------------

    def _step_over_nothing(self) -> None:
        """Step over white space and speaker marks, so that the text to come begins with something to say."""
        buffer, first = self._buffer, self._start
        self._striding = False
        while self._start < buffer.end:
            # Far enough that all that decides on a cut, of the longest chunk, is in sight.
            buffer.gather(self._start, self._start + self._chunk_length + 2 * MAX_TAG + LOOKAHEAD)
            stop = buffer.base + len(buffer.text)
            if self._start < self._flushed:
                stop = min(stop, self._flushed)
            stop = min(stop, first + _STRIDE)
            match = NOTHING_TO_SAY.match(buffer.text, self._start - buffer.base, stop - buffer.base)
            if match is None or not match[0]:
                # A mark may go on behind the stride: then the next call finds it whole.
                return
            end = match.end() + buffer.base
            if match[1]:
                self._speaker = int(match[1])
                self._scanner.begin(end)
            self._scanner.step_over(buffer.text, buffer.base, self._start, end)
            self._start = end
            if self._start >= first + _STRIDE - MAX_TAG:
                self._striding = self._start < buffer.end
                return

    # -- when it is cut -----------------------------------------------------------------------------

    def _limit(self) -> int:
        """The furthest place the next chunk may reach: the next speaker's turn, or the longest chunk."""
        turn = self._buffer.end if self._scanner.turn is None else self._scanner.turn
        return min(turn, self._start + self._chunk_length)

    def _first(self, lowest: Boundary, limit: int, *, least: int = 1) -> Mark | None:
        """The first cut up to ``limit`` of at least that grade, with ``least`` characters before it."""
        least += self._start
        for mark in self._scanner.marks:
            if mark.position > limit:
                break
            if mark.boundary >= lowest and mark.position >= least:
                return mark
        return None

    def _last(self, lowest: Boundary, limit: int, *, least: int = 1) -> Mark | None:
        """The last such cut."""
        least += self._start
        for mark in reversed(self._scanner.marks):
            if mark.position < least:
                break
            if mark.boundary >= lowest and mark.position <= limit:
                return mark
        return None

    def _cut_flushed(self) -> Mark:
        """A cut of text that leaves in any case: a sentence, or what is left if that is short."""
        limit = min(self._limit(), self._flushed)
        if mark := self._first(Boundary.SENTENCE, limit, least=self._min_chunk_length):
            return mark
        if limit in (self._flushed, self._scanner.turn):
            return Mark(limit, Boundary.SENTENCE)
        return self._cut_long(limit)

    def _cut_live(self, now: float, ahead: float) -> Mark | None:
        """A cut of text that is still being written."""
        pace, scanner, furthest = self._pace, self._scanner, self._limit()
        # Behind the beginning of a quotation that may yet be short nothing is cut.
        limit = furthest if scanner.held is None else min(furthest, scanner.held)
        short = self._min_chunk_length // 2
        if _passed(ahead - pace.hurry):
            if _passed(ahead - pace.urgent):
                mark = self._first_phrase(limit, short)
            else:
                mark = self._first(Boundary.PHRASE, limit, least=short)
            if mark is None and _passed(self._until_idle(now)):
                mark = self._cut_idle(limit, furthest, now)
        elif _passed(ahead - pace.relaxed):
            mark = self._first(Boundary.CLAUSE, limit, least=short)
        else:
            mark = self._first(Boundary.SENTENCE, limit, least=self._min_chunk_length)
        # One character more, for the one at the limit may belong to a cluster with it.
        if mark is None and limit == furthest and (scanner.turn is not None or scanner.position > limit + 1):
            return self._cut_long(limit)
        return mark

    def _first_phrase(self, limit: int, short: int) -> Mark | None:
        """The first words for a silent listener: a clause, or some words, best up to a phrase's end."""
        # One rule, asked for each mark in turn: what leaves must not depend on how many marks are known yet.
        least, short = self._pace.first_words, self._start + short
        for words, mark in enumerate(self._scanner.marks, start=1):
            if mark.position > limit:
                break
            spare = words - least
            if mark.boundary >= Boundary.CLAUSE:
                return mark
            if mark.boundary is Boundary.PHRASE and (spare >= 0 or mark.position >= short):
                return mark
            if mark.boundary >= (Boundary.WORD if spare < 4 else Boundary.CLINGING) and spare >= 2:
                return mark
        return None

    def _cut_idle(self, limit: int, furthest: int, now: float) -> Mark | None:
        """Nothing has come for a while: speak what is complete, best without what may belong to the rest."""
        buffer, scanner = self._buffer, self._scanner
        before = self._last(Boundary.WORD, limit)
        text = buffer.text[self._start - buffer.base :].rstrip()
        if before and limit < furthest and not scanner.closes(text[-1]):
            return before
        if buffer.end > furthest:
            return before or self._last(Boundary.WORD, furthest)
        decided = scanner.position - buffer.base
        # What may yet become a mark or a tag stays, and all behind it.
        end = unfinished(buffer.text, decided, len(buffer.text))
        text = buffer.text[self._start - buffer.base : end].rstrip().rstrip(CLOSERS)
        if not text:
            return before or self._last(Boundary.WORD, furthest)
        words = scanner.words_to_come(buffer.text[:end], buffer.base)
        settled = _passed(self._until_settled(now))
        # Where scanning waits for the next word, it is certain that this one has ended; but not "Mr.", or "5".
        ended = buffer.text[decided : decided + 1].isspace() and not scanner.bound(words[:1])
        ended = ended and (settled or not (words and may_go_on(words[0])))
        if text[-1] in SENTENCE_ENDS + CLAUSE_ENDS:
            bound = scanner.bound(words)
            growing = not buffer.text[end - 1].isspace() and GROWING.search(text)
            growing = growing or (words and may_go_on(words[-1]))
            alone = not before and not (ended and words[1:])
            if not (bound or growing) or (settled and (alone or not bound)):
                return Mark(end + buffer.base, Boundary.SENTENCE)
        if ended:
            return Mark(decided + buffer.base, Boundary.WORD)
        # A language model writes whole words at a time; here no space would tell that one has ended.
        if len(text) >= 2 * self._pace.first_words and UNSPACED_WORD.fullmatch(text[-1]):
            return Mark(end + buffer.base, Boundary.CLINGING)
        return before or self._last(Boundary.WORD, furthest)

    def _cut_long(self, limit: int) -> Mark:
        """The text has outgrown a chunk: cut it where that does least harm."""
        half = (limit - self._start) // 2
        for boundary in reversed(Boundary):
            if mark := self._last(boundary, limit, least=half):
                return mark
        first = self._start - self._buffer.base
        text = self._buffer.text[first : first + limit - self._start + MAX_TAG]
        return Mark(self._start + hard_cut(text, limit - self._start), Boundary.WORD)

    def _take_until(self, position: int, boundary: Boundary) -> Chunk:
        """Take the text up to ``position``."""
        base, start = self._buffer.base, self._start
        words = self._buffer.text[start - base : position - base].rstrip()
        if start < self._flushed <= position:
            self._scanner.begin(position)
        else:
            self._scanner.drop(position)
        self._start = position
        return Chunk(words, start, start + len(words), self._speaker, boundary < Boundary.SENTENCE)


def _passed(seconds: float) -> bool:
    """Whether that which is so many seconds ahead has come. To ask it in one way is to never miss it."""
    return seconds <= TOLERANCE
