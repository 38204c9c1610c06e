"""When each line of a dub is spoken, and how: captions and the lengths of their speech in, a timeline out.

Sans-I/O. It knows two times: that of the captions, and how much of the audio has been made. As long as nobody
moves the captions' clock, one is the other.

A line never begins early. It is made to fit between its start and its end (:func:`realtime.dubbing.fitting.fit`);
where it cannot, it goes on into the gap before the next line of its voice, and where that is too short, too, the
next one begins late, but never by more than ``Limits.max_drift``: rather than that, the line is broken off behind
a word. A late line has its own end for a goal like any other, so that what was lost is made up for in the next
gap.
"""

from bisect import insort
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from realtime.dubbing.captions import Caption, Limits, LineReport, Outcome
from realtime.dubbing.fitting import Fit, Measured, fit

FADE_SECONDS = 0.02
"""How long it takes a line that is being heard to fall silent without a click."""


@dataclass(frozen=True, slots=True)
class Speak:
    """Have a caption spoken, and report :meth:`Planner.measured` or :meth:`~Planner.failed`."""

    key: int
    caption: Caption


@dataclass(frozen=True, slots=True)
class Forget:
    """The speech of a line is not wanted any more."""

    key: int


@dataclass(frozen=True, slots=True)
class Begin:
    """A line is heard from ``at`` on, in seconds of audio, as ``fitted``."""

    key: int
    at: float
    fitted: Fit
    report: LineReport


@dataclass(frozen=True, slots=True)
class Shorten:
    """A line that has begun is silent from ``at`` on, in seconds of audio."""

    key: int
    at: float


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing more will become of a caption."""

    report: LineReport


@dataclass(frozen=True, slots=True)
class Note:
    """Something that whoever made the captions should know."""

    message: str


Action = Speak | Forget | Begin | Shorten | Ended | Note


class _Line:
    """A caption on its way."""

    def __init__(self, key: int, caption: Caption, voice: str) -> None:
        self.key = key
        self.caption = caption
        self.voice = voice  # whatever the caption calls it
        self.state: Literal["waiting", "speaking", "spoken", "begun"] = "waiting"
        self.measured: Measured | None = None if caption.text.strip() else Measured(0.0)
        self.at = self.end = 0.0  # once it has begun
        self.offset = 0.0
        self.fitted: Fit | None = None

    def __lt__(self, other: "_Line") -> bool:
        return (self.caption.start, self.key) < (other.caption.start, other.key)

    @property
    def silent(self) -> bool:
        """Whether it is known that there is nothing to hear."""
        return self.measured is not None and not self.measured.seconds

    def report(self) -> LineReport:
        """What has become of it; it has begun."""
        assert self.measured is not None
        assert self.fitted is not None
        cut = self.fitted.cut
        return LineReport(
            self.caption,
            "spoken" if cut is None else "cut",
            self.at + self.offset,
            self.end + self.offset,
            self.measured.seconds,
            self.fitted.speed,
            self.fitted.trimmed(self.measured),
            0.0 if cut is None else self.measured.seconds - cut,
        )


class Planner:
    """Plans one dub. After each call, :meth:`actions` says what to do."""

    def __init__(
        self, limits: Limits | None = None, *, same: Callable[[str], str] = str, offset: float = 0.0
    ) -> None:
        """``same`` returns the same for the names of one voice; ``offset`` is what the captions' clock says when
        the audio begins.
        """
        self.limits = limits or Limits()
        self._same = same
        self.now = 0.0
        """Seconds of audio that have been made."""
        self.offset = offset
        """By how much the captions' clock is ahead of the audio."""
        self._keys = 0
        self._queue: list[_Line] = []  # those that have not begun, by their start
        self._begun: list[_Line] = []
        self._spoken: dict[int, _Line] = {}  # those of them that are being spoken, or have been
        self._by_id: dict[str, _Line] = {}
        self._by_key: dict[int, _Line] = {}
        self._latest: dict[str, _Line] = {}  # of each voice, the one that began last
        self._actions: list[Action] = []

    @property
    def waiting(self) -> int:
        """How many captions have not begun to be heard."""
        return len(self._queue)

    @property
    def idle(self) -> bool:
        """Whether all has been heard."""
        return not self._queue and not self._begun

    @property
    def busy_until(self) -> float:
        """When the lines that have begun will have ended, in seconds of audio."""
        return max((line.end for line in self._begun), default=self.now)

    @property
    def speaking(self) -> bool:
        """Whether a line is being spoken."""
        return any(line.state == "speaking" for line in self._spoken.values())

    def missing(self, until: float) -> float | None:
        """When the first line before ``until`` should begin whose speech is missing, in seconds of audio."""
        return next((self._asked(line) for line in self._due(until) if line.measured is None), None)

    def actions(self) -> list[Action]:
        """What is to be done, in order. Each is returned once."""
        self._speak_ahead()
        actions, self._actions = self._actions, []
        return actions

    # -- what the maker of the captions does --------------------------------------------------------

    def put(self, caption: Caption) -> None:
        """A new caption, or another version of one with the same id. What has begun to be heard stays."""
        if (line := self._by_id.get(caption.id)) is not None:
            if line.state == "begun":
                self._actions.append(Note(f"{caption.id}: is being heard already, and stays as it was"))
                return
            self._queue.remove(line)
            if (line.caption.text, line.caption.voice) == (caption.text, caption.voice):
                line.caption = caption
                insort(self._queue, line)
                return
            self._forget(line)
        self._keys += 1
        line = _Line(self._keys, caption, self._same(caption.voice))
        self._by_id[caption.id] = self._by_key[line.key] = line
        insort(self._queue, line)

    def get(self, id_: str) -> Caption | None:
        """The caption of an id that has not ended."""
        line = self._by_id.get(id_)
        return line.caption if line else None

    def remove(self, id_: str) -> None:
        """A caption is void. If it is being heard it falls silent."""
        if (line := self._by_id.get(id_)) is None:
            self._actions.append(Note(f"{id_}: no such caption is waiting or being heard"))
        elif line.state == "begun":
            assert line.measured is not None
            assert line.fitted is not None
            heard = self.now + FADE_SECONDS - line.at
            if heard < line.fitted.seconds:
                said = _natural(line.measured, line.fitted, heard)
                self._cut(line, Fit(line.fitted.speed, line.fitted.pauses, heard, said))
        else:
            self._queue.remove(line)
            self._forget(line)

    def sync(self, offset: float) -> None:
        """The captions' clock now is ``offset`` seconds ahead of the audio. What has begun stays where it is."""
        self.offset = offset

    # -- what became of the speech ------------------------------------------------------------------

    def measured(self, key: int, measured: Measured) -> None:
        """A line has been spoken. Void if it is not wanted any more."""
        if line := self._by_key.get(key):
            line.state, line.measured = "spoken", measured

    def failed(self, key: int, reason: str) -> None:
        """A line cannot be spoken."""
        if line := self._by_key.get(key):
            self._miss(line, reason)

    # -- time ---------------------------------------------------------------------------------------

    def advance(self, until: float) -> None:
        """The audio up to ``until`` is being made: decide which lines begin in it."""
        held: set[str] = set()  # voices of which a line has to wait, and so have those behind it
        for line in self._due(until):
            if line.voice not in held and not self._settle(line, until):
                held.add(line.voice)
        self.now = until
        for line in [line for line in self._begun if line.end <= until]:
            self._begun.remove(line)
            self._drop(line)
            self._actions.append(Ended(line.report()))
        breath = self.limits.breath
        self._latest = {voice: line for voice, line in self._latest.items() if line.end + breath > until}

    def _settle(self, line: _Line, until: float) -> bool:
        """Have a line begin before ``until``, or end it if it cannot; false if it is to wait."""
        limits, asked = self.limits, self._asked(line)
        latest = asked + limits.max_drift
        if line.silent:
            self._end(line, "silent")
            return True
        if line.measured is None:
            if self.now <= latest:
                return False
            self._miss(line, f"it was not spoken within {limits.max_drift:g} s of its start")
            return True
        before = self._latest.get(line.voice)
        if before is not None and before.end > self.now and before.end + limits.breath > latest:
            assert before.measured is not None
            assert before.fitted is not None
            shorter = before.fitted.cut_before(
                before.measured, latest - limits.breath - before.at, self.now + FADE_SECONDS - before.at
            )
            if shorter is not None:
                self._cut(before, shorter)
        start = max(asked, self.now, before.end + limits.breath if before else asked)
        if start > latest:
            self._miss(line, f"it could not begin within {limits.max_drift:g} s of its start")
            return True
        if start >= until:
            return False
        following = self._following(line)
        room, limit = line.caption.end - self.offset - start, float("inf")
        if following is not None:
            room = min(room, following - limits.breath - start)
            limit = following + limits.max_drift - limits.breath - start
        fitted = fit(line.measured, room, limit, limits)
        if fitted is None:
            self._miss(line, "the next line leaves it no time")
            return True
        self._queue.remove(line)
        self._begun.append(line)
        del self._spoken[line.key]
        line.state, line.fitted, line.offset = "begun", fitted, self.offset
        line.at, line.end = start, start + fitted.seconds
        self._latest[line.voice] = line
        self._actions.append(Begin(line.key, start, fitted, line.report()))
        return True

    # -- inside -------------------------------------------------------------------------------------

    def _asked(self, line: _Line) -> float:
        """When a line should begin, in seconds of audio."""
        return line.caption.start - self.offset

    def _due(self, until: float) -> list[_Line]:
        due = []
        for line in self._queue:
            if self._asked(line) >= until:
                break
            due.append(line)
        return due

    def _following(self, line: _Line) -> float | None:
        """When the next line of the same voice should begin."""
        for other in self._behind(line):
            if other.voice == line.voice and not other.silent:
                return self._asked(other)
        return None

    def _behind(self, line: _Line) -> Iterator[_Line]:
        lines = iter(self._queue)
        for other in lines:
            if other is line:
                break
        return lines

    def _speak_ahead(self) -> None:
        """Have spoken what will soon be heard."""
        limits = self.limits
        speaking = sum(line.state == "speaking" for line in self._spoken.values())
        position = 0
        for line in self._queue:
            if (
                speaking >= limits.at_once
                or position >= limits.ahead
                or len(self._spoken) >= 2 * limits.ahead  # some were put before those that are spoken
                or self._asked(line) - self.now > limits.speak_ahead
            ):
                break
            if line.silent:
                continue
            position += 1
            if line.state == "waiting":
                line.state = "speaking"
                self._spoken[line.key] = line
                speaking += 1
                self._actions.append(Speak(line.key, line.caption))

    def _cut(self, line: _Line, shorter: Fit) -> None:
        line.fitted, line.end = shorter, line.at + shorter.seconds
        self._actions.append(Shorten(line.key, line.end))

    def _miss(self, line: _Line, reason: str) -> None:
        self._end(line, "missed", reason)

    def _end(self, line: _Line, outcome: Outcome, reason: str = "") -> None:
        self._queue.remove(line)
        self._forget(line)
        self._actions.append(Ended(LineReport(line.caption, outcome, reason=reason)))

    def _forget(self, line: _Line) -> None:
        if self._spoken.pop(line.key, None):
            self._actions.append(Forget(line.key))
        self._drop(line)

    def _drop(self, line: _Line) -> None:
        del self._by_key[line.key]
        del self._by_id[line.caption.id]


def _natural(measured: Measured, fitted: Fit, heard: float) -> float:
    """How much of the natural line has been heard after ``heard`` seconds of the fitted one."""
    moment = heard * fitted.speed
    for (start, end), kept in zip(measured.pauses, fitted.pauses, strict=True):
        if moment > start + kept:
            moment += end - start - kept
    return min(moment, measured.seconds)
