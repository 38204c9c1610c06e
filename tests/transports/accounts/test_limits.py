"""Rate and concurrency under every order of events that hypothesis can think of, in virtual time."""

from hypothesis import given
from hypothesis import strategies as st

from transports.accounts.limits import Meter

RATES = st.integers(1, 1000)
STEPS = st.lists(st.floats(0, 120, allow_nan=False), max_size=100)


@given(RATES, STEPS)
def test_no_minute_has_more_than_a_bucket_and_what_flowed_in(rate: int, steps: list[float]) -> None:
    meter, now, passed = Meter(), 1000.0, []
    for step in steps:
        now += step
        if meter.request(rate, now) == 0:
            passed.append(now)
    for first, begin in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= rate + rate * (passed[last] - begin) / 60 + 1e-6


@given(RATES, st.floats(0, 1e6))
def test_a_minutes_requests_may_come_at_once_and_the_next_when_it_was_told(rate: int, start: float) -> None:
    meter = Meter()
    assert all(meter.request(rate, start) == 0 for _ in range(rate))
    wait = meter.request(rate, start)
    assert 0 < wait <= 60
    assert meter.request(rate, start + wait * 0.9) > 0
    assert meter.request(rate, start + wait) == 0


@given(RATES, STEPS)
def test_whoever_comes_back_when_told_is_let_in(rate: int, steps: list[float]) -> None:
    meter, now = Meter(), 0.0
    for step in steps:
        now += step
        if wait := meter.request(rate, now):
            now += wait
            assert meter.request(rate, now) == 0


@given(RATES, RATES)
def test_a_limit_may_change_or_go(before: int, after: int) -> None:
    meter = Meter()
    while meter.request(before, 0.0) == 0:
        pass
    assert meter.request(None, 0.0) == 0
    assert sum(meter.request(after, 0.0) == 0 for _ in range(after + 5)) == after


def test_a_clock_that_steps_back_gives_nothing_away() -> None:
    meter = Meter()
    assert [meter.request(1, now) > 0 for now in (100.0, 50.0, 100.0, 159.0, 161.0)] == [
        False,
        True,
        True,
        True,
        False,
    ]


@given(st.integers(1, 5) | st.none(), st.lists(st.booleans()))
def test_never_more_at_once_than_allowed_and_never_fewer(most: int | None, steps: list[bool]) -> None:
    meter, running = Meter(), 0
    for begins in steps:
        if begins:
            entered = meter.enter(most)
            assert entered == (most is None or running < most)
            running += entered
        elif running:
            meter.leave()
            running -= 1
        assert meter.running == running
