"""The engine's worker, its model and all callers in virtual time."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from benchmarks.simulation.costs import FRAME_SECONDS, Costs
from benchmarks.simulation.policies import Policy
from benchmarks.simulation.workload import Turn
from engine.errors import Overloaded
from engine.speech import StreamId
from realtime.playout import PlayoutClock

ENCODE_SECONDS = 1e-3
"""From the engine to the listener's loudspeaker, without the network."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a turn.

    ``onset``: from its first segment to its first sound. ``longest_wait``: silence after that while there was
    something left to say. ``due``, ``spoken`` and ``heard`` are the frames of its text, those that were computed
    and those that were listened to. There is none of it for a turn that was ``refused``.
    """

    turn: Turn
    refused: bool = False
    onset: float | None = None
    longest_wait: float = 0.0
    due: int = 0
    spoken: int = 0
    heard: int = 0


class Step(NamedTuple):
    """One step of the model: when it began, how long it took, and how many streams it advanced.

    ``positions`` are those of all open streams, whose keys and values must be kept.
    """

    begins: float
    seconds: float
    rows: int
    positions: int


@dataclass(frozen=True, slots=True)
class History:
    """All that happened: turns in the order in which they came, and steps."""

    outcomes: tuple[Outcome, ...]
    steps: tuple[Step, ...]


def simulate(turns: Sequence[Turn], policy: Policy, costs: Costs, *, chunk: int) -> History:
    """Let the callers come and speak to the end. ``chunk`` is how many tokens of new text one step may read."""
    return _World(policy, costs, chunk).run(turns)


@dataclass(eq=False, slots=True)
class _Caller:
    """A turn, from both sides: the model's state of its stream, and its listener."""

    id: StreamId
    turn: Turn
    unread: int
    positions: int
    queued: deque[int] = field(default_factory=deque)  # indices of segments that are not prefilled
    queued_at: list[float] = field(default_factory=list)  # of every segment that has come
    left: int = 0  # steps of the segment that is being spoken: its frames, and the end
    segment: int = -1  # its index
    done: int = 0  # segments spoken to the end
    spoken: int = 0
    heard: int | None = None  # set when he hangs up
    listener: PlayoutClock = field(default_factory=PlayoutClock)
    onset: float | None = None
    longest_wait: float = 0.0

    def hear(self, segment: int, now: float) -> None:
        """A frame of a segment reaches the listener."""
        since = self.queued_at[segment]
        assert now >= since, f"stream {self.id}: audio {since - now} s before its text"
        if self.listener.dry_at is None:
            self.onset = now - since
        else:
            self.longest_wait = max(self.longest_wait, now - max(self.listener.dry_at, since))
        self.listener.send(FRAME_SECONDS, now)

    def outcome(self) -> Outcome:
        due = sum(segment.frames for segment in self.turn.segments)
        heard = self.spoken if self.heard is None else self.heard
        return Outcome(self.turn, False, self.onset, self.longest_wait, due, self.spoken, heard)


class _World:
    def __init__(self, policy: Policy, costs: Costs, chunk: int) -> None:
        self._policy, self._costs, self._chunk = policy, costs, chunk
        self._now = 0.0
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._open: dict[StreamId, _Caller] = {}
        self._came: list[_Caller | Outcome] = []
        self._steps: list[Step] = []
        self._positions = 0  # of all open streams
        self._computing = False
        self._alarm: float | None = None

    def run(self, turns: Sequence[Turn]) -> History:
        for number, turn in enumerate(turns):
            self._at(turn.arrives, partial(self._arrive, StreamId(number), turn))
        while self._agenda:
            self._now, _, call = heapq.heappop(self._agenda)
            call()
            # Whatever else happens in this instant happens before the worker looks.
            if not self._computing and not (self._agenda and self._agenda[0][0] == self._now):
                self._turn()
        assert not self._open, f"{len(self._open)} streams were never spoken to the end"
        outcomes = (one if isinstance(one, Outcome) else one.outcome() for one in self._came)
        return History(tuple(outcomes), tuple(self._steps))

    def _at(self, time: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (max(time, self._now), next(self._numbers), call))

    # -- the callers

    def _arrive(self, stream: StreamId, turn: Turn) -> None:
        try:
            self._policy.open(stream, paced=True)
        except Overloaded:
            self._came.append(Outcome(turn, refused=True))
            return
        caller = _Caller(stream, turn, turn.unread, turn.prompt - turn.unread)
        self._open[stream] = caller
        self._positions += caller.positions
        self._came.append(caller)
        self._say(caller, 0)
        for index, segment in enumerate(turn.segments[1:], start=1):
            self._at(turn.arrives + segment.after, partial(self._say, caller, index))

    def _say(self, caller: _Caller, index: int) -> None:
        if caller.heard is None:
            caller.queued.append(index)
            caller.queued_at.append(self._now)
            self._policy.queue(caller.id, self._now)

    def _interrupt(self, caller: _Caller) -> None:
        """The caller hangs up: what was made for him and not heard was made in vain."""
        caller.heard = round(caller.listener.heard(self._now) / FRAME_SECONDS)
        self._close(caller)

    def _close(self, caller: _Caller) -> None:
        if self._open.pop(caller.id, None):
            self._policy.close(caller.id)
            self._positions -= caller.positions

    # -- the worker and its model

    def _turn(self) -> None:
        plan = self._policy.plan(self._now)
        if plan.step:
            for stream in plan.prefill:
                self._prefill(self._open[stream])
            self._step(plan.prefill, [self._open[stream] for stream in plan.step])
        elif plan.wake_at is not None and (
            self._alarm is None or not self._now < self._alarm <= plan.wake_at
        ):
            assert plan.wake_at > self._now, "the scheduler wakes in the past"
            self._alarm = plan.wake_at
            self._at(plan.wake_at, lambda: None)

    def _prefill(self, caller: _Caller) -> None:
        assert not caller.left, f"stream {caller.id}: prefilled before the end of the segment before"
        caller.segment = caller.queued.popleft()
        segment = caller.turn.segments[caller.segment]
        caller.unread += segment.tokens
        caller.left = segment.frames + 1  # a segment's end is a token like any other, but is not heard

    def _step(self, prefilled: Sequence[StreamId], at_work: Sequence[_Caller]) -> None:
        """Read new text, as much as a step may; whoever has none left to read advances."""
        tokens = first = frames = positions = 0
        advanced: list[_Caller] = []
        for caller in at_work:
            if caller.unread:
                read = min(caller.unread, self._chunk - tokens)
                caller.unread -= read
                caller.positions += read
                tokens += read
                first += read > 0 and not caller.unread
            else:
                positions += caller.positions
            if not caller.unread:
                assert caller.left, f"stream {caller.id}: a step without a segment"
                caller.positions += 1
                caller.left -= 1
                frames += caller.left > 0
                advanced.append(caller)
        self._positions += tokens + len(advanced)
        seconds = self._seconds(tokens, first, len(advanced) - first, positions, frames)
        self._steps.append(Step(self._now, seconds, len(advanced), self._positions))
        self._computing = True
        reading = [caller for caller in at_work if caller.unread]
        self._at(self._now + seconds, partial(self._record, prefilled, advanced, reading))

    def _seconds(self, tokens: int, first: int, rows: int, positions: int, frames: int) -> float:
        costs = self._costs
        seconds = costs.prefill(tokens) if tokens else 0.0
        seconds += costs.draw(first) if first else 0.0
        seconds += costs.decode(rows, positions) if rows else 0.0
        return seconds + (costs.codec(frames) if frames else 0.0)

    def _record(
        self, prefilled: Sequence[StreamId], advanced: Sequence[_Caller], reading: Sequence[_Caller]
    ) -> None:
        """Tell the policy, as the worker does, and let the audio go its way."""
        self._computing = False
        for stream in prefilled:
            self._policy.prefilled(stream)
        for caller in reading:
            self._policy.stepped(caller.id, 0.0, last=False, now=self._now)
        under_way: list[tuple[_Caller, int, bool]] = []
        for caller in advanced:
            if caller.id not in self._open:
                continue
            last = not caller.left
            caller.spoken += not last
            under_way.append((caller, caller.segment, last))
            self._policy.stepped(caller.id, 0.0 if last else FRAME_SECONDS, last=last, now=self._now)
        if under_way:
            self._at(self._now + self._costs.latency + ENCODE_SECONDS, partial(self._deliver, under_way))

    def _deliver(self, under_way: Sequence[tuple[_Caller, int, bool]]) -> None:
        for caller, segment, last in under_way:
            if caller.heard is not None:
                continue  # he has hung up
            if last:
                caller.done += 1
                if caller.done == len(caller.turn.segments):
                    self._close(caller)
                continue
            if caller.onset is None and caller.turn.patience < caller.turn.seconds:
                self._at(self._now + caller.turn.patience, partial(self._interrupt, caller))
            caller.hear(segment, self._now)
            self._policy.taken(caller.id, FRAME_SECONDS)
