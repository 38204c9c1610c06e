"""Layers of the codec, all causal: each takes the next steps of some streams and the streams' past.

Convolutional layers hold tensors channels first, [B, C, T]; transformers hold them as [B, T, dim].
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.models.codec.config import TransformerConfig
from engine.models.codec.streaming import Past, Ring, StreamState
from engine.models.codec.weights import Source

_TABLE = 327_680
"""Positions for which the reference has angles; four hours of frames."""

_LEAST_ALPHA = 1e-6


class Conv(nn.Module):
    """A causal convolution: ``context`` steps on the left come from the past, none from the future.

    With a stride, the number of steps in a call must be a multiple of it. ``after`` and ``before`` are the alphas
    of Snakes around it, of which it does a part: see :func:`snake`.
    """

    weight: Tensor
    bias: Tensor

    def __init__(
        self,
        source: Source,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        after: Tensor | None = None,
        before: Tensor | None = None,
    ) -> None:
        super().__init__()
        weight, bias = source.weight(), source.tensor("bias")
        if after is not None:
            weight = weight / after
        if before is not None:
            weight, bias = weight * before.view(-1, 1, 1), bias * before.flatten()
        self.register_buffer("weight", source.keep(weight))
        self.register_buffer("bias", source.keep(bias))
        self.stride, self.dilation, self.groups = stride, dilation, groups
        self.channels = weight.shape[1] * groups
        self.context = (weight.shape[2] - 1) * dilation + 1 - stride

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[B, C, T] -> [B, C', T / stride]."""
        x = past.extend(x, self.context)
        return F.conv1d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class UpConv(nn.Module):
    """A transposed convolution, its right end cut off, so that every step gives ``stride`` steps at once.

    Computed as an ordinary convolution with ``stride`` times the channels, whose outputs are then interleaved:
    what it needs of the past are its last inputs, as for any other. ``after`` is as for :class:`Conv`.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, source: Source, *, stride: int, after: Tensor | None = None) -> None:
        super().__init__()
        weight = source.weight()
        if after is not None:
            weight = weight / after.view(-1, 1, 1)
        inputs, outputs, kernel = weight.shape
        reach = kernel // stride
        # [in, out, reach * stride] -> [out * stride, in, reach], the newest input last
        ordinary = weight.view(inputs, outputs, reach, stride).flip(2).permute(1, 3, 0, 2)
        self.register_buffer("weight", source.keep(ordinary.reshape(outputs * stride, inputs, reach)))
        self.register_buffer("bias", source.keep(source.tensor("bias").repeat_interleave(stride)))
        self.stride = stride
        self.channels, self.context = inputs, reach - 1

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[B, C, T] -> [B, C', T * stride]."""
        y = F.conv1d(past.extend(x, self.context), self.weight, self.bias)
        rows, _, steps = y.shape
        return y.view(rows, -1, self.stride, steps).transpose(2, 3).reshape(rows, -1, steps * self.stride)


def alpha(source: Source) -> Tensor:
    """The alphas of a Snake, [1, C, 1] float32, kept off zero, at which Snake is the identity."""
    found = source.tensor("alpha")
    return torch.where(found.abs() < _LEAST_ALPHA, _LEAST_ALPHA, found)


def snake(u: Tensor) -> Tensor:
    """Snake, x + sin²(alpha x) / alpha (Ziyin et al., 2020), of u = alpha x, and times alpha: u + sin² u.

    The multiplication before and the division after are left to the convolutions there, which do them for
    nothing, since they have them in their weights.
    """
    sine = torch.sin(u)
    return torch.addcmul(u, sine, sine)


class Snake(nn.Module):
    """Snake without convolutions around it that would do a part."""

    alpha: Tensor

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.register_buffer("alpha", source.keep(alpha(source)))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] -> the same shape."""
        y: Tensor = snake(x * self.alpha) / self.alpha
        return y


class ResidualUnit(nn.Module):
    """Snake, a dilated convolution of 7, Snake, one of 1; and the input added."""

    alpha: Tensor

    def __init__(self, source: Source, dilation: int) -> None:
        super().__init__()
        first, second = alpha(source.at("0")), alpha(source.at("2"))
        self.register_buffer("alpha", source.keep(first))
        self.wide = Conv(source.at("1.conv"), dilation=dilation, after=first, before=second)
        self.point = Conv(source.at("3.conv"), after=second)

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[B, C, T] -> the same shape."""
        u: Tensor = self.wide(snake(x * self.alpha), past)
        y: Tensor = x + self.point(snake(u), past)
        return y


class ConvNeXt(nn.Module):
    """A ConvNeXt block (Liu et al., 2022): depthwise 7, LayerNorm, four times as wide with GELU, and back."""

    norm_weight: Tensor
    norm_bias: Tensor
    widen: Tensor
    widen_bias: Tensor
    narrow: Tensor
    narrow_bias: Tensor

    def __init__(self, source: Source, eps: float) -> None:
        super().__init__()
        gamma = source.tensor("gamma")
        self.depthwise = Conv(source.at("dwconv.conv"), groups=len(gamma))
        self.register_buffer("norm_weight", source.keep(source.tensor("norm.weight")))
        self.register_buffer("norm_bias", source.keep(source.tensor("norm.bias")))
        self.register_buffer("widen", source.keep(source.tensor("pwconv1.weight")))
        self.register_buffer("widen_bias", source.keep(source.tensor("pwconv1.bias")))
        self.register_buffer("narrow", source.keep(source.tensor("pwconv2.weight") * gamma[:, None]))
        self.register_buffer("narrow_bias", source.keep(source.tensor("pwconv2.bias") * gamma))
        self._eps = eps

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[B, C, T] -> the same shape."""
        y = self.depthwise(x, past).transpose(1, 2)
        y = F.layer_norm(y, (y.shape[-1],), self.norm_weight, self.norm_bias, self._eps)
        y = F.linear(F.gelu(F.linear(y, self.widen, self.widen_bias)), self.narrow, self.narrow_bias)
        return x + y.transpose(1, 2)


class Transformer(nn.Module):
    """A causal transformer over a sliding window, with rotary positions and the scales of its layers folded in.

    At most ``pass_length`` positions are computed in one pass; longer inputs take several.
    """

    norm: Tensor
    frequencies: Tensor

    def __init__(self, source: Source, config: TransformerConfig, pass_length: int) -> None:
        super().__init__()
        self.config = config
        self.pass_length = pass_length
        self.layers = nn.ModuleList(
            TransformerLayer(source.at(f"layers.{number}"), config) for number in range(config.layers)
        )
        self.register_buffer("norm", source.keep(source.tensor("norm.weight")))
        pairs = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
        self.register_buffer("frequencies", (1.0 / config.rope_base**pairs).to(source.device))

    def forward(self, x: Tensor, past: Past) -> Tensor:
        """[B, dim, T] -> the same shape."""
        ring = past.ring()
        x = x.transpose(1, 2)
        parts = [self._pass(part, ring, past.slots) for part in torch.split(x, self.pass_length, 1)]
        return (parts[0] if len(parts) == 1 else torch.cat(parts, 1)).transpose(1, 2)

    def _pass(self, x: Tensor, ring: Ring, slots: Tensor) -> Tensor:
        steps, (_, _, length, *_) = x.shape[1], ring.entries.shape
        start = ring.position.index_select(0, slots)[:, None]
        at = start + torch.arange(steps, device=x.device)
        ring.position.index_copy_(0, slots, start[:, 0] + steps)
        places = (slots[:, None] * length + at % length).flatten()
        cos, sin = self._rotation(at)
        mask = self._mask(at, length).to(x.dtype)
        for layer, entries in zip(self.layers, ring.entries, strict=True):
            x = layer(x, cos, sin, mask, entries, slots, places)
        return F.rms_norm(x, (self.config.dim,), self.norm, self.config.norm_eps)

    def _rotation(self, at: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines, and sines with the sign of each element of a pair: [B, T, 3, 1, head_dim] for q, k and v.

        The reference has a table, float32 rounded to bfloat16. Its rows are computed here, so that there are rows
        for any position, and by way of float64, so that no device's sine decides where to round. Far out, where
        a float32 can no longer tell neighbours apart, angles are float64 too. Values are not turned.
        """
        exact = at[..., None] * self.frequencies.double()
        angles = torch.where(at[..., None] < _TABLE, at[..., None] * self.frequencies, exact)[..., None]
        cos, sin = angles.cos(), angles.sin()
        turn = torch.stack((cos.expand(*cos.shape[:-1], 2), torch.cat((-sin, sin), -1)))
        turn = turn.flatten(-2).float().bfloat16().float()
        still = torch.zeros_like(turn)
        still[0].fill_(1.0)
        turns = torch.stack((turn, turn, still), 3)[..., None, :]
        return turns[0], turns[1]

    def _mask(self, at: Tensor, length: int) -> Tensor:
        """What is added to attention's scores: [B, 1, T, length]."""
        newest = at[:, -1:]
        held = newest - (newest - torch.arange(length, device=at.device)) % length
        behind = at[:, :, None] - held[:, None, :]
        seen = (behind >= 0) & (behind < self.config.window) & (held >= 0)[:, None, :]
        return torch.zeros_like(seen, dtype=torch.float32).masked_fill_(~seen, float("-inf"))[:, None]


class TransformerLayer(nn.Module):
    """Attention and a gated feed-forward, each behind an RMSNorm."""

    attention_norm: Tensor
    qkv: Tensor
    out: Tensor
    forward_norm: Tensor
    gates: Tensor
    down: Tensor

    def __init__(self, source: Source, config: TransformerConfig) -> None:
        super().__init__()
        self._config = config
        scale, forward_scale = (
            source.tensor("attention_layer_scale.gamma"),
            source.tensor("ffn_layer_scale.gamma"),
        )
        attention, forward = source.at("attention"), source.at("feed_forward")
        self.register_buffer("attention_norm", source.keep(source.tensor("attention_norm.weight")))
        self.register_buffer("qkv", source.keep(attention.tensor("wqkv.weight")))
        self.register_buffer("out", source.keep(attention.tensor("wo.weight") * scale[:, None]))
        self.register_buffer("forward_norm", source.keep(source.tensor("ffn_norm.weight")))
        gates = torch.cat((forward.tensor("w1.weight"), forward.tensor("w3.weight")))
        self.register_buffer("gates", source.keep(gates))
        self.register_buffer("down", source.keep(forward.tensor("w2.weight") * forward_scale[:, None]))

    def forward(
        self,
        x: Tensor,
        cos: Tensor,
        sin: Tensor,
        mask: Tensor,
        entries: Tensor,
        slots: Tensor,
        places: Tensor,
    ) -> Tensor:
        """[B, T, dim] -> the same shape.

        ``entries`` [slots, length, 2, heads, head_dim] is this layer's ring, ``places`` [B * T] says where in it
        (slots and length as one axis) the new positions belong.
        """
        config = self._config
        rows, steps, dim = x.shape
        y = F.rms_norm(x, (dim,), self.attention_norm, config.norm_eps)
        qkv = F.linear(y, self.qkv).view(rows, steps, 3, config.heads, config.head_dim)
        swapped = qkv.view(*qkv.shape[:-1], -1, 2).flip(-1).flatten(-2)
        qkv = torch.addcmul(qkv * cos, swapped, sin).to(x.dtype)
        entries.view(-1, *entries.shape[2:]).index_copy_(0, places, qkv[:, :, 1:].flatten(0, 1))
        keys, values = entries.index_select(0, slots).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(qkv[:, :, 0].transpose(1, 2), keys, values, mask)
        flat = x.reshape(-1, dim).addmm(seen.transpose(1, 2).reshape(-1, dim), self.out.t())
        y = F.rms_norm(flat, (dim,), self.forward_norm, config.norm_eps)
        gate, value = F.linear(y, self.gates).chunk(2, -1)
        return flat.addmm(F.silu(gate) * value, self.down.t()).view(rows, steps, dim)


class Network(nn.Module):
    """A causal network made of these layers, which run in the order in which it has them."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.device, self.dtype = source.device, source.dtype

    def state(self, slots: int) -> StreamState:
        """Room for as many streams, all of them new."""
        layers = [layer for layer in self.modules() if isinstance(layer, Conv | UpConv)]
        kept = sum(layer.channels * layer.context for layer in layers)
        rings = [
            Ring.make(layer.config, slots, layer.pass_length, self.device, self.dtype)
            for layer in self.modules()
            if isinstance(layer, Transformer)
        ]
        return StreamState(torch.zeros(slots, kept, device=self.device, dtype=self.dtype), tuple(rings))

    def silence(self) -> Past:
        """The past of one stream that is new."""
        return Past(self.state(1), torch.zeros(1, device=self.device, dtype=torch.int64))
