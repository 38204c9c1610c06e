from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.dubbing import Limits
from realtime.dubbing.fitting import Fit, Measured, fit
from tests.realtime.dubbing.lines import measured_lines

LIMITS = Limits()
INF = float("inf")
LINE = Measured(4.0, ((1.0, 1.5), (2.0, 2.25)), (0.9, 1.0, 1.9, 2.0, 3.0))


def fitted(room: float, limit: float = INF) -> Fit:
    found = fit(LINE, room, limit, LIMITS)
    assert found is not None
    return found


def test_what_fits_stays_as_it_is():
    assert fitted(4.0) == Fit(1.0, (0.5, 0.25), 4.0)


def test_pauses_are_shortened_first_and_no_more_than_needed():
    found = fitted(3.8)
    assert found.speed == 1.0
    assert found.seconds == pytest.approx(3.8)
    assert found.trimmed(LINE) == pytest.approx(0.2)
    assert found.pauses[0] / 0.5 < found.pauses[1] / 0.25  # the longer one gives more


def test_then_it_is_sped_up_as_much_as_needed():
    found = fitted(3.0)
    assert found.pauses == pytest.approx((0.15, 0.15))
    assert found.speed == pytest.approx(3.55 / 3.0)
    assert found.seconds == pytest.approx(3.0)


@pytest.mark.parametrize("room", [1.0, 0.0, -5.0])
def test_at_the_most_speed_it_is_longer_than_its_room(room):
    found = fitted(room)
    assert (found.speed, found.cut) == (1.3, None)
    assert found.seconds == pytest.approx(3.55 / 1.3)


def test_beyond_the_limit_it_is_cut_behind_a_word():
    found = fitted(1.0, 2.0)
    assert found.cut == 3.0
    assert found.seconds == pytest.approx((3.0 - 0.45) / 1.3)


def test_without_room_for_a_word_there_is_nothing():
    assert fit(LINE, 0.1, 0.3, LIMITS) is None
    assert fit(Measured(1.0), 0.1, 0.3, LIMITS) is None


@given(measured_lines(), st.floats(-5, 30), st.floats(0, 60))
def test_whatever_the_line(measured, room, limit):
    found = fit(measured, room, limit, LIMITS)
    if found is None:
        return
    assert 1.0 <= found.speed <= LIMITS.max_speed
    assert found.seconds <= limit
    for kept, (start, end) in zip(found.pauses, measured.pauses, strict=True):
        assert min(end - start, LIMITS.pause_floor) - 1e-9 <= kept <= end - start + 1e-9
    gentle = found.speed < LIMITS.max_speed
    if gentle:
        assert found.seconds <= max(room, 0) + 1e-6
    if found.speed > 1 + 1e-9:  # only when the pauses gave what they could
        assert all(kept <= LIMITS.pause_floor + 1e-9 for kept in found.pauses)
    if found.cut is None:
        assert found.heard_at(measured, measured.seconds) == pytest.approx(found.seconds)
    else:
        assert found.cut in measured.stops
        assert found.heard_at(measured, found.cut) == pytest.approx(found.seconds)
    moments = [measured.seconds * step / 50 for step in range(51)]
    heard = [found.heard_at(measured, moment) for moment in moments]
    assert all(before <= after + 1e-9 for before, after in pairwise(heard))
