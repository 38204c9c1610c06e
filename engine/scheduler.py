"""Which streams run in the next step: pure decisions, with no clock, thread or tensor of its own.

Every stream has a playout deadline, the moment its listener runs dry. A stream that is silent comes first,
then the one that is nearest to running dry; one that is seconds ahead waits, which is what leaves the machine
to the next caller's first frame and makes an interruption cheap. While somebody is silent, nobody who is ahead
runs at all: the step is a short one. Streams that nobody listens to live
(``paced=False``) are not held back, but once ahead they only take what is left.
"""

from dataclasses import dataclass
from typing import NamedTuple

from engine.admission import OVERBOOKING as OVERBOOKING
from engine.admission import refusal
from engine.errors import Overloaded
from engine.speech import StreamId


@dataclass(frozen=True, slots=True)
class SchedulerConfig:
    """Limits of a :class:`Scheduler`.

    A stream is let in while fewer than ``max_streams`` have something to say, and fewer than :data:`OVERBOOKING`
    times as many are open: most of a conversation's time, the other side speaks. ``max_batch`` run in one step,
    ``max_prefills`` of them with a new segment: the frames of the others wait for it. A paced stream is held back
    at ``max_ahead`` seconds before its listener runs dry, any stream at ``max_untaken`` seconds of audio that
    nobody has taken from the engine yet. Unless they are ``rivals`` for a machine, streams that are ahead do not
    wait for those who hear nothing.
    """

    max_streams: int
    max_batch: int
    max_ahead: float = 10.0
    max_untaken: float = 2.0
    max_prefills: int = 1
    rivals: bool = True


CALM = 0.5
"""Seconds ahead of its listener from which on a stream waits for those who hear nothing."""


class Plan(NamedTuple):
    """What to do next: prefill the next segment of some streams (they are in ``step`` too), then step these.

    With nothing to do, ``wake_at`` is when a held-back stream becomes due (None: only an event can tell).
    """

    prefill: tuple[StreamId, ...]
    step: tuple[StreamId, ...]
    wake_at: float | None


@dataclass(slots=True)
class _Stream:
    paced: bool
    waiting: int = 0  # segments queued, not yet prefilled
    speaking: bool = False  # a prefilled segment has frames left
    dry_at: float | None = None  # when the listener runs out of what was produced
    untaken: float = 0.0  # seconds produced that the consumer has not picked up
    ready_at: float = 0.0  # since when there has been something to do

    @property
    def has_work(self) -> bool:
        return self.speaking or self.waiting > 0


class Scheduler:
    """Orders the streams of one model by playout deadline. Times are seconds of any one monotonic clock."""

    def __init__(self, config: SchedulerConfig) -> None:
        self.config = config
        self._streams: dict[StreamId, _Stream] = {}

    def __len__(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    def __contains__(self, stream: StreamId) -> bool:
        return stream in self._streams

    @property
    def speaking(self) -> int:
        """How many of them have something to say."""
        return sum(state.has_work for state in self._streams.values())

    @property
    def waiting(self) -> int:
        """How many of those have nothing that is being spoken yet."""
        return sum(state.waiting > 0 and not state.speaking for state in self._streams.values())

    @property
    def refusal(self) -> str | None:
        """Why no further stream would be admitted; None if one would."""
        return refusal(self.speaking, len(self._streams), self.config.max_streams)

    def open(self, stream: StreamId, *, paced: bool) -> None:
        """Admit a stream, or raise :class:`Overloaded`."""
        if (refusal := self.refusal) is not None:
            raise Overloaded(refusal)
        self._streams[stream] = _Stream(paced)

    def close(self, stream: StreamId) -> None:
        """Free the stream's slot at once, whatever it was doing."""
        self._streams.pop(stream, None)

    def queue(self, stream: StreamId, now: float) -> None:
        """One more segment of the stream waits to be spoken."""
        state = self._streams[stream]
        if not state.has_work:
            state.ready_at = now
        state.waiting += 1

    def prefilled(self, stream: StreamId) -> None:
        """The stream's next segment is in the model."""
        if state := self._streams.get(stream):
            state.waiting -= 1
            state.speaking = True

    def stepped(self, stream: StreamId, seconds: float, *, last: bool, now: float) -> None:
        """The stream advanced by a frame of ``seconds``; ``last`` ends its segment.

        A listener who had run dry hears the frame from ``now`` on; an empty frame leaves everything as it was.
        """
        if state := self._streams.get(stream):
            state.speaking = not last
            if not seconds:
                return
            dry_at = now if state.dry_at is None else max(state.dry_at, now)
            state.dry_at = dry_at + seconds
            state.untaken += seconds

    def played(self, stream: StreamId, ahead: float, now: float) -> None:
        """The listener is known to have ``ahead`` seconds of what was taken left to hear."""
        if state := self._streams.get(stream):
            state.dry_at = now + ahead + state.untaken

    def taken(self, stream: StreamId, seconds: float) -> None:
        """The consumer picked up ``seconds`` of audio."""
        if state := self._streams.get(stream):
            state.untaken = max(0.0, state.untaken - seconds)

    def plan(self, now: float) -> Plan:
        """Decide what runs next. Changes nothing: report back with :meth:`prefilled` and :meth:`stepped`."""
        due: list[tuple[int, float, StreamId]] = []
        wake_at: float | None = None
        config = self.config
        for stream, state in self._streams.items():
            if not state.has_work or state.untaken >= config.max_untaken:
                continue
            if state.dry_at is None or state.dry_at <= now:
                since = state.ready_at if state.dry_at is None else max(state.ready_at, state.dry_at)
                due.append((0, since, stream))
                continue
            due_at = state.dry_at - config.max_ahead
            if due_at <= now:
                due.append((1, state.dry_at, stream))
            elif state.paced:
                wake_at = due_at if wake_at is None else min(wake_at, due_at)
            else:
                due.append((2, state.dry_at, stream))
        due.sort()
        if config.rivals and due and due[0][0] == 0:  # somebody is silent
            due = [one for one in due if one[0] == 0 or one[1] - now < CALM]
        prefill: list[StreamId] = []
        step: list[StreamId] = []
        for _, _, stream in due:
            if len(step) == config.max_batch:
                break
            if not self._streams[stream].speaking:
                if len(prefill) == config.max_prefills:
                    continue
                prefill.append(stream)
            step.append(stream)
        return Plan(tuple(prefill), tuple(step), None if step else wake_at)
