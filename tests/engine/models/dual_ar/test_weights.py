import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.models.dual_ar.config import CheckpointError, DualARConfig, Layout, TransformerConfig, read_config
from engine.models.dual_ar.layout import entries
from engine.models.dual_ar.weights import load_weights
from tests.engine.models.dual_ar.lm import CHECKPOINT, golden_config, golden_model

WQKV = "text_model.model.layers.1.attention.wqkv.weight"


def stored() -> dict[str, Tensor]:
    """Every tensor of the golden checkpoint, by the name in its files."""
    return {
        name: tensor
        for path in sorted(CHECKPOINT.glob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }


def s1_named() -> dict[str, Tensor]:
    """The same, by the names of S1-mini's layout."""
    return {
        name.removeprefix("text_model.model.")
        .replace("audio_decoder.codebook_", "codebook_")
        .replace("audio_decoder.", "fast_"): tensor
        for name, tensor in stored().items()
    }


def s1_config() -> DualARConfig:
    return dataclasses.replace(golden_config(), layout=Layout.S1_MINI)


def save(folder: Path, tensors: dict[str, Tensor]) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    return folder


def same_as_golden(
    folder: Path, config: DualARConfig, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> bool:
    ours, golden = load_weights(folder, config, device, dtype), golden_model(dtype)
    return all(
        name == other and torch.equal(tensor.cpu(), wanted)
        for module, right in zip(ours, golden, strict=True)
        for (name, tensor), (other, wanted) in zip(
            [*module.named_parameters(), *module.named_buffers()],
            [*right.named_parameters(), *right.named_buffers()],
            strict=True,
        )
    )


def test_the_real_layout_has_its_358_tensors_and_its_bytes():
    slow = TransformerConfig(2560, 36, 32, 8, 128, 9728, 155776, 1e6, 1e-6, True, False, False, 32768)
    fast = dataclasses.replace(slow, layers=4, vocab=4096, qk_norm=False, max_positions=10)
    config = DualARConfig(Layout.S2_PRO, slow, fast, 10, 4096, True, True, True, 151678, 155773, 151645)
    parts = [part for entry in entries(config) for part in entry.parts]
    assert len({part.name for part in parts}) == len(parts) == 358
    assert sum(2 * torch.Size(part.shape).numel() for part in parts) == 9_123_704_832


def test_the_golden_checkpoint_holds_just_what_the_layout_says():
    parts = {part.name: part.shape for entry in entries(golden_config()) for part in entry.parts}
    assert parts == {name: tuple(tensor.shape) for name, tensor in stored().items()}


def test_parameters_are_in_place_and_need_no_gradient():
    for module in golden_model(torch.bfloat16):
        assert all(p.dtype is torch.bfloat16 and not p.requires_grad for p in module.parameters())
        assert not any(t.is_meta for t in (*module.parameters(), *module.buffers()))
        assert module.rope.dtype is torch.float32
        assert not module.training


def test_one_file_is_as_good_as_shards(tmp_path):
    assert same_as_golden(save(tmp_path, stored()), golden_config())


def test_queries_keys_and_values_may_be_apart(tmp_path):
    tensors = stored()
    for name in [name for name in tensors if name.endswith("wqkv.weight")]:
        slow = name.startswith("text_model")
        rows = (128, 64, 64) if slow else (64, 16, 16)
        for letter, part in zip("qkv", tensors.pop(name).split(rows), strict=True):
            tensors[name.replace("wqkv", f"w{letter}")] = part
    assert same_as_golden(save(tmp_path, tensors), golden_config())


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: tensors,
        lambda tensors: {"state_dict": tensors},
        lambda tensors: {f"model.{name}": tensor for name, tensor in tensors.items()},
        lambda tensors: {"state_dict": {f"model.{name}": tensor for name, tensor in tensors.items()}},
        lambda tensors: {**tensors, "freqs_cis": torch.zeros(3), "fast_freqs_cis": torch.zeros(3)},
    ],
)
def test_s1_mini_s_pickle_in_all_its_wrappings(tmp_path, wrap: Callable[[object], object]):
    torch.save(wrap(s1_named()), tmp_path / "model.pth")
    assert same_as_golden(tmp_path, s1_config())


def test_s1_mini_s_names_may_come_as_safetensors(tmp_path):
    assert same_as_golden(save(tmp_path, s1_named()), s1_config())


def test_an_own_head_is_used_where_embeddings_are_not_tied(tmp_path):
    tensors = stored()
    tensors["text_model.model.output.weight"] = -tensors["text_model.model.embeddings.weight"]
    slow, _ = load_weights(
        save(tmp_path, tensors), dataclasses.replace(golden_config(), tied=False), "cpu", torch.float32
    )
    golden, _ = golden_model()
    assert torch.equal(slow.head, -golden.head)
    assert torch.equal(slow.embeddings, golden.embeddings)
    hidden = torch.randn(3, 64)
    assert torch.allclose(slow.logits(hidden), -golden.logits(hidden))


def test_biases_and_a_projection_between_different_widths(tmp_path):
    config = golden_config()
    config = dataclasses.replace(
        config,
        slow=dataclasses.replace(config.slow, qkv_bias=True, o_bias=True),
        fast=dataclasses.replace(config.fast, dim=48, qk_norm=True),
    )
    shapes = {part.name: part.shape for entry in entries(config) for part in entry.parts}
    assert shapes["text_model.model.layers.0.attention.wqkv.bias"] == (256,)
    assert shapes["text_model.model.layers.0.attention.wo.bias"] == (64,)
    assert shapes["audio_decoder.project_in.weight"] == (48, 64)
    tensors = {name: torch.randn(shape) for name, shape in shapes.items()}
    slow, fast = load_weights(save(tmp_path, tensors), config, "cpu", torch.float32)
    hidden = torch.randn(5, 64)
    codes = torch.randint(64, (5, 10))
    heard = hidden @ tensors["audio_decoder.project_in.weight"].T + tensors["audio_decoder.project_in.bias"]
    assert torch.allclose(fast._heard(hidden), heard, atol=1e-5)
    scores: list[Tensor] = []
    fast.codes(hidden, codes[:, 0], lambda i, logits: scores.append(logits) or codes[:, i])
    assert torch.allclose(torch.stack(scores, 1), fast.logits(hidden, codes)[:, 1:], atol=1e-3)
    assert slow.layers[0].attention.wqkv.bias.abs().max() > 0


def test_one_error_names_all_that_does_not_fit(tmp_path):
    tensors = stored()
    del tensors["audio_decoder.norm.weight"]
    tensors[WQKV] = torch.zeros(255, 64)
    tensors["lm_head.weight"] = torch.zeros(216, 64)
    with pytest.raises(CheckpointError) as caught:
        load_weights(save(tmp_path, tensors), golden_config(), "cpu", torch.float32)
    assert str(caught.value).splitlines() == [
        f"the weights in {tmp_path} do not fit its config.json:",
        "  missing (1):",
        "    audio_decoder.norm.weight [64]",
        "  of the wrong shape (1):",
        f"    {WQKV} is [255, 64], must be [256, 64]",
        "  unexpected (1):",
        "    lm_head.weight [216, 64]",
        "  Is the download complete, and are all files of the same model?",
    ]


def test_a_long_list_is_cut_and_counted(tmp_path):
    with pytest.raises(CheckpointError) as caught:
        load_weights(save(tmp_path, {"x.weight": torch.zeros(1)}), golden_config(), "cpu", torch.float32)
    told = str(caught.value)
    assert "missing (47):" in told
    assert "and 35 more" in told
    assert len(told.splitlines()) == 18


def test_a_shard_that_is_missing_or_cut_short_is_named(tmp_path):
    for path in CHECKPOINT.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    shard = tmp_path / "model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:100_000])
    config = read_config(tmp_path)
    with pytest.raises(CheckpointError, match=r"00002-of-00002\.safetensors is no complete safetensors file"):
        load_weights(tmp_path, config, "cpu", torch.float32)
    shard.unlink()
    with pytest.raises(
        CheckpointError, match=r"00002-of-00002\.safetensors is missing, though .*index\.json"
    ):
        load_weights(tmp_path, config, "cpu", torch.float32)


@pytest.mark.parametrize("text", ["{}", "[]", '{"weight_map": 3}', "{"])
def test_a_broken_index_is_named(tmp_path, text):
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"index\.json is no index of shards"):
        load_weights(tmp_path, golden_config(), "cpu", torch.float32)


@pytest.mark.parametrize("content", [b"", b"no pickle at all", json.dumps({"a": 1}).encode()])
def test_a_broken_pickle_is_named(tmp_path, content):
    (tmp_path / "model.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"model\.pth is no readable file of weights"):
        load_weights(tmp_path, s1_config(), "cpu", torch.float32)


def test_a_pickle_of_something_else_is_refused(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / "model.pth")
    with pytest.raises(CheckpointError, match="something else than a dict of tensors"):
        load_weights(tmp_path, s1_config(), "cpu", torch.float32)


def test_nothing_in_a_pickle_is_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"embeddings.weight": Trap()}, tmp_path / "model.pth")
    with pytest.raises(CheckpointError):
        load_weights(tmp_path, s1_config(), "cpu", torch.float32)
    assert not (tmp_path / "sprung").exists()


def test_a_folder_without_weights_is_told_what_was_looked_for(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"looked for model\.safetensors\.index\.json, .* and model\.pth"
    ):
        load_weights(tmp_path, golden_config(), "cpu", torch.float32)
