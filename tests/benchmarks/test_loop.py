import struct
from pathlib import Path

import numpy as np
import pytest

from benchmarks.loop import summarise
from benchmarks.watched import beats


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


def test_what_the_loop_worked_at_a_stretch_is_told_from_how_late_it_was() -> None:
    asked = [(at / 100, 0.001, 0.0) for at in range(200)]
    watched = np.array([(at / 100, 0.0001, 0.0) for at in range(200)])
    watched[150] = 1.5, 0.003, 0.02
    none, long = summarise(asked, {"none": [(0.0, 0.995)], "long": [(1.005, 2.0)]}, {}, watched)
    assert (none.block, none.late_longest) == (0.0001, 0.0)
    assert (long.block, long.late_longest) == (0.003, 0.02)


def test_a_beat_that_is_being_written_is_left_out(tmp_path: Path) -> None:
    (file := tmp_path / "beats").write_bytes(struct.pack("4d", 1.0, 0.5, 0.25, 2.0))
    assert beats(file).tolist() == [[1.0, 0.5, 0.25]]
