"""Which worker speaks what, and how much each can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Overloaded
from engine.process.placing import AFFINITY, Load, choose, shared, shares, threads_each


def test_the_one_that_speaks_least_is_chosen() -> None:
    assert choose([Load(3, 3, 8), Load(1, 9, 8), Load(2, 2, 8)]) == 1


def test_of_equals_the_one_with_fewer_open_then_the_first() -> None:
    assert choose([Load(1, 4, 8), Load(1, 2, 8)]) == 1
    assert choose([Load(1, 2, 8), Load(1, 2, 8)]) == 0


def test_one_that_has_read_the_voice_is_worth_a_little_more_work() -> None:
    assert choose([Load(0, 0, 8), Load(AFFINITY, 4, 8, warm=True)]) == 0
    assert choose([Load(1, 1, 8), Load(AFFINITY, 4, 8, warm=True)]) == 1
    assert choose([Load(7, 7, 8), Load(8, 8, 8, warm=True)]) == 0  # which has no room


def test_nobody_has_room() -> None:
    with pytest.raises(Overloaded, match="4 of 4 streams are speaking"):
        choose([Load(2, 2, 2), Load(2, 2, 2)])
    with pytest.raises(Overloaded, match="16 streams are open, though only 0 of them speak"):
        choose([Load(0, 8, 2), Load(0, 8, 2)])
    with pytest.raises(Overloaded, match="all 2 workers are busy"):
        choose([Load(2, 2, 2), Load(0, 8, 2)])


@given(st.integers(1, 100), st.integers(1, 20))
def test_shares_are_all_there_is_and_differ_by_one_at_most(streams: int, workers: int) -> None:
    if streams < workers:
        with pytest.raises(ValueError, match=f"max_streams is {streams}"):
            shares(streams, workers)
        return
    split = shares(streams, workers)
    assert sum(split) == streams
    assert max(split) - min(split) <= 1


@given(st.integers(1, 512), st.integers(1, 64), st.integers(1, 64))
def test_workers_never_carry_more_than_the_processors_can(measured: int, workers: int, cores: int) -> None:
    each = shared(measured, workers, cores)
    assert each >= 1
    assert each == 1 or each * workers <= measured * cores


def test_threads_are_shared_unless_the_operator_has_said_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("engine.process.placing.processors", lambda: 16)
    assert threads_each(2) == {"OMP_NUM_THREADS": "4"}
    assert threads_each(100) == {"OMP_NUM_THREADS": "1"}
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert threads_each(2) == {}
