"""Codecs of random weights: they babble, but in time, at a sane level and from files like the real ones."""

import json
from collections.abc import Mapping
from math import prod, sqrt
from pathlib import Path

import torch
from torch import Tensor

from engine.models.codec.config import CodecConfig, Shape, TransformerConfig
from engine.models.codec.layout import layout, transformers
from engine.models.codec.weights import FILES

_LOUDNESS = 0.2
"""Gain of the decoder's last convolution, whose input has an RMS of about one."""

_BRANCH = 0.3
"""How loud a residual branch is beside what it is added to."""

_AFTER_SNAKE = 0.8
"""What brings Snake's output back to an RMS of about one; that of x + sin² x is 1.15 to 1.3."""

_SPEECH = 0.1
"""RMS of the speech that the encoder expects."""


def tiny_config() -> CodecConfig:
    """The same topology, strides and codebooks with few channels: a frame takes milliseconds on one core."""
    narrow = TransformerConfig(layers=2, dim=32, heads=2, ffn=64, window=16)
    return CodecConfig(
        latent=32,
        encoder_channels=2,
        encoder_strides=(2, 4, 8, 8),
        decoder_channels=32,
        decoder_strides=(8, 8, 4, 2),
        resampling=(2, 2),
        codebook_sizes=(4096, *(1024 for _ in range(9))),
        codebook_dim=8,
        convnext_ratio=4,
        encoder_transformer=TransformerConfig(layers=1, dim=32, heads=2, ffn=64, window=32),
        pre=narrow,
        post=narrow,
    )


def random_state(config: CodecConfig, seed: int) -> dict[str, Tensor]:
    """All parameters by the names of ``codec.pth``, float32; the same for the same seed.

    Random codes become noise of an RMS between 0.05 and 0.3.
    """
    generator = torch.Generator().manual_seed(seed)
    names = layout(config)
    return {name: _tensor(name, shape, config, generator) for name, shape in names.items()}


def write_codec(state: Mapping[str, Tensor], config: CodecConfig, path: Path) -> None:
    """Write a ``codec.pth`` (``path``, or in the folder ``path``) laid out like the real one.

    The buffers that the real one has are in it. What the tensors' shapes do not tell goes into a ``codec.json``
    beside it, unless that is as in the real codec.
    """
    file = path / FILES[0] if path.is_dir() else path
    torch.save(dict(state) | _buffers(config), file)
    if CodecConfig.of(layout(config)) != config:
        file.with_name("codec.json").write_text(json.dumps(config.stated(), indent=1), encoding="utf-8")


def _tensor(name: str, shape: Shape, config: CodecConfig, generator: torch.Generator) -> Tensor:
    """One parameter, so scaled that signals keep an RMS of about one on their way through the codec."""
    *_, owner, kind = name.split(".")
    if kind in ("alpha", "gamma"):
        return torch.full(shape, 1.0 if kind == "alpha" else _BRANCH)
    if kind == "bias":
        return torch.zeros(shape)
    if len(shape) == 1:
        return torch.ones(shape)
    if kind in ("original0", "weight_g"):
        return torch.full(shape, _gain(name, config))
    drawn = torch.randn(shape, generator=generator)
    if kind in ("original1", "weight_v"):
        # Filters without a mean let no direct current into the audio.
        return drawn - drawn.mean(-1, keepdim=True) if name.startswith(_last(config)) else drawn
    if owner == "codebook":
        return drawn
    return drawn / sqrt(shape[0] if "upsample" in name and owner == "conv" else prod(shape[1:]))


def _gain(name: str, config: CodecConfig) -> float:
    """The length of a filter that is under weight norm."""
    if ".in_proj." in name:
        return 1.0
    if ".out_proj." in name:
        return 1 / sqrt(config.codebooks)
    if name.startswith("encoder.block.0."):
        return 1 / _SPEECH
    if name.startswith("decoder.model.0."):
        return 1.0
    if name.startswith(_last(config)):
        return _AFTER_SNAKE * _LOUDNESS
    if ".block.3.conv." in name:  # the end of a residual unit
        return _AFTER_SNAKE * _BRANCH
    block = name.split(".")
    if block[:2] == ["decoder", "model"] and block[4:6] == ["1", "conv"]:
        # Transposed: ``stride`` outputs share a filter's length, and there are half as many filters.
        return _AFTER_SNAKE * sqrt(config.decoder_strides[int(block[2]) - 1] / 2)
    return _AFTER_SNAKE


def _last(config: CodecConfig) -> str:
    return f"decoder.model.{len(config.decoder_strides) + 2}."


def _buffers(config: CodecConfig) -> dict[str, Tensor]:
    """The tables that the real file holds for each transformer: 32 windows long."""
    buffers = {}
    for name, transformer in transformers(config).items():
        positions = 32 * transformer.window
        table = torch.zeros(positions, transformer.head_dim // 2, 2, dtype=torch.bfloat16)
        buffers[f"{name}.freqs_cis"] = table
        buffers[f"{name}.causal_mask"] = torch.ones(positions, positions, dtype=torch.bool).tril()
    return buffers
