import json
from pathlib import Path

import pytest

from engine.models.dual_ar.config import CheckpointError, DualARConfig, Layout, read_config
from tests.engine.models.dual_ar.lm import CHECKPOINT

S1_MINI = {
    "model_type": "dual_ar",
    "vocab_size": 155776,
    "n_layer": 28,
    "n_head": 16,
    "n_local_heads": 8,
    "head_dim": 128,
    "dim": 1024,
    "intermediate_size": 3072,
    "rope_base": 1000000,
    "norm_eps": 1e-6,
    "max_seq_len": 8192,
    "attention_qk_norm": True,
    "attention_qkv_bias": False,
    "tie_word_embeddings": False,
    "codebook_size": 4096,
    "num_codebooks": 10,
    "n_fast_layer": 4,
    "fast_dim": None,
    "fast_head_dim": 64,
    "fast_attention_qk_norm": False,
    "norm_fastlayer_input": False,
    "is_reward_model": False,
}
SPECIAL = {"<|im_end|>": 151645, "<|semantic:0|>": 151678, "<|semantic:4095|>": 155773}


def golden() -> dict[str, dict[str, object]]:
    return json.loads((CHECKPOINT / "config.json").read_text())


def read(folder: Path, values: object, special: object = None) -> DualARConfig:
    (folder / "config.json").write_text(json.dumps(values))
    return read_config(folder, special)  # type: ignore[arg-type]


def test_s2_pro_is_read_from_both_sections():
    config = read_config(CHECKPOINT)
    assert config.layout is Layout.S2_PRO
    assert (config.slow.dim, config.slow.layers, config.slow.heads, config.slow.kv_heads) == (64, 3, 4, 2)
    assert (config.slow.head_dim, config.slow.ffn, config.slow.vocab) == (32, 96, 216)
    assert (config.fast.layers, config.fast.kv_heads, config.fast.head_dim, config.fast.ffn) == (2, 1, 16, 80)
    assert (config.codebooks, config.codebook_size, config.semantic_size) == (10, 64, 64)
    assert (config.semantic_start, config.semantic_end, config.end_token) == (150, 213, 117)
    assert (config.slow.qk_norm, config.fast.qk_norm) == (True, False)
    assert (config.tied, config.norm_fast_input, config.scale_embeddings) == (True, True, True)
    assert (config.slow.max_positions, config.fast.max_positions) == (256, 10)


def test_the_fast_part_has_the_slow_one_s_rope_base_and_norm(tmp_path):
    values = golden()
    values["audio_decoder_config"] |= {"rope_base": 5, "norm_eps": 0.5}
    config = read(tmp_path, values)
    assert (config.fast.rope_base, config.fast.norm_eps) == (1e6, 1e-6)


def test_s1_mini_inherits_what_it_does_not_say_of_the_fast_part(tmp_path):
    config = read(tmp_path, S1_MINI, SPECIAL)
    assert config.layout is Layout.S1_MINI
    assert (config.fast.dim, config.fast.heads, config.fast.kv_heads, config.fast.ffn) == (1024, 16, 8, 3072)
    assert (config.fast.head_dim, config.fast.layers, config.fast.qk_norm) == (64, 4, False)
    assert (config.tied, config.norm_fast_input, config.scale_embeddings) == (False, False, False)
    assert (config.semantic_start, config.semantic_end, config.end_token) == (151678, 155773, 151645)
    assert config.semantic_size == config.codebook_size == 4096


def test_s1_mini_asks_a_mapping_a_function_or_its_own_file(tmp_path):
    by_mapping = read(tmp_path, S1_MINI, SPECIAL)
    assert read(tmp_path, S1_MINI, SPECIAL.__getitem__) == by_mapping
    (tmp_path / "special_tokens.json").write_text(json.dumps(SPECIAL))
    assert read(tmp_path, S1_MINI) == by_mapping
    (tmp_path / "special_tokens.json").write_text(json.dumps({"<|im_end|>": 1}))
    with pytest.raises(CheckpointError, match=r"special_tokens\.json: no id .* '<\|semantic:0\|>'"):
        read(tmp_path, S1_MINI)


def test_unknown_keys_are_ignored(tmp_path):
    values = golden()
    values["text_config"] |= {"flux_capacitor": {"on": True}}
    assert read(tmp_path, {**values, "extra": [1]}) == read_config(CHECKPOINT)


@pytest.mark.parametrize("section", ["text_config", "audio_decoder_config"])
@pytest.mark.parametrize(
    "key", ["dim", "n_layer", "n_head", "n_local_heads", "head_dim", "intermediate_size", "vocab_size"]
)
def test_a_missing_key_is_named_with_its_file(tmp_path, section, key):
    values = golden()
    del values[section][key]
    with pytest.raises(CheckpointError) as caught:
        read(tmp_path, values)
    assert str(caught.value) == f"{tmp_path / 'config.json'}: {section}.{key} is missing"


@pytest.mark.parametrize(
    "key",
    ["model_type", "text_config", "audio_decoder_config", "eos_token_id", "semantic_start_token_id"],
)
def test_so_is_one_of_the_top(tmp_path, key):
    values = golden()
    del values[key]
    with pytest.raises(CheckpointError, match=f"config.json: {key} is missing"):
        read(tmp_path, values)


@pytest.mark.parametrize(
    ("section", "key", "value", "told"),
    [
        ("text_config", "dim", "64", "text_config.dim is '64', must be a whole number above 0"),
        ("text_config", "dim", True, "text_config.dim is True, must be a whole number above 0"),
        ("text_config", "n_layer", 0, "text_config.n_layer is 0, must be a whole number above 0"),
        ("text_config", "norm_eps", -1.0, "text_config.norm_eps is -1.0, must be a number above 0"),
        ("text_config", "attention_qk_norm", "yes", "attention_qk_norm is 'yes', must be true or false"),
        ("text_config", "n_local_heads", 3, "4 heads of the slow transformer, but 3 KV heads"),
        ("audio_decoder_config", "head_dim", 15, "head_dim of the fast transformer is 15, must be even"),
        ("audio_decoder_config", "vocab_size", 32, "64 semantic ids do not fit into codebooks of 32"),
        ("text_config", "vocab_size", 200, "semantic ids 150..213 are no range within the vocabulary of 200"),
    ],
)
def test_a_wrong_value_is_told_with_what_would_be_right(tmp_path, section, key, value, told):
    values = golden()
    values[section][key] = value
    with pytest.raises(CheckpointError) as caught:
        read(tmp_path, values)
    assert told in str(caught.value)


@pytest.mark.parametrize("end", [150, 213, 216])
def test_the_end_token_is_a_token_and_not_a_semantic_one(tmp_path, end):
    with pytest.raises(CheckpointError, match=f"the end token {end} must be in the vocabulary"):
        read(tmp_path, {**golden(), "eos_token_id": end})


def test_another_model_is_refused_by_its_type(tmp_path):
    with pytest.raises(CheckpointError, match="model_type is 'llama'; this engine runs 'fish_qwen3_omni' or"):
        read(tmp_path, {"model_type": "llama"})


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_a_broken_file_is_named(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json"):
        read_config(tmp_path)


def test_an_empty_folder_is_told_what_belongs_there(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"config\.json is missing: the folder of a checkpoint is needed"
    ):
        read_config(tmp_path)
