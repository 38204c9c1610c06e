import pytest

from benchmarks.loop import summarise


def test_a_block_shows_under_the_load_that_made_it() -> None:
    usual = [(at / 100, 0.001, 0.0) for at in range(100)]
    blocked = [(1.0 + at / 100, 0.001, 0.0) for at in range(100)]
    blocked[50] = (1.5, 0.021, 0.002)
    none, long = summarise(usual + blocked, {"none": [(0.0, 0.995)], "long": [(1.005, 2.0)]}, {"long": "bad"})
    assert (none.longest, none.problem) == (0.0, None)
    assert long.longest == pytest.approx(0.02)
    assert (long.own_longest, long.problem, long.p50) == (0.002, "bad", 0.0)


def test_a_load_during_which_nobody_asked_is_a_problem() -> None:
    [nothing] = summarise([(0.0, 0.001, 0.0)], {"none": [(5.0, 6.0)]}, {})
    assert nothing.problem == "nothing was measured"
