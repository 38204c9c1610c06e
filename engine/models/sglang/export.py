"""A checkpoint of S2-Pro's layout as a folder that SGLang opens: a config.json in its words, links to the
weights.
"""

import json
from pathlib import Path
from typing import Any

from engine.models.dual_ar.config import CONFIG_FILE, CheckpointError, DualARConfig, Layout, read_config
from engine.models.dual_ar.weights import INDEX_FILE

ARCHITECTURE = "ParrotfishDualAR"


def export(checkpoint: Path, folder: Path, *, slots: int, dtype: str, greedy_residuals: bool) -> DualARConfig:
    """Write the folder, which must exist; ``slots`` is how many SGLang's pool of requests has, nobody's included.

    Raises :class:`CheckpointError` for a checkpoint that SGLang cannot be given.
    """
    config = read_config(checkpoint)
    if config.layout is not Layout.S2_PRO:
        raise CheckpointError(
            f"{checkpoint} is of {config.layout}'s layout; the SGLang engine runs {Layout.S2_PRO}'s"
        )
    files = sorted(checkpoint.glob("*.safetensors"))
    if not files:
        raise CheckpointError(f"{checkpoint} holds no safetensors files, which the SGLang engine reads")
    for file in (*files, checkpoint / INDEX_FILE):
        if file.exists():
            (folder / file.name).symlink_to(file.resolve())
    own = {"checkpoint": str(checkpoint.resolve()), "slots": slots, "greedy_residuals": greedy_residuals}
    (folder / CONFIG_FILE).write_text(json.dumps({**_words(config, dtype), "parrotfish": own}, indent=1))
    return config


def _words(config: DualARConfig, dtype: str) -> dict[str, Any]:
    """What SGLang plans its memory by, as Qwen3, which the slow transformer is a kin of, has it."""
    slow = config.slow
    return {
        "architectures": [ARCHITECTURE],
        "model_type": "qwen3",
        "dtype": dtype,
        "torch_dtype": dtype,
        "vocab_size": slow.vocab,
        "hidden_size": slow.dim,
        "intermediate_size": slow.ffn,
        "num_hidden_layers": slow.layers,
        "num_attention_heads": slow.heads,
        "num_key_value_heads": slow.kv_heads,
        "head_dim": slow.head_dim,
        "rms_norm_eps": slow.norm_eps,
        "rope_theta": slow.rope_base,
        "max_position_embeddings": slow.max_positions,
        "attention_bias": slow.qkv_bias,
        "tie_word_embeddings": config.tied,
        "eos_token_id": config.end_token,
        "hidden_act": "silu",
    }
