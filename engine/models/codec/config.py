"""The codec's hyper-parameters, told by its tensors' shapes, and by a ``codec.json`` where those are silent."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
        dilations, RoPE base, epsilons and the sample rate; for what it leaves out, the real codec's values hold.
        Raises :class:`ValueError` with the names of the tensors that are missing for a verdict.
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


_HEAD_DIM = 64
_WINDOW, _ENCODER_WINDOW = 128, 512
"""The real codec's; windows count positions, 46 ms each for ``pre`` and ``post``, 12 ms in the encoder."""


class _Reader:
    def __init__(self, shapes: Mapping[str, Shape], stated: Mapping[str, Any]) -> None:
        self._shapes = shapes
        self._stated = stated

    def config(self) -> CodecConfig:
        encoder, decoder, residual = "encoder.block", "decoder.model", "quantizer.quantizer.quantizers"
        self._require(
            f"{encoder}.0.conv.bias",
            f"{decoder}.0.conv.bias",
            "quantizer.semantic_quantizer.quantizers.0.codebook.weight",
            "quantizer.downsample.0.1.pwconv1.weight",
        )
        shapes = self._shapes
        downs = self._strides(f"{encoder}.{{}}.block.4.conv.parametrizations.weight.original1", 2)
        ups = self._strides(f"{decoder}.{{}}.block.1.conv.parametrizations.weight.original1", 2)
        books = [
            shapes["quantizer.semantic_quantizer.quantizers.0.codebook.weight"],
            *self._numbered(f"{residual}.{{}}.codebook.weight", start=0),
        ]
        wide, latent = shapes["quantizer.downsample.0.1.pwconv1.weight"]
        quantizer = self._stated.get("quantizer", {})
        config = CodecConfig(
            latent=latent,
            encoder_channels=shapes[f"{encoder}.0.conv.bias"][0],
            encoder_strides=downs,
            decoder_channels=shapes[f"{decoder}.0.conv.bias"][0],
            decoder_strides=ups,
            resampling=self._strides("quantizer.downsample.{}.0.conv.weight", 1, start=0),
            codebook_sizes=tuple(size for size, _ in books),
            codebook_dim=books[0][1],
            convnext_ratio=wide // latent,
            encoder_transformer=self._transformer(
                f"{encoder}.{len(downs)}.block.5",
                self._stated.get("encoder_transformer", {}),
                _ENCODER_WINDOW,
            ),
            pre=self._transformer("quantizer.pre_module", quantizer.get("pre_module", {}), _WINDOW),
            post=self._transformer("quantizer.post_module", quantizer.get("post_module", {}), _WINDOW),
        )
        return replace(
            config,
            dilations=tuple(self._stated.get("residual_dilations", config.dilations)),
            layer_norm_eps=float(quantizer.get("convnext", {}).get("layernorm_eps", config.layer_norm_eps)),
            sample_rate=int(self._stated.get("sample_rate", config.sample_rate)),
        )

    def _transformer(self, name: str, stated: Mapping[str, Any], window: int) -> TransformerConfig:
        layers = len(self._numbered(f"{name}.layers.{{}}.attention_norm.weight", start=0))
        self._require(f"{name}.layers.0.attention.wo.weight", f"{name}.layers.0.feed_forward.w1.weight")
        dim = self._shapes[f"{name}.layers.0.attention.wo.weight"][0]
        heads = int(stated.get("n_head", dim // _HEAD_DIM))
        if not heads or dim % heads or stated.get("n_local_heads", heads) != heads:
            raise ValueError(
                f"{name}: n_head {heads} and n_local_heads {stated.get('n_local_heads', heads)} must be equal "
                f"and divide the width, {dim}"
            )
        return TransformerConfig(
            layers=layers,
            dim=dim,
            heads=heads,
            ffn=self._shapes[f"{name}.layers.0.feed_forward.w1.weight"][0],
            window=int(stated.get("window_size", window)),
            rope_base=float(stated.get("rope_base", 10_000.0)),
            norm_eps=float(stated.get("norm_eps", 1e-5)),
        )

    def _strides(self, pattern: str, overlap: int, start: int = 1) -> tuple[int, ...]:
        """Strides of numbered convolutions, whose kernels are ``overlap`` strides long."""
        return tuple(shape[-1] // overlap for shape in self._numbered(pattern, start))

    def _numbered(self, pattern: str, start: int) -> list[Shape]:
        found = []
        for number in count(start):
            shape = self._shapes.get(pattern.format(number))
            if shape is None:
                break
            found.append(shape)
        if not found:
            raise ValueError(f"no codec: it has no tensor {pattern.format(start)}")
        return found

    def _require(self, *names: str) -> None:
        missing = [name for name in names if name not in self._shapes]
        if missing:
            raise ValueError(f"no codec: it has no tensor {', '.join(missing)}")
