"""How slowly requests and messages may come, on a clock of the test's own."""

import pytest

from transports.security import Limits
from transports.security.outgoing import Outgoing
from transports.security.pace import MessagePace, Pace, Phase

LIMITS = Limits(head=100, head_seconds=10.0, body_grace=5.0, body_rate=100.0, body_seconds=60.0)


def status(pace: Pace, now: float) -> int | None:
    refusal = pace.overdue(now)
    return refusal.status if refusal else None


def test_a_head_has_its_time_from_the_connection_on() -> None:
    pace = Pace(LIMITS, 0.0)
    assert pace.silent
    pace.received(10, 9.0)
    pace.head_begun(9.0)
    assert not pace.silent
    assert status(pace, 10.0) is None
    assert status(pace, 10.1) == 408


def test_between_requests_nothing_is_awaited_and_the_next_head_has_its_own_time() -> None:
    pace = Pace(LIMITS, 0.0)
    pace.received(50, 0.0)
    pace.head_done(0.0)
    pace.done(0.0)
    assert pace.phase is Phase.IDLE
    assert status(pace, 1e6) is None
    pace.received(1, 1e6)
    assert status(pace, 1e6 + 10.0) is None
    assert status(pace, 1e6 + 10.1) == 408


def test_a_body_has_more_time_as_it_comes_but_not_for_ever() -> None:
    pace = Pace(LIMITS, 0.0)
    pace.head_done(0.0)
    assert status(pace, 5.0) is None
    assert status(pace, 5.1) == 408
    pace.content(500)  # five seconds' worth
    assert status(pace, 10.0) is None
    assert status(pace, 10.1) == 408
    pace.content(10**9)
    assert status(pace, 60.0) is None
    assert status(pace, 60.1) == 408


def test_while_we_do_not_read_a_body_is_not_late() -> None:
    pace = Pace(LIMITS, 0.0)
    pace.head_done(0.0)
    pace.excuse(100.0)
    assert status(pace, 105.0) is None
    assert status(pace, 105.1) == 408


def test_too_much_around_a_body_is_no_body() -> None:
    pace = Pace(LIMITS, 0.0)
    pace.received(100, 0.0)
    assert pace.too_much() is None
    pace.received(1, 0.0)
    refusal = pace.too_much()
    assert refusal is not None
    assert refusal.status == 431
    pace.head_done(0.0)
    for _ in range(100_000):  # a byte in each chunk is odd, but may be
        pace.received(6, 0.0)
        pace.content(1)
    assert pace.too_much() is None
    pace.received(10**7, 0.0)
    refusal = pace.too_much()
    assert refusal is not None
    assert refusal.status == 400


def test_who_takes_nothing_is_overdue_and_who_takes_some_is_not() -> None:
    outgoing = Outgoing(Limits(stall_seconds=30.0, linger_seconds=5.0))
    outgoing.stuck(0.0)
    assert not outgoing.overdue(30.0, closing=False)
    assert outgoing.overdue(30.1, closing=False)
    outgoing.moving()
    assert not outgoing.overdue(1e6, closing=False)
    assert not outgoing.overdue(1e6, closing=True)  # from here on
    assert not outgoing.overdue(1e6 + 5.0, closing=True)
    assert outgoing.overdue(1e6 + 5.1, closing=True)


def test_a_message_has_the_time_of_a_body() -> None:
    pace = MessagePace(LIMITS)
    assert pace.overdue(1e6) is None
    pace.part(500, 1e6)  # five seconds' worth, and five more to begin with
    assert pace.overdue(1e6 + 10.0) is None
    refusal = pace.overdue(1e6 + 10.1)
    assert refusal is not None
    assert refusal.status == 1008
    pace.part(10**9, 1e6 + 10.0)
    assert pace.overdue(1e6 + 60.0) is None
    assert pace.overdue(1e6 + 60.1) is not None
    pace.excuse(40.0)  # we did not read
    assert pace.overdue(1e6 + 100.0) is None


def test_after_a_message_the_next_one_has_a_time_of_its_own() -> None:
    pace = MessagePace(LIMITS)
    for second in range(1000):  # there is always some of the next in the same packet
        pace.done()
        pace.part(1, float(second))
        assert pace.unfinished
        assert pace.overdue(second + 1.0) is None
    pace.part(0, 1000.0)
    assert not pace.unfinished
    assert pace.overdue(1e6) is None


@pytest.mark.parametrize(("size", "rate"), [(10_000_000, 20_000), (1_000_000, 2_000)], ids=["voice", "text"])
def test_on_a_slow_link_a_large_message_is_not_late(size: int, rate: int) -> None:
    pace = MessagePace(Limits())
    for second in range(size // rate):
        pace.part(second * rate + 1, float(second))
        assert pace.overdue(second + 1.0) is None
