import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from benchmarks.engine.__main__ import main
from benchmarks.engine.first import FirstResult
from benchmarks.engine.floor import Floor, Speed
from benchmarks.engine.launches import launches
from benchmarks.engine.live import SENTENCES, LiveResult, Outcome, Plan, Turn, plan, run, summarise
from benchmarks.engine.parts import PartsResult, WholeResult
from benchmarks.engine.report import draw, save, show
from benchmarks.engine.results import Results
from benchmarks.engine.setting import Setting
from benchmarks.engine.step import PrefillResult, StepResult
from benchmarks.engine.voices import RATE, write_voices
from benchmarks.simulation.costs import Measured
from engine import Engine, EngineConfig
from engine.models.codec.random import tiny_config
from engine.models.dual_ar.config import Layout
from engine.models.dual_ar.presets import Scale, preset
from engine.models.dual_ar.voices import read_voices
from engine.models.hibari import HibariModel

S2_PRO = preset(Layout.S2_PRO, Scale.FULL)
H200 = Speed(bandwidth=4.3e12, peak=788e12)


# -- the floor


@pytest.mark.parametrize(("batch", "ms"), [(1, 3.83), (8, 4.07), (16, 4.35), (64, 5.99), (256, 14.3)])
def test_the_floor_is_that_of_the_arithmetic(batch: int, ms: float) -> None:
    floor = Floor.of(S2_PRO, 2, whole_head=True, merged=False)
    assert 1e3 * floor.decode(H200, batch, 1000) == pytest.approx(ms, rel=0.005)


def test_a_small_head_and_one_pass_less_save_what_they_read() -> None:
    ours, plain = Floor.of(S2_PRO, 2), Floor.of(S2_PRO, 2, whole_head=True, merged=False)
    head, first_pass = (155_776 - 4097) * 2560, 4 * 100_925_440
    assert plain.weights - ours.weights == 2 * (head + first_pass)
    assert 1e3 * ours.weights / H200.bandwidth == pytest.approx(3.43, abs=0.01)


def test_the_sizes_are_those_of_the_published_model() -> None:
    floor = Floor.of(S2_PRO, 2)
    assert floor.slow == pytest.approx(3.633e9, rel=0.001)
    assert floor.fast == pytest.approx(0.404e9, rel=0.002)
    assert floor.kv * 2 == 147_456


def test_short_prompts_cost_the_weights_and_long_ones_their_products() -> None:
    floor = Floor.of(S2_PRO, 2)
    assert floor.prefill(H200, 60) == floor.prefill(H200, 1) == pytest.approx(1.69e-3, rel=0.01)
    assert floor.prefill(H200, 2000) > 2 * floor.prefill(H200, 1000) > 2 * floor.prefill(H200, 60)


# -- kernels


def test_every_layer_counts_and_views_do_not() -> None:
    tiny = preset(Layout.S2_PRO, Scale.TINY)
    deeper = replace(tiny, slow=replace(tiny.slow, layers=tiny.slow.layers + 1))
    counts, more = (launches(config, tiny_config()) for config in (tiny, deeper))
    linear = counts["slow"]["linear"]
    assert linear == 4 * tiny.slow.layers + 1
    assert more["slow"]["linear"] == linear + 4
    assert more["fast"] == counts["fast"]
    assert counts["slow"]["paged attention"] == 2 * tiny.slow.layers
    views = {"view", "transpose", "select", "slice", "chunk", "unsqueeze", "empty_like"}
    assert not views & counts["frame"].keys()
    parts = sum(sum(counts[part].values()) for part in ("slow", "fast", "sampling"))
    assert parts <= sum(counts["frame"].values()) < parts + 40


# -- who comes, and what he hears


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.floats(1, 60), st.floats(0.5, 12), st.integers(0, 99))
def test_turns_come_in_order_and_their_seed_decides(
    listeners: int, seconds: float, segment: float, seed: int
) -> None:
    turns = plan(listeners, seconds, segment, ("a", "b"), seed)
    assert turns == plan(listeners, seconds, segment, ("a", "b"), seed)
    at = [turn.at for turn in turns.turns]
    assert at == sorted(at)
    assert turns.end - turns.begin == pytest.approx(seconds)
    for turn in turns.turns:
        assert turn.texts
        assert len(set(turn.texts)) == len(turn.texts)
        assert turn.patience is None or 0 <= turn.patience <= len(turn.texts) * segment


def test_as_many_listen_on_average_as_were_asked_for() -> None:
    turns = plan(64, 2000.0, 4.0, ("a",), seed=1)
    heard = [
        4.0 * len(turn.texts) if turn.patience is None else turn.patience
        for turn in turns.turns
        if turns.counts(turn)
    ]
    assert sum(heard) / 2000.0 == pytest.approx(64, rel=0.1)
    assert len({turn.texts for turn in turns.turns}) > 1000
    assert len(SENTENCES) > 100


def turn(at: float, patience: float | None = None) -> Turn:
    return Turn(at, ("Hello.",), "a", patience)


def test_a_level_is_told_by_the_turns_that_count() -> None:
    level = Plan(tuple(turn(at) for at in (1.0, 4.0, 5.0, 6.0, 7.0, 8.0)), begin=4.0, end=8.0)
    early, patient, waited, refused, broken, late = level.turns
    outcomes = [
        Outcome(early, onset=9.0, longest_wait=9.0, heard=(2.0, 5.0)),
        Outcome(patient, onset=0.1, longest_wait=0.1, heard=(4.5, 6.5)),
        Outcome(waited, onset=0.3, longest_wait=0.2, heard=(6.0, 10.0)),
        Outcome(refused, refused=True),
        Outcome(broken, problem="no pages"),
        Outcome(late, onset=9.0, longest_wait=9.0, heard=(9.0, 10.0)),
    ]
    result = summarise(2, level, outcomes)
    assert (result.turns, result.refused, result.problems) == (4, 1, {"no pages": 1})
    assert result.c100 == 0.5
    assert result.onset["p50"] == pytest.approx(0.2)
    assert result.onset["max"] == 0.3
    assert result.longest_wait["max"] == 0.2
    assert result.mean_listeners == pytest.approx((1.0 + 2.0 + 2.0) / 4.0)


def test_nobody_heard_is_no_share() -> None:
    result = summarise(1, Plan((turn(0.0),), 0.0, 1.0), [Outcome(turn(0.0), refused=True)])
    assert (result.c100, result.onset, result.refused) == (None, {}, 1)


async def test_turns_are_spoken_interrupted_and_refused_by_a_real_engine() -> None:
    calm, brief = turn(0.0), turn(0.02, patience=0.05)
    crowd = tuple(turn(0.04) for _ in range(6))
    level = Plan((calm, brief, *crowd, turn(60.0)), begin=0.0, end=1.0)
    async with Engine(HibariModel, EngineConfig(max_streams=3)) as engine:
        voice = engine.info.default_voice
        voiced = tuple(replace(one, voice=voice) for one in level.turns)
        outcomes = await run(engine, replace(level, turns=voiced))
        assert engine.open_streams == 0
    assert [one.turn for one in outcomes] == list(voiced[:-1])
    result = summarise(3, replace(level, turns=voiced), outcomes)
    assert result.turns == 8
    assert result.refused >= 1
    first, second, *_ = outcomes
    assert first.onset is not None
    assert first.heard is not None
    assert second.heard is None or second.heard[1] - second.heard[0] <= 0.05


# -- voices


def test_voices_are_recordings_that_the_engine_reads(tmp_path: Path) -> None:
    cached, new = write_voices(tmp_path, 1, 2, seed=0)
    voices = read_voices(tmp_path)
    assert set(voices) == {*cached, *new}
    (one,), (other,) = voices[new[0]], voices[new[1]]
    assert len(one.pcm) == 10 * RATE
    assert one.text != other.text
    assert not (one.pcm == other.pcm).all()


# -- results


def results() -> Results:
    setting = Setting(
        Path("s2-pro-tiny-0"),
        torch.device("cpu"),
        torch.float32,
        (1, 8),
        1000,
        False,
        False,
        5.0,
        4,
        2,
        16,
        0,
    )
    times = {"p50": 0.1, "p95": 0.2, "max": 0.3}
    return Results(
        setting,
        {"device": "a machine", "torch": "2", "date": "today", "revision": "abc"},
        speed=H200,
        floor=Floor.of(S2_PRO, 2),
        frame_seconds=0.046,
        launches={"slow": {"linear": 3, "mul": 2}},
        steps=[
            StepResult(batch, 1000, 5.0 + batch, 5.0, 1.0, 4.0, 0.1, 200.0, 2000.0, 10**9) for batch in (1, 8)
        ],
        prefills=[PrefillResult(60, 2.0, 4.0, 1.7), PrefillResult(400, 3.0, 5.0, 3.7)],
        parts=[PartsResult(batch, 3.0, 2.0, 0.5, 0.25, 0.4, 2.5) for batch in (1, 8)],
        whole=[WholeResult(8, 6.0)],
        position_ms=0.04,
        codec_latency_ms=1.5,
        first=[FirstResult("cached", 4, 1, times, times), FirstResult("new", 2, 2, {}, {})],
        live=[
            LiveResult(1, 4, 0, {}, times, times, 1.0, 0.9),
            LiveResult(8, 40, 3, {"no pages": 2}, {}, {}, None, 0.0),
        ],
    )


def test_the_parts_and_the_gaps_make_the_whole() -> None:
    assert results().shares() == [
        {"batch": 8, "slow": 3.0, "fast": 2.0, "sampling": 0.5, "codec": 0.25, "gaps": 0.25, "frame": 6.0}
    ]


def test_the_simulation_takes_what_was_measured(tmp_path: Path) -> None:
    _, costs = save(results(), tmp_path)
    measured = Measured.read(costs)
    assert measured.decode(8, 8000) == pytest.approx(13e-3)
    assert measured.decode(8, 9000) == pytest.approx(13.04e-3)
    assert (measured.prefill(60), measured.draw(1), measured.codec(8)) == (2e-3, 2.5e-3, 0.4e-3)
    assert measured.latency == 1.5e-3


def test_results_are_shown_and_drawn_with_what_there_is(tmp_path: Path) -> None:
    whole = results()
    for some in (whole, Results(whole.setting, whole.machine)):
        console = Console(record=True, width=120)
        show(some, console)
        text = console.export_text()
        assert "No GPU" in text
        assert draw(some, tmp_path / "engine.png") == bool(some.steps)
    assert (tmp_path / "engine.png").stat().st_size > 10_000


# -- the command


def test_the_command_measures_a_tiny_model_and_leaves_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--batch", "2", "1", "--only", "step", "launches", "--context", "40", "--device", "cpu"]
    assert main([*options, "--checkpoint", str(tmp_path / "model"), "--out", str(tmp_path / "out")]) == 0
    assert "No GPU" in capsys.readouterr().out
    facts: dict[str, Any] = json.loads((tmp_path / "out" / "engine.json").read_bytes())
    assert [one["batch"] for one in facts["step"]] == [1, 2]
    for one in facts["step"]:
        assert 0 < one["floor_ms"] < one["ms"]
        assert one["ratio"] == pytest.approx(one["ms"] / one["floor_ms"], rel=0.01)
        assert one["tokens_per_second"] == pytest.approx(10 * one["frames_per_second"], rel=0.01)
        assert one["rtf"] == pytest.approx(one["ms"] / 1e3 / facts["frame_seconds"], rel=0.01)
    assert [one["positions"] for one in facts["prefill"]] == [60, 400, 1024]
    assert {"device", "driver", "torch", "date", "revision"} <= facts["machine"].keys()
    assert facts["setting"]["context"] == 40
    assert facts["launches"]["frame"]["kernels"] > 100
    assert Measured.read(tmp_path / "out" / "engine-costs.json").decode(1, 40) > 0


def test_what_cannot_be_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--batch", "0"])
    full = tmp_path / "full"
    full.mkdir()
    (full / "something").write_text("precious")
    assert main(["--checkpoint", str(full), "--device", "cpu"]) == 1
    assert "empty folder" in capsys.readouterr().out.replace("\n", " ")
