"""Codes to speech: the full decode, and the streaming one that gives the same samples frame by frame."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.models.codec.config import CodecConfig
from engine.models.codec.layers import (
    Conv,
    ConvNeXt,
    Network,
    ResidualUnit,
    Snake,
    Transformer,
    UpConv,
    alpha,
    snake,
)
from engine.models.codec.quantizer import Codebooks
from engine.models.codec.streaming import Past, StreamState
from engine.models.codec.weights import CodecFile, Source

DecoderState = StreamState

PASS_FRAMES = 16
"""Frames that are computed in one pass; a full decode takes several, which bounds its memory."""


def load_decoder(path: Path, device: torch.device, dtype: torch.dtype) -> "Decoder":
    """The decoding half of a codec; ``path`` is its file or the checkpoint's folder. See :class:`CodecFile`."""
    file = CodecFile(path)
    return Decoder(file.config, Source(file, device, dtype))


class Block(nn.Module):
    """Snake, an up-sampling convolution and the residual units."""

    alpha: Tensor

    def __init__(self, source: Source, stride: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        scale = alpha(source.at("0"))
        self.register_buffer("alpha", source.keep(scale))
        self.up = UpConv(source.at("1.conv"), stride=stride, after=scale)
        self.units = nn.ModuleList(
            ResidualUnit(source.at(f"{number}.block"), dilation)
            for number, dilation in enumerate(dilations, 2)
        )

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[B, C, T] -> [B, C / 2, T * stride]."""
        x = self.up(snake(x * self.alpha), past)
        for unit in self.units:
            x = unit(x, past)
        return x


class Decoder(Network):
    """Codes in, speech out, without any look-ahead: a frame of codes gives its 2,048 samples at once."""

    def __init__(self, config: CodecConfig, source: Source) -> None:
        super().__init__(source)
        self.config = config
        self.codebooks = Codebooks(source, config)
        self.post = Transformer(source.at("quantizer.post_module"), config.post, PASS_FRAMES)
        self.upsample = nn.ModuleList()
        for number, stride in enumerate(config.resampling[::-1]):
            place = source.at(f"quantizer.upsample.{number}")
            self.upsample.append(UpConv(place.at("0.conv"), stride=stride))
            self.upsample.append(ConvNeXt(place.at("1"), config.layer_norm_eps))
        model = source.at("decoder.model")
        self.first = Conv(model.at("0.conv"))
        self.blocks = nn.ModuleList(
            Block(model.at(f"{number}.block"), stride, config.dilations)
            for number, stride in enumerate(config.decoder_strides, 1)
        )
        after = len(self.blocks) + 1
        self.snake = Snake(model.at(f"{after}"))
        self.last = Conv(model.at(f"{after + 1}.conv"))

    def forward(self, codes: Tensor) -> Tensor:
        """Decode whole utterances: codes [B, codebooks, T] int64 -> samples [B, T * 2048] float32."""
        rows = codes.shape[0]
        state, slots = self.state(rows), torch.arange(rows, device=codes.device)
        return torch.cat([self.stream(part, slots, state) for part in torch.split(codes, PASS_FRAMES, 2)], 1)

    def stream(self, codes: Tensor, slots: Tensor, state: DecoderState) -> Tensor:
        """The next T frames of some streams: codes [B, codebooks, T] int64 -> samples [B, T * 2048] float32.

        ``slots`` [B] int64 says whose frames they are. A slot may stand there twice only if nobody listens to it
        (padding). Samples are those of a decode of all the stream's frames at once.
        """
        past = Past(state, slots)
        *_, x = self._outputs(self._up(self.post(self.codebooks(codes), past), past), past)
        return _samples(x)

    def stages(self, codes: Tensor) -> dict[str, Tensor]:
        """What each part makes of an utterance's codes [codebooks, T]: ``zq``, ``post``, ``up``, ``audio``."""
        past = self.silence()
        zq = self.codebooks(codes[None])
        post = self.post(zq, past)
        up = self._up(post, past)
        *_, x = self._outputs(up, past)
        return {"zq": zq[0], "post": post[0], "up": up[0], "audio": _samples(x)[0]}

    def outputs(self, up: Tensor) -> list[Tensor]:
        """What each block of the decoder proper makes of an utterance's up-sampled latents [latent, N].

        The last is the signal before tanh bounds it.
        """
        return [x[0] for x in self._outputs(up[None], self.silence())]

    def _up(self, x: Tensor, past: Past) -> Tensor:
        for layer in self.upsample:
            x = layer(x, past)
        return x

    def _outputs(self, x: Tensor, past: Past) -> Iterator[Tensor]:
        x = self.first(x, past)
        yield x
        for block in self.blocks:
            x = block(x, past)
            yield x
        x = self.snake(x)
        yield x
        yield self.last(x, past)


def _samples(x: Tensor) -> Tensor:
    return x[:, 0].float().tanh()
