"""How workers that are processes are looked after."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProcessConfig:
    """When a worker counts as crashed, and when it comes back.

    One that has been at a single step for ``hang_seconds``, or says nothing for as long, is killed. The first
    restart waits for ``first_delay`` seconds, each further one twice as long as the one before, up to
    ``longest_delay``; who has been up for ``steady_after`` seconds begins anew. One that was asked to stop is
    killed after ``stop_seconds``.
    """

    hang_seconds: float = 20.0
    first_delay: float = 0.5
    longest_delay: float = 30.0
    steady_after: float = 60.0
    stop_seconds: float = 5.0


class Backoff:
    """How long to wait before each restart: pure, without a clock."""

    def __init__(self, config: ProcessConfig) -> None:
        self._config = config
        self._delay = config.first_delay

    def delay(self, was_up: float) -> float:
        """Seconds to wait now, after a run that was up for ``was_up`` seconds."""
        config = self._config
        if was_up >= config.steady_after:
            self._delay = config.first_delay
        delay = self._delay
        self._delay = min(2 * delay, config.longest_delay)
        return delay


class Pulse:
    """Whether a worker is stuck, by what it says of itself: pure, without a clock.

    It is asked every ``tick`` seconds. Ticks are counted, not seconds: a program that was stopped as a whole
    (Ctrl-Z, a laptop's lid) has not hung.
    """

    def __init__(self, tick: float, hang_seconds: float) -> None:
        self._tick, self._limit = tick, hang_seconds
        self._silent = 0
        self._busy = 0.0

    def heard(self) -> None:
        """Something came from the worker."""
        self._silent = 0

    def beat(self, busy: float) -> None:
        """It says for how many seconds it has been at one step."""
        self._busy = busy

    def ticked(self) -> str | None:
        """A tick has passed: why the worker counts as hung; None if it does not."""
        self._silent += 1
        if self._busy >= self._limit:
            return f"one step has taken {self._busy:g} s"
        if self._silent * self._tick > self._limit:
            return f"nothing was heard of it for {self._limit:g} s"
        return None
