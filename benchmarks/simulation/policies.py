"""Who is served first: ours, which is the engine's own scheduler, and what other engines do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from engine.scheduler import Plan, Scheduler, SchedulerConfig
from engine.speech import StreamId


@dataclass(slots=True)
class _Stream:
    waiting: int = 0
    speaking: bool = False


class FirstCome:
    """Continuous batching as it is done for text: the oldest stream first, until all that it has to say is said.

    Nobody is held back, however far ahead of the listener. The methods are the scheduler's.
    """

    def __init__(self, config: SchedulerConfig) -> None:
        self._config = config
        self._streams: dict[StreamId, _Stream] = {}

    def open(self, stream: StreamId, *, paced: bool) -> None:
        """Whoever comes is let in."""
        self._streams[stream] = _Stream()

    def close(self, stream: StreamId) -> None:
        """Forget the stream."""
        self._streams.pop(stream, None)

    def queue(self, stream: StreamId, now: float) -> None:
        """One more segment waits."""
        self._streams[stream].waiting += 1

    def prefilled(self, stream: StreamId) -> None:
        """The next segment is in the model."""
        if state := self._streams.get(stream):
            state.waiting -= 1
            state.speaking = True

    def stepped(self, stream: StreamId, seconds: float, *, last: bool, now: float) -> None:
        """The stream advanced."""
        if state := self._streams.get(stream):
            state.speaking = not last

    def taken(self, stream: StreamId, seconds: float) -> None:
        """Means nothing to it."""

    def plan(self, now: float) -> Plan:
        """The first in line, as many as fit."""
        prefill: list[StreamId] = []
        step: list[StreamId] = []
        for stream, state in self._streams.items():
            if len(step) == self._config.max_batch:
                break
            if not state.speaking:
                if not state.waiting or len(prefill) == self._config.max_prefills:
                    continue
                prefill.append(stream)
            step.append(stream)
        return Plan(tuple(prefill), tuple(step), None)


class RoundRobin(FirstCome):
    """Everybody in turn: whoever has been served goes to the end of the line."""

    def stepped(self, stream: StreamId, seconds: float, *, last: bool, now: float) -> None:
        """The stream advanced, and lets the others go first."""
        super().stepped(stream, seconds, last=last, now=now)
        if stream in self._streams:
            self._streams[stream] = self._streams.pop(stream)


Policy = Scheduler | FirstCome
"""Anything that plans steps as the engine's scheduler does."""

POLICIES: Mapping[str, Callable[[SchedulerConfig], Policy]] = {
    "deadline": Scheduler,
    "first-come": FirstCome,
    "round-robin": RoundRobin,
}
