"""We compute what the reference does, and the check that says so can say no."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.goldens.__main__ import compare, main
from tests.goldens.report import Report

DATA = Path(__file__).parent / "goldens" / "data"
LM = "lm/model-0000{}-of-00002.safetensors"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DATA, tmp_path / "goldens"))


def verdicts(report: Report) -> dict[str, str]:
    return {
        line.name.partition(": ")[2]: "absent" if line.difference is None else "FAIL" if line.failed else "ok"
        for line in report.lines
    }


def change_weight(path: Path, name: str, factor: float) -> None:
    """Scale one column of one tensor."""
    tensors = load_file(path)
    tensors[name].view(len(tensors[name]), -1)[..., 0] *= factor
    save_file(tensors, path)


def change_arrays(path: Path, **changed: np.ndarray | None) -> None:
    with np.load(path) as arrays:
        kept = {**arrays, **changed}
    np.savez(path, **{name: array for name, array in kept.items() if array is not None})


def test_everything_is_the_reference_s(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(DATA)]) == 0
    table = capsys.readouterr().out
    assert " 0 failed, 0 absent" in table
    for name in ("lm: eos_frames", "codec: rand_audio, frame by frame", "sampling: roll_frames"):
        assert name in table


@pytest.mark.parametrize(
    ("tensor", "fails", "holds"),
    [
        (
            "text_model.model.layers.1.attention.k_norm.weight",
            ("layer_out", "slow_logits"),
            ("input_embeds",),
        ),
        ("text_model.model.norm.weight", ("hidden", "fast_logits"), ("layer_out",)),
        ("audio_decoder.codebook_embeddings.weight", ("input_embeds", "fast_logits"), ("rope_slow",)),
        ("audio_decoder.layers.0.feed_forward.w2.weight", ("fast_logits",), ("slow_logits",)),
    ],
)
def test_a_changed_weight_of_the_model_is_found(
    copy: Path, tensor: str, fails: tuple[str, ...], holds: tuple[str, ...]
) -> None:
    for shard in (copy / LM.format(1), copy / LM.format(2)):
        if tensor in load_file(shard):
            change_weight(shard, tensor, 3.0)
    report = compare(copy, ["lm"])
    assert report.failed
    assert {verdicts(report)[name] for name in fails} == {"FAIL"}
    assert {verdicts(report)[name] for name in holds} == {"ok"}


def test_a_changed_weight_of_the_codec_is_found(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_weight(copy / "codec" / "codec.safetensors", "decoder.model.2.block.0.alpha", 1.5)
    assert main([str(copy), "--part", "codec"]) == 1
    found = [line.split()[1] for line in capsys.readouterr().out.splitlines() if " FAIL" in line]
    assert {"audio_out", "rand_audio", "clamp_audio", "dec_stage_2"} <= set(found)
    assert not {"codes", "up", "dec_stage_1"} & set(found)


def test_another_random_number_is_found(copy: Path) -> None:
    with np.load(copy / "sampling.npz") as arrays:
        spoilt = arrays["roll_u_main"].copy()
    spoilt[5] = spoilt[5, ::-1]
    change_arrays(copy / "sampling.npz", roll_u_main=spoilt)
    told = verdicts(compare(copy, ["sampling"]))
    assert told["roll_frames"] == "FAIL"
    assert told["step_frame"] == "ok"


def test_what_is_not_there_is_told(copy: Path) -> None:
    change_arrays(copy / "lm.npz", layer_out=None, eos_prompt=None, tf_frames=None)
    change_arrays(copy / "codec" / "codec.npz", audio_in=None, rand_up=None, news=np.zeros(3))
    (copy / "sampling.npz").unlink()
    report = compare(copy)
    told = verdicts(report)
    absent = {"layer_out", "eos_frames", "hidden", "codes", "enc_stage_3", "rand_up", "dec_stage_6", "news"}
    assert {told[name] for name in absent} == {"absent"}
    assert {told[name] for name in ("greedy_frames", "rand_audio, by two")} == {"ok"}
    assert not report.failed
    assert "sampling" in str(report)
    assert "not know" in str(report)


def test_nothing_compared_is_no_success(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 1


def test_shapes_and_nan_are_no_success(copy: Path) -> None:
    with np.load(copy / "lm.npz") as arrays:
        hidden, logits = arrays["hidden"], arrays["slow_logits"].copy()
    logits[0, 0] = np.nan
    change_arrays(copy / "lm.npz", hidden=hidden[:, :-1], slow_logits=logits)
    report = compare(copy, ["lm"])
    told = verdicts(report)
    assert (told["hidden"], told["slow_logits"], told["layer_out"]) == ("FAIL", "FAIL", "ok")
    assert "shape [39, 64] instead of [39, 63]" in str(report)


def test_a_broken_checkpoint_is_told(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = load_file(copy / LM.format(2))
    tensors["audio_decoder.norm.weight"] = torch.ones(3)
    save_file(tensors, copy / LM.format(2))
    assert main([str(copy), "--part", "lm"]) == 2
    assert "audio_decoder.norm.weight" in capsys.readouterr().err
