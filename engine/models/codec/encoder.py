"""Speech to codes, for cloning."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.models.codec.config import CodecConfig
from engine.models.codec.layers import Conv, ConvNeXt, Network, ResidualUnit, Snake, Transformer, alpha, snake
from engine.models.codec.quantizer import Quantizer
from engine.models.codec.streaming import Past
from engine.models.codec.weights import CodecFile, Source

PASS_FRAMES = 64
"""Frames that are computed in one pass (3 s), which bounds the memory that a long recording takes."""


def load_encoder(path: Path, device: torch.device, dtype: torch.dtype) -> "Encoder":
    """The encoding half of a codec; ``path`` is its file or the checkpoint's folder. See :class:`CodecFile`."""
    file = CodecFile(path)
    return Encoder(file.config, Source(file, device, dtype))


class Block(nn.Module):
    """The residual units, Snake and a strided convolution."""

    alpha: Tensor

    def __init__(self, source: Source, stride: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.units = nn.ModuleList(
            ResidualUnit(source.at(f"{number}.block"), dilation) for number, dilation in enumerate(dilations)
        )
        after = len(dilations)
        scale = alpha(source.at(f"{after}"))
        self.register_buffer("alpha", source.keep(scale))
        self.down = Conv(source.at(f"{after + 1}.conv"), stride=stride, after=scale)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[B, C, T] -> [B, 2 C, T / stride]."""
        for unit in self.units:
            x = unit(x, past)
        y: Tensor = self.down(snake(x * self.alpha), past)
        return y


class Encoder(Network):
    """Speech in, codes out; causal too, so that a long recording is encoded in parts without a difference."""

    def __init__(self, config: CodecConfig, source: Source) -> None:
        super().__init__(source)
        self.config = config
        encoder = source.at("encoder.block")
        self.first = Conv(encoder.at("0.conv"))
        self.blocks = nn.ModuleList(
            Block(encoder.at(f"{number}.block"), stride, config.dilations)
            for number, stride in enumerate(config.encoder_strides, 1)
        )
        steps = config.frame_samples // config.hop
        self.transformer = Transformer(
            encoder.at(f"{len(self.blocks)}.block.{len(config.dilations) + 2}"),
            config.encoder_transformer,
            PASS_FRAMES * steps,
        )
        after = len(self.blocks) + 1
        self.snake = Snake(encoder.at(f"{after}"))
        self.last = Conv(encoder.at(f"{after + 1}.conv"))
        self.downsample = nn.ModuleList()
        for number, stride in enumerate(config.resampling):
            place = source.at(f"quantizer.downsample.{number}")
            self.downsample.append(Conv(place.at("0.conv"), stride=stride))
            self.downsample.append(ConvNeXt(place.at("1"), config.layer_norm_eps))
        self.pre = Transformer(source.at("quantizer.pre_module"), config.pre, PASS_FRAMES)
        self.quantizer = Quantizer(source, config)

    def encode(self, pcm: Tensor) -> Tensor:
        """Samples [n] float32 at the codec's rate -> codes [codebooks, ceil(n / 2048)] int64.

        The end is filled up with silence. Raises :class:`ValueError` if there are no samples.
        """
        if not len(pcm):
            raise ValueError("a recording of no samples has no codes")
        state, slots = self.state(1), torch.zeros(1, device=self.device, dtype=torch.int64)
        parts = torch.split(self._framed(pcm), PASS_FRAMES * self.config.frame_samples, 2)
        return torch.cat([self._stages(part, Past(state, slots))["codes"] for part in parts], 1)

    def stages(self, pcm: Tensor) -> dict[str, Tensor]:
        """What each part makes of a recording [n]: ``enc_out``, ``down``, ``pre``, ``latents`` and ``codes``."""
        return self._stages(self._framed(pcm), self.silence())

    def outputs(self, pcm: Tensor) -> dict[str, Tensor]:
        """What each block of the encoder proper makes of a recording [n].

        The keys are the blocks' numbers, ``0`` to ``6``, and ``before_transformer`` for what the fourth's gets.
        """
        return {name: x[0] for name, x in self._outputs(self._framed(pcm), self.silence())}

    def _framed(self, pcm: Tensor) -> Tensor:
        """[1, 1, n] with n a whole number of frames."""
        missing = -len(pcm) % self.config.frame_samples
        return F.pad(pcm.to(self.device, self.dtype), (0, missing))[None, None]

    def _outputs(self, pcm: Tensor, past: Past) -> Iterator[tuple[str, Tensor]]:
        x = self.first(pcm, past)
        yield "0", x
        *blocks, last = self.blocks
        for number, block in enumerate(blocks, 1):
            x = block(x, past)
            yield f"{number}", x
        x = last(x, past)
        yield "before_transformer", x
        x = self.transformer(x, past)
        yield f"{len(self.blocks)}", x
        x = self.snake(x)
        yield f"{len(self.blocks) + 1}", x
        yield f"{len(self.blocks) + 2}", self.last(x, past)

    def _stages(self, pcm: Tensor, past: Past) -> dict[str, Tensor]:
        *_, (_, encoded) = self._outputs(pcm, past)
        down = encoded
        for layer in self.downsample:
            down = layer(down, past)
        pre = self.pre(down, past)
        codes, latents = self.quantizer(pre)
        stages = {"enc_out": encoded, "down": down, "pre": pre, "latents": latents, "codes": codes}
        return {name: x[0] for name, x in stages.items()}
