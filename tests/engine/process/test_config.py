"""When a worker is started again, and when it counts as hung."""

from engine.process.config import Backoff, ProcessConfig, Pulse


def test_each_restart_waits_twice_as_long_up_to_a_limit() -> None:
    backoff = Backoff(ProcessConfig(first_delay=0.5, longest_delay=30.0))
    assert [backoff.delay(0.0) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_who_was_up_for_long_begins_anew() -> None:
    backoff = Backoff(ProcessConfig(steady_after=60.0))
    for _ in range(5):
        backoff.delay(59.9)
    assert backoff.delay(60.0) == 0.5
    assert backoff.delay(1.0) == 1.0


def test_silence_is_counted_in_ticks() -> None:
    pulse = Pulse(1.0, 3.0)
    assert [pulse.ticked() for _ in range(3)] == [None] * 3
    assert pulse.ticked() == "nothing was heard of it for 3 s"
    pulse.heard()
    assert pulse.ticked() is None


def test_one_step_that_takes_too_long() -> None:
    pulse = Pulse(1.0, 3.0)
    for busy, why in ((0.0, None), (2.0, None), (0.0, None), (3.0, "one step has taken 3 s")):
        pulse.heard()
        pulse.beat(busy)
        assert pulse.ticked() == why
