from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulation.__main__ import main
from benchmarks.simulation.costs import FLOOR, FRAME_SECONDS, PLAUSIBLE, Curve, Measured
from benchmarks.simulation.policies import POLICIES, FirstCome, RoundRobin
from benchmarks.simulation.results import Case, Result, Setting, measure
from benchmarks.simulation.run import ENCODE_SECONDS, History, simulate
from benchmarks.simulation.workload import Spoken, Turn, Workload
from engine.scheduler import Scheduler, SchedulerConfig
from engine.speech import StreamId

CONFIG = SchedulerConfig(1000, 8, max_prefills=2)
SMALL = Setting(seconds=10.0, max_batch=8)
QUICK = Workload(segments=2.0, median=2.5, longest=4.0)


def turn(*frames: int, arrives: float = 0.0, patience: float = float("inf"), unread: int = 0) -> Turn:
    return Turn(arrives, tuple(Spoken(0.0, 20, count) for count in frames), 300, unread, patience)


def run(turns: list[Turn], policy: str = "deadline", **limits: float) -> History:
    config = replace(CONFIG, **limits)  # type: ignore[arg-type]
    return simulate(turns, POLICIES[policy](config), PLAUSIBLE, chunk=256)


# -- costs


@pytest.mark.parametrize(("batch", "ms"), [(1, 3.83), (8, 4.07), (16, 4.35), (64, 5.99), (256, 14.3)])
def test_the_floor_is_that_of_the_arithmetic(batch: int, ms: float) -> None:
    assert FLOOR.decode(batch, batch * 1000) * 1e3 == pytest.approx(ms, rel=0.005)


def test_the_plausible_costs_are_within_what_is_aimed_at() -> None:
    assert PLAUSIBLE.decode(1, 1000) <= 6e-3
    assert PLAUSIBLE.decode(64, 64_000) <= 9e-3


def test_a_short_prefill_costs_the_weights_and_a_long_one_its_operations() -> None:
    assert FLOOR.prefill(1) == FLOOR.prefill(100)
    assert FLOOR.prefill(2000) == pytest.approx(2 * FLOOR.prefill(1000))


def test_a_curve_is_straight_between_points_flat_before_them_and_goes_on_behind() -> None:
    curve = Curve(((1, 5.0), (8, 6.0), (64, 20.0)))
    assert [curve(x) for x in (0, 1, 8, 36, 64, 120)] == [5.0, 5.0, 6.0, 13.0, 20.0, 34.0]
    assert Curve(((4, 2.0),))(100) == 2.0


@given(st.dictionaries(st.integers(1, 1000), st.floats(0, 100), min_size=1), st.floats(0, 1000))
def test_a_curve_never_leaves_what_was_measured_around_it(points: dict[int, float], x: float) -> None:
    curve = Curve(tuple(sorted(points.items())))
    around = [y for at, y in points.items() if at in (below(points, x), above(points, x))]
    if x <= max(points):
        assert min(around) - 1e-9 <= curve(x) <= max(around) + 1e-9


def below(points: dict[int, float], x: float) -> int:
    return max((at for at in points if at <= x), default=min(points))


def above(points: dict[int, float], x: float) -> int:
    return min((at for at in points if at >= x), default=max(points))


def test_measured_costs_are_read_and_the_rest_is_plausible(tmp_path: Path) -> None:
    file = tmp_path / "costs.json"
    measured = {"decode_ms": {"1": 5, "3": 7}, "prefill_ms": {"100": 2}, "ms_per_1000_positions": 1}
    file.write_bytes(orjson.dumps(measured | {"context": 500, "codec_latency_ms": 4}))
    costs = Measured.read(file)
    assert costs.decode(2, 1000) == pytest.approx(6e-3)
    assert costs.decode(2, 2000) == pytest.approx(7e-3)
    assert (costs.prefill(70), costs.latency) == (2e-3, 4e-3)
    assert (costs.codec(3), costs.draw(2)) == (PLAUSIBLE.codec(3), PLAUSIBLE.draw(2))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "is not JSON"),
        ("[]", '"decode_ms"'),
        ('{"decode_ms": {"1": 5}, "prefil_ms": {}}', "prefil_ms unknown"),
        ('{"decode_ms": {"one": 5}}', "milliseconds by size"),
        ('{"decode_ms": {}}', "milliseconds by size"),
        ('{"decode_ms": {"1": 5}, "context": -1}', "context must be a number from 0"),
    ],
)
def test_a_wrong_file_is_told_what_is_wrong(tmp_path: Path, content: str, complaint: str) -> None:
    file = tmp_path / "costs.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=complaint):
        Measured.read(file)


# -- policies


def test_ours_is_the_engines_own_scheduler() -> None:
    assert POLICIES["deadline"] is Scheduler


def test_the_first_to_come_holds_its_place_and_in_turn_nobody_does() -> None:
    for policy, then in ((FirstCome, (0, 1)), (RoundRobin, (2, 0))):
        line = policy(replace(CONFIG, max_batch=2, max_prefills=8))
        for number in range(3):
            line.open(StreamId(number), paced=True)
            line.queue(StreamId(number), 0.0)
        assert line.plan(0.0).prefill == line.plan(0.0).step == (0, 1)
        for number in (0, 1):
            line.prefilled(StreamId(number))
            line.stepped(StreamId(number), 0.1, last=False, now=0.0)
        assert line.plan(0.1).step == then
        line.stepped(StreamId(0), 0.1, last=True, now=0.1)
        line.close(StreamId(1))
        assert line.plan(0.2).step == (2,)


# -- the run


def test_a_lone_stream_hears_its_first_frame_after_prefill_drawing_and_codec() -> None:
    [one] = run([turn(50)]).outcomes
    costs = PLAUSIBLE.prefill(20) + PLAUSIBLE.draw(1) + PLAUSIBLE.codec(1) + PLAUSIBLE.latency
    assert one.onset == pytest.approx(costs + ENCODE_SECONDS)
    assert (one.due, one.spoken, one.heard, one.longest_wait) == (50, 50, 50, 0.0)


def test_a_prompt_longer_than_a_step_may_read_is_read_in_several() -> None:
    history = run([turn(10, unread=600)])
    assert [step.rows for step in history.steps[:4]] == [0, 0, 1, 1]
    assert history.steps[2].positions == 300 - 600 + 620 + 1


def test_silence_between_segments_that_come_late_is_not_the_models() -> None:
    late = Turn(0.0, (Spoken(0.0, 20, 20), Spoken(5.0, 20, 20)), 300, 0, float("inf"))
    [one] = run([late]).outcomes
    assert 0 < one.longest_wait < 0.1


def test_who_interrupts_frees_his_place_and_was_not_spoken_to_any_further() -> None:
    [one] = run([turn(2000, patience=1.0)]).outcomes
    assert one.heard == round(1.0 / FRAME_SECONDS)
    assert one.heard < one.spoken < one.heard + 11 / FRAME_SECONDS


def test_who_is_refused_hears_nothing() -> None:
    first, second = run([turn(20), turn(20)], max_streams=1).outcomes
    assert (first.refused, second.refused) == (False, True)
    assert (second.onset, second.spoken) == (None, 0)


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(list(POLICIES)),
    st.integers(1, 30),
    st.integers(1, 12),
    st.integers(1, 8),
    st.integers(1, 500),
    st.integers(0, 99),
)
def test_every_frame_is_spoken_once_and_none_before_its_text(
    policy: str, streams: int, batch: int, prefills: int, chunk: int, seed: int
) -> None:
    """That none comes early, and no step lacks a segment, is asserted by the run itself."""
    workload = replace(QUICK, cached=0.5, interrupted=0.3)
    turns = workload.poisson(streams, 3.0, seed) + workload.burst(streams, seed)
    turns.sort(key=lambda one: one.arrives)
    config = SchedulerConfig(1000, batch, max_prefills=prefills)
    history = simulate(turns, POLICIES[policy](config), PLAUSIBLE, chunk=chunk)
    assert [one.turn for one in history.outcomes] == turns
    for one in history.outcomes:
        assert one.onset is not None
        assert one.onset > 0
        if one.turn.patience >= one.turn.seconds:
            assert one.heard == one.spoken == one.due
        assert one.heard <= one.spoken <= one.due
    ends = sum(one.spoken == one.due for one in history.outcomes)
    assert sum(step.rows for step in history.steps) >= sum(one.spoken for one in history.outcomes) + ends
    for step, after in zip(history.steps, history.steps[1:], strict=False):
        assert step.rows <= batch
        assert step.begins + step.seconds <= after.begins + 1e-9


# -- the workload


def test_as_many_listen_on_average_as_were_asked_for() -> None:
    turns = Workload().poisson(64, 2000.0, seed=1)
    listening = sum(min(one.seconds, one.patience) for one in turns) / 2000.0
    assert listening == pytest.approx(64, rel=0.1)
    assert all(2.0 <= s.frames * FRAME_SECONDS < 8.1 for one in turns for s in one.segments)


def test_a_language_model_writes_one_segment_after_the_other() -> None:
    for one in Workload().burst(20, seed=1):
        written = [segment.after for segment in one.segments]
        assert written[0] == 0.0
        assert written == sorted(set(written))


# -- results


def result(policy: str, streams: int, scenario: str = "steady", setting: Setting = SMALL) -> Result:
    return measure(Case("plausible", scenario, streams, policy), PLAUSIBLE, setting)  # type: ignore[arg-type]


def test_the_same_seed_gives_the_same_and_another_one_something_else() -> None:
    assert result("deadline", 16) == result("deadline", 16)
    assert result("deadline", 16) != result("deadline", 16, setting=replace(SMALL, seed=2))


@pytest.mark.parametrize("scenario", ["steady", "burst"])
def test_with_more_streams_than_rows_deadlines_keep_onset_and_continuity(scenario: str) -> None:
    """Eight rows for 40 callers: enough for all only if those who are ahead wait."""
    ours, first = (result(policy, 40, scenario) for policy in ("deadline", "first-come"))
    assert ours.c100 >= first.c100
    assert ours.in_time >= first.in_time
    assert ours.onset["p95"] < first.onset["p95"]


def test_beyond_what_the_model_can_do_only_refusing_helps() -> None:
    overloaded = result("deadline", 200)
    assert overloaded.c100 < 0.9
    admitted = result("deadline", 200, setting=replace(SMALL, max_streams=16))
    assert admitted.refused > 0
    assert admitted.c100 == 1.0


def test_the_command_prints_a_table_and_leaves_numbers_and_a_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.json"
    file.write_text('{"decode_ms": {"1": 6, "64": 9}}')
    options = ["--streams", "4", "8", "--policy", "deadline", "first-come", "--seconds", "3"]
    main([*options, "--costs", str(file), "--out", str(tmp_path / "out")])
    assert "steady, costs: mine" in capsys.readouterr().out
    numbers = orjson.loads((tmp_path / "out" / "simulation.json").read_bytes())
    assert len(numbers["results"]) == 2 * 2 * 2
    assert numbers["results"][0]["c100"] == 1.0
    assert numbers["setting"]["seconds"] == 3.0


def test_a_wrong_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for options in (["--streams", "0"], ["--costs", "nowhere.json"]):
        with pytest.raises(SystemExit):
            main(options)
    assert "nowhere.json" in capsys.readouterr().err
