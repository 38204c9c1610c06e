"""The two published models and a tiny one of each, and how a configuration is written as their config.json."""

from dataclasses import replace
from enum import StrEnum
from typing import Any

from engine.models.dual_ar.config import MODEL_TYPES, DualARConfig, Layout, TransformerConfig

SPECIALS = {
    "<|endoftext|>": -35,
    "<|im_start|>": -34,
    "<|im_end|>": -33,
    "<|pad|>": -9,
    "<|phoneme_start|>": -8,
    "<|phoneme_end|>": -7,
    "<|text|>": -6,
    "<|voice|>": -5,
    "<|interleave|>": -4,
    "<|audio_start|>": -3,
    "<|audio_end|>": -2,
    "<|audio_pad|>": -1,
}
"""Special tokens of both models, and how far their ids are from that of ``<|semantic:0|>``."""


class Scale(StrEnum):
    """How large a random checkpoint is."""

    TINY = "tiny"
    FULL = "full"


_S2_PRO = DualARConfig(
    layout=Layout.S2_PRO,
    slow=TransformerConfig(
        dim=2560,
        layers=36,
        heads=32,
        kv_heads=8,
        head_dim=128,
        ffn=9728,
        vocab=155_776,
        rope_base=1e6,
        norm_eps=1e-6,
        qk_norm=True,
        qkv_bias=False,
        o_bias=False,
        max_positions=32_768,
    ),
    fast=TransformerConfig(
        dim=2560,
        layers=4,
        heads=32,
        kv_heads=8,
        head_dim=128,
        ffn=9728,
        vocab=4096,
        rope_base=1e6,
        norm_eps=1e-6,
        qk_norm=False,
        qkv_bias=False,
        o_bias=False,
        max_positions=10,
    ),
    codebooks=10,
    codebook_size=4096,
    tied=True,
    norm_fast_input=True,
    scale_embeddings=True,
    semantic_start=151_678,
    semantic_end=155_773,
    end_token=151_645,
)

_S1_MINI = replace(
    _S2_PRO,
    layout=Layout.S1_MINI,
    slow=replace(_S2_PRO.slow, dim=1024, layers=28, heads=16, ffn=3072, max_positions=8192),
    fast=replace(_S2_PRO.fast, dim=1024, heads=16, head_dim=64, ffn=3072),
    tied=False,
    norm_fast_input=False,
    scale_embeddings=False,
)

_TINY_START = 256 - SPECIALS["<|endoftext|>"]  # the special tokens follow the bytes


def preset(like: Layout, scale: Scale) -> DualARConfig:
    """The configuration of a published model, or one with the same tokens and codebooks that steps in a blink.

    What the tiny ones are not is square: heads times their size is not the width, as in the real ones.
    """
    config = _S2_PRO if like is Layout.S2_PRO else _S1_MINI
    if scale is Scale.FULL:
        return config
    return replace(
        config,
        slow=replace(
            config.slow, dim=64, layers=3, heads=4, kv_heads=2, head_dim=32, ffn=128, vocab=_TINY_START + 4098
        ),
        fast=replace(config.fast, dim=64, layers=2, heads=4, kv_heads=2, head_dim=32, ffn=128),
        semantic_start=_TINY_START,
        semantic_end=_TINY_START + 4095,
        end_token=_TINY_START + SPECIALS["<|im_end|>"],
    )


def config_json(config: DualARConfig) -> dict[str, Any]:
    """The content of a config.json that :func:`~engine.models.dual_ar.config.read_config` reads as ``config``."""
    slow, fast = config.slow, config.fast
    model_type = MODEL_TYPES[config.layout]
    if config.layout is Layout.S2_PRO:
        decoder = {**_sizes(fast), "num_codebooks": config.codebooks, "text_dim": slow.dim}
        return {
            "model_type": model_type,
            "dtype": "bfloat16",
            "eos_token_id": config.end_token,
            "pad_token_id": config.semantic_start + SPECIALS["<|pad|>"],
            "audio_pad_token_id": config.semantic_start + SPECIALS["<|audio_pad|>"],
            "semantic_start_token_id": config.semantic_start,
            "semantic_end_token_id": config.semantic_end,
            "text_config": {**_sizes(slow), "model_type": "fish_qwen3", "tie_word_embeddings": config.tied},
            "audio_decoder_config": {
                **decoder,
                "model_type": "fish_qwen3_audio_decoder",
                "tie_word_embeddings": False,
            },
        }
    inner = ("dim", "n_head", "n_local_heads", "head_dim", "intermediate_size")
    switches = ("attention_qkv_bias", "attention_qk_norm", "attention_o_bias")
    sizes = _sizes(fast)
    return {
        **_sizes(slow),
        "model_type": model_type,
        "codebook_size": config.codebook_size,
        "num_codebooks": config.codebooks,
        "n_fast_layer": fast.layers,
        **{f"fast_{name}": sizes[name] for name in (*inner, *switches)},
        "tie_word_embeddings": config.tied,
        "norm_fastlayer_input": config.norm_fast_input,
        "scale_codebook_embeddings": config.scale_embeddings,
    }


def _sizes(config: TransformerConfig) -> dict[str, Any]:
    return {
        "vocab_size": config.vocab,
        "n_layer": config.layers,
        "n_head": config.heads,
        "n_local_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "dim": config.dim,
        "intermediate_size": config.ffn,
        "rope_base": config.rope_base,
        "norm_eps": config.norm_eps,
        "max_seq_len": config.max_positions,
        "attention_qk_norm": config.qk_norm,
        "attention_qkv_bias": config.qkv_bias,
        "attention_o_bias": config.o_bias,
    }
