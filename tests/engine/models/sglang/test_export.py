"""A checkpoint in SGLang's words."""

import json
from pathlib import Path

import pytest

from engine.models.dual_ar.config import CheckpointError, Layout
from engine.models.sglang.export import export
from tests.engine.models.dual_ar.babble import folder


def test_a_folder_that_sglang_can_open(tmp_path: Path) -> None:
    config = export(folder(Layout.S2_PRO), tmp_path, slots=9, dtype="float32", greedy_residuals=True)
    told = json.loads((tmp_path / "config.json").read_text())
    assert told["architectures"] == ["ParrotfishDualAR"]
    assert told["num_hidden_layers"] == config.slow.layers
    assert told["head_dim"] * told["num_attention_heads"] != told["hidden_size"]  # as in the real one
    assert told["parrotfish"]["slots"] == 9
    weights = sorted(file.name for file in folder(Layout.S2_PRO).glob("*.safetensors"))
    assert sorted(file.name for file in tmp_path.glob("*.safetensors")) == weights
    assert all((tmp_path / name).stat().st_size for name in weights)


def test_what_sglang_cannot_be_given(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="s1-mini's layout; the SGLang engine runs s2-pro's"):
        export(folder(Layout.S1_MINI), tmp_path, slots=9, dtype="float32", greedy_residuals=False)
