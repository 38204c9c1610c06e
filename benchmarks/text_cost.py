"""What text costs before it is speech: tokens through the product's own session, in virtual time, on one core."""

import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle, islice

import numpy as np

from benchmarks.live import TOKENS_PER_SECOND
from benchmarks.texts import TEXTS, UNSPACED, WRITTEN
from engine import StreamOptions
from engine.audio import output_format
from realtime import SpeechRequest
from realtime.session import DEFAULT_CONTEXT, Session
from realtime.utterance import Action, EndSpeech, Say

TOKEN_LENGTH = 4  # characters
_KEEPS_UP = TOKENS_PER_SECOND * TOKEN_LENGTH  # characters a second, spoken as fast as they are written
_SPOKEN = 15.0  # characters a second of ordinary speech
_GULP_SECONDS = 0.5  # of speech that leave together
_MAX_AHEAD = 10.0
_TIMER_LATE = 0.0001
_WARM_LENGTH = 4_000


@dataclass(frozen=True, slots=True)
class TextCost:
    """What one text cost, in seconds of processor time.

    ``p50``, ``p99`` and ``longest`` are of what is done from one token until the next, ``mean`` is everything,
    the rest after the last token included, for each token. ``lines`` is how many lines the engine was given,
    ``said`` their characters; ``problem`` says what was wrong with them.
    """

    name: str
    characters: int
    tokens: int
    mean: float
    p50: float
    p99: float
    longest: float
    lines: int
    said: int
    problem: str | None = None


def measure_text(length: int, lengths: Sequence[int]) -> tuple[list[TextCost], list[TextCost]]:
    """The cost of ``length`` characters of each kind of text, and how it grows with a text's length.

    The first are spoken as fast as they are written, so that all that a token sets off is done before the next.
    The others come as fast, but are spoken at a voice's own pace, so that four fifths of them pile up.
    """
    for texts in (TEXTS, WRITTEN, UNSPACED):
        feed("warm up", repeated(texts, _WARM_LENGTH), _KEEPS_UP)
    kinds = [
        feed("the texts that are spoken here", repeated(TEXTS, length), _KEEPS_UP),
        feed("numbers, dates, Markdown, tags", repeated(WRITTEN, length), _KEEPS_UP),
        feed("Chinese and Japanese, tokens of 2", repeated(UNSPACED, length // 2), _KEEPS_UP / 2, 2),
    ]
    growth = [feed(f"{one // 1000} kB", repeated(TEXTS, one), _SPOKEN) for one in lengths]
    return kinds, growth


def repeated(texts: Sequence[str], length: int) -> str:
    """The texts over and over, ``length`` characters in all."""
    joined = " ".join(texts) + " "
    return "".join(islice(cycle(joined), length))


def feed(name: str, text: str, pace: float, size: int = TOKEN_LENGTH) -> TextCost:
    """Write a text token by token while an engine and its listener, who exist in virtual time only, follow.

    A token has ``size`` characters. The engine makes speech of ``pace`` characters a second at once, up to ten
    seconds ahead of the listener.
    """
    pieces = [text[start : start + size] for start in range(0, len(text), size)]
    gc.collect()
    run = _Run(pace)
    costs = []
    for index, piece in enumerate(pieces):
        now = index / TOKENS_PER_SECOND
        before = run.cost
        run.text(piece, now)
        run.until(now + 1 / TOKENS_PER_SECOND)
        costs.append(run.cost - before)
    run.stop(len(pieces) / TOKENS_PER_SECOND)
    run.until(None)
    p50, p99 = np.quantile(costs, (0.5, 0.99)) * 1e-9
    return TextCost(
        name,
        len(text),
        len(pieces),
        mean=run.cost * 1e-9 / len(pieces),
        p50=float(p50),
        p99=float(p99),
        longest=max(costs) * 1e-9,
        lines=run.lines,
        said=run.said,
        problem=run.problem(),
    )


class _Run:
    """One utterance of a session, its engine and its listener. ``cost``: ns of the session's work alone."""

    def __init__(self, pace: float) -> None:
        self.cost = 0
        self.lines = 0
        self.said = 0
        self._pace = pace
        self._left: list[float] = []  # seconds of speech of each line that is still to be spoken
        self._first = 0  # of them
        self._dry_at = 0.0
        self._now = 0.0
        self._ended = False
        self._session = Session()
        self._session.start(SpeechRequest(StreamOptions(("any",)), output_format("pcm")), 0.0)
        self._take([task.action for task in self._session.tasks()])

    def problem(self) -> str | None:
        """What is wrong after the end."""
        if not self._ended or self._session.pending or self._first < len(self._left):
            return "the session did not come to the end of the text"
        return None

    def text(self, piece: str, now: float) -> None:
        """A token comes."""
        self._now = now
        begin = time.thread_time_ns()
        self._session.text(piece, now)
        tasks = self._session.tasks()
        self.cost += time.thread_time_ns() - begin
        self._take([task.action for task in tasks])

    def stop(self, now: float) -> None:
        """No more will come."""
        self._now = now
        begin = time.thread_time_ns()
        self._session.stop(now)
        tasks = self._session.tasks()
        self.cost += time.thread_time_ns() - begin
        self._take([task.action for task in tasks])

    def until(self, end: float | None) -> None:
        """Whatever happens before the next token; without ``end``, until nothing happens any more."""
        while not self._ended:
            due = None if end is None and not self._session.pending else self._session.due
            speaks = self._dry_at - _MAX_AHEAD if self._first < len(self._left) else None
            # A timer is never exact; one that were would find that due which is not yet past, for ever.
            due = None if due is None else due + _TIMER_LATE
            times = [max(at, self._now) for at in (due, speaks) if at is not None]
            if not times or (end is not None and min(times) >= end):
                return
            self._now = min(times)
            if speaks is not None and max(speaks, self._now) == self._now:
                self._speak()
            else:
                self._poll()

    def _poll(self) -> None:
        begin = time.thread_time_ns()
        self._session.poll(self._now)
        tasks = self._session.tasks()
        self.cost += time.thread_time_ns() - begin
        self._take([task.action for task in tasks])

    def _speak(self) -> None:
        seconds = min(self._left[self._first], _GULP_SECONDS)
        self._left[self._first] -= seconds
        last = self._left[self._first] <= 0
        self._first += last
        begin = time.thread_time_ns()
        self._session.spoke(DEFAULT_CONTEXT, seconds, (), self._now, last=last)
        tasks = self._session.tasks()
        self.cost += time.thread_time_ns() - begin
        self._dry_at = max(self._dry_at, self._now) + seconds
        self._take([task.action for task in tasks])

    def _take(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Say(segment):
                    self.lines += 1
                    self.said += len(segment.text)
                    self._left.append(segment.pause + len(segment.text) / self._pace)
                case EndSpeech():
                    self._ended = True
                case _:
                    pass
