"""The codec's hyper-parameters, told by its tensors' shapes, and by a ``codec.json`` where those are silent."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from math import prod
from typing import Any

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """A causal transformer that sees ``window`` positions: itself and the ``window - 1`` before it."""

    layers: int
    dim: int
    heads: int
    ffn: int
    window: int
    rope_base: float = 10_000.0
    norm_eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.dim // self.heads

    def stated(self) -> dict[str, Any]:
        """What the tensors' shapes do not tell, as a ``codec.json`` names it."""
        return {
            "n_head": self.heads,
            "window_size": self.window,
            "rope_base": self.rope_base,
            "norm_eps": self.norm_eps,
        }


@dataclass(frozen=True, slots=True)
class CodecConfig:
    """The modified DAC. Defaults and sizes are those of the codec that S2-Pro and OpenAudio S1 share."""

    latent: int
    encoder_channels: int
    encoder_strides: tuple[int, ...]
    decoder_channels: int
    decoder_strides: tuple[int, ...]
    resampling: tuple[int, ...]
    """Strides between the encoder's steps and the frames that are quantised."""
    codebook_sizes: tuple[int, ...]
    """Entries of each codebook, the semantic one first."""
    codebook_dim: int
    convnext_ratio: int
    encoder_transformer: TransformerConfig
    pre: TransformerConfig
    post: TransformerConfig
    dilations: tuple[int, ...] = (1, 3, 9)
    layer_norm_eps: float = 1e-6
    sample_rate: int = 44_100

    @property
    def codebooks(self) -> int:
        """Codes in a frame."""
        return len(self.codebook_sizes)

    @property
    def hop(self) -> int:
        """Samples of one step of the encoder's output."""
        return prod(self.encoder_strides)

    @property
    def frame_samples(self) -> int:
        """Samples of one frame of codes."""
        return self.hop * prod(self.resampling)

    @classmethod
    def of(cls, shapes: Mapping[str, Shape], stated: Mapping[str, Any] | None = None) -> "CodecConfig":
        """The configuration of a codec whose tensors have these shapes.

        ``stated`` is the content of a ``codec.json``. Of it we read what shapes do not show: heads, windows,
        dilations, RoPE base, epsilons and the sample rate. What neither tells is as in the real codec; so a
        lacking tensor leaves a configuration to which the others can be compared.
        Raises :class:`ValueError` if ``stated`` does not fit the shapes.
        """
        return _Reader(shapes, stated or {}).config()

    def stated(self) -> dict[str, Any]:
        """The content of a ``codec.json`` for :meth:`of`."""
        return {
            "sample_rate": self.sample_rate,
            "residual_dilations": self.dilations,
            "encoder_transformer": self.encoder_transformer.stated(),
            "quantizer": {
                "convnext": {"layernorm_eps": self.layer_norm_eps},
                "pre_module": self.pre.stated(),
                "post_module": self.post.stated(),
            },
        }


def real_config() -> CodecConfig:
    """The codec of S2-Pro and OpenAudio S1: 391 million parameters."""
    wide = TransformerConfig(layers=8, dim=1024, heads=16, ffn=3072, window=128)
    return CodecConfig(
        latent=1024,
        encoder_channels=64,
        encoder_strides=(2, 4, 8, 8),
        decoder_channels=1536,
        decoder_strides=(8, 8, 4, 2),
        resampling=(2, 2),
        codebook_sizes=(4096, *(1024 for _ in range(9))),
        codebook_dim=8,
        convnext_ratio=4,
        encoder_transformer=TransformerConfig(layers=4, dim=1024, heads=16, ffn=3072, window=512),
        pre=wide,
        post=wide,
    )


_HEAD_DIM = 64
"""Width of the real codec's attention heads, where their number is not stated."""


class _Reader:
    def __init__(self, shapes: Mapping[str, Shape], stated: Mapping[str, Any]) -> None:
        self._shapes = shapes
        self._stated = stated

    def config(self) -> CodecConfig:
        real = real_config()
        encoder, decoder, quantizer = "encoder.block", "decoder.model", "quantizer"
        semantic, residual = (
            f"{quantizer}.semantic_quantizer.quantizers.0",
            f"{quantizer}.quantizer.quantizers",
        )
        direction = "conv.parametrizations.weight.original1"
        downs = [
            self._size(f"{encoder}.{number}.block.4.{direction}", -1, 2 * stride) // 2
            for number, stride in self._filled(self._blocks(encoder, 4), real.encoder_strides, start=1)
        ]
        ups = [
            self._size(f"{decoder}.{number}.block.1.{direction}", -1, 2 * stride) // 2
            for number, stride in self._filled(self._blocks(decoder, 4), real.decoder_strides, start=1)
        ]
        books = [
            self._size(f"{residual}.{number}.codebook.weight", 0, size)
            for number, size in self._filled(self._count(residual, 9), real.codebook_sizes[1:])
        ]
        resampling = [
            self._size(f"{quantizer}.downsample.{number}.0.conv.weight", -1, stride)
            for number, stride in self._filled(self._count(f"{quantizer}.downsample", 2), real.resampling)
        ]
        latent = self._size(f"{decoder}.0.{direction}", 1, real.latent)
        wide = self._size(f"{quantizer}.downsample.0.1.pwconv1.bias", 0, real.convnext_ratio * latent)
        stated = self._stated.get("quantizer", {})
        return CodecConfig(
            latent=latent,
            encoder_channels=self._size(f"{encoder}.0.conv.bias", 0, real.encoder_channels),
            encoder_strides=tuple(downs),
            decoder_channels=self._size(f"{decoder}.0.conv.bias", 0, real.decoder_channels),
            decoder_strides=tuple(ups),
            resampling=tuple(resampling),
            codebook_sizes=(self._size(f"{semantic}.codebook.weight", 0, real.codebook_sizes[0]), *books),
            codebook_dim=self._size(f"{semantic}.codebook.weight", 1, real.codebook_dim),
            convnext_ratio=wide // latent,
            encoder_transformer=self._transformer(
                f"{encoder}.{len(downs)}.block.5",
                self._stated.get("encoder_transformer", {}),
                real.encoder_transformer,
            ),
            pre=self._transformer(f"{quantizer}.pre_module", stated.get("pre_module", {}), real.pre),
            post=self._transformer(f"{quantizer}.post_module", stated.get("post_module", {}), real.post),
            dilations=tuple(self._stated.get("residual_dilations", real.dilations)),
            layer_norm_eps=float(stated.get("convnext", {}).get("layernorm_eps", real.layer_norm_eps)),
            sample_rate=int(self._stated.get("sample_rate", real.sample_rate)),
        )

    def _transformer(
        self, name: str, stated: Mapping[str, Any], real: TransformerConfig
    ) -> TransformerConfig:
        dim = self._size(f"{name}.norm.weight", 0, real.dim)
        heads = int(stated.get("n_head", max(1, dim // _HEAD_DIM)))
        if heads < 1 or dim % heads or stated.get("n_local_heads", heads) != heads:
            raise ValueError(
                f"{name}: n_head {heads} and n_local_heads {stated.get('n_local_heads', heads)} must be equal "
                f"and divide the width, {dim}; codec.json states them"
            )
        return TransformerConfig(
            layers=self._count(f"{name}.layers", real.layers),
            dim=dim,
            heads=heads,
            ffn=self._size(f"{name}.layers.0.feed_forward.w1.weight", 0, real.ffn),
            window=int(stated.get("window_size", real.window)),
            rope_base=float(stated.get("rope_base", real.rope_base)),
            norm_eps=float(stated.get("norm_eps", real.norm_eps)),
        )

    def _size(self, name: str, axis: int, default: int) -> int:
        shape = self._shapes.get(name, ())
        return shape[axis] if -len(shape) <= axis < len(shape) else default

    def _count(self, prefix: str, default: int, start: int = 0, suffix: str = "") -> int:
        """How many numbered things there are, of each at least one tensor."""
        pattern = re.compile(rf"{re.escape(prefix)}\.(\d+)\.{re.escape(suffix)}")
        numbers = {int(match[1]) for match in map(pattern.match, self._shapes) if match}
        return next(number for number in count(start) if number not in numbers) - start or default

    def _blocks(self, prefix: str, default: int) -> int:
        """How many blocks there are; before and after them there are single layers, numbered with them."""
        return self._count(prefix, default, start=1, suffix="block.")

    @staticmethod
    def _filled(count: int, real: tuple[int, ...], start: int = 0) -> list[tuple[int, int]]:
        """Numbers from ``start``, each with the real codec's value, or its last one."""
        return [(start + index, real[min(index, len(real) - 1)]) for index in range(count)]
