"""What the slow and the fast transformer are made of: norm, rotary positions, attention, feed-forward, block.

Shapes: ``N`` sequences of ``T`` positions each. Heads have size ``D``; there are ``H`` of queries, ``K`` of keys
and values. Modules have no initial weights: they are made on the meta device and filled by ``weights``.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.dual_ar.config import TransformerConfig


class LayerCache(Protocol):
    """How attention meets its past; one object serves all layers of a forward pass."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Store ``k``, ``v`` ``[N, T, K, D]`` of the new positions; answer ``q`` ``[N, T, H, D]`` causally.

        ``q`` and ``k`` are rotated already. The result is ``[N, T, H, D]``.
        """
        ...


class CausalCache:
    """No past: the T positions attend to one another only."""

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See :class:`LayerCache`; nothing is stored."""
        return attention(q, k, v, causal=True)


class DenseCache:
    """The keys and values of a few positions, all sequences being equally far.

    Positions must come in order. Sizes and places are known to the host, so that a pass over it can be captured
    in a CUDA graph and compiled without breaks.
    """

    def __init__(self, config: TransformerConfig, batch: int, positions: int, like: Tensor) -> None:
        shape = (config.layers, 2, batch, positions, config.kv_heads, config.head_dim)
        self._kv = like.new_empty(shape)
        self.length = 0

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """See :class:`LayerCache`. :attr:`length` is moved on by the caller, after the last layer."""
        start, end = self.length, self.length + q.shape[1]
        keys, values = self._kv[layer, 0], self._kv[layer, 1]
        keys[:, start:end] = k
        values[:, start:end] = v
        if start == 0:
            return attention(q, k, v, causal=True)
        if end - start > 1:
            raise ValueError(f"{end - start} positions at {start}: after the first ones, one at a time")
        return attention(q, keys[:, :end], values[:, :end], causal=False)


def attention(q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    """Grouped-query attention: ``[N, T, H, D]`` over ``[N, S, K, D]``."""
    attended = F.scaled_dot_product_attention(
        q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=causal, enable_gqa=True
    )
    return attended.transpose(1, 2)


def rope_table(config: TransformerConfig, device: torch.device) -> Tensor:
    """Cosines and signed sines for each position: float32 ``[positions, 2, D]``.

    The model was trained with tables made in float32 and **rounded to bfloat16**; exact ones garble the voice.
    Each value stands twice, for the two elements of its pair, and the sine of the first is negative, so that
    rotation is ``x * cos + swapped(x) * sin``.
    """
    # On the host, so that the table is the same bits wherever the model runs.
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
    frequencies = 1.0 / (config.rope_base**exponents)
    angles = torch.outer(torch.arange(config.max_positions, dtype=torch.float32), frequencies)
    cos, sin = angles.cos().bfloat16().float(), angles.sin().bfloat16().float()
    table = torch.stack((torch.stack((cos, cos), -1), torch.stack((-sin, sin), -1)), 1)
    return table.flatten(2).to(device)


def rotate(x: Tensor, rope: Tensor) -> Tensor:
    """Rotate the interleaved pairs ``(x[2j], x[2j+1])`` of ``[N, T, heads, D]``, in float32.

    ``rope`` are the rows of :func:`rope_table` for these positions, ``[N, T, 2, D]``.
    """
    cos, sin = rope[..., :1, :], rope[..., 1:, :]
    swapped = x.view(*x.shape[:-1], -1, 2).flip(-1).flatten(-2)
    return torch.addcmul(x * cos, swapped, sin).to(x.dtype)


class RMSNorm(nn.Module):
    """Root-mean-square norm over the last axis, computed in float32."""

    def __init__(self, dim: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(dim))
        self._eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``[..., dim]``."""
        return F.rms_norm(x, self.weight.shape, self.weight, self._eps)


class Attention(nn.Module):
    """Grouped-query self-attention with rotary positions, and a norm of queries and keys if so configured."""

    qk_scale: Tensor

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self._config = config
        heads = config.heads + 2 * config.kv_heads
        width = config.heads * config.head_dim
        self.wqkv = nn.Linear(config.dim, heads * config.head_dim, bias=config.qkv_bias)
        self.wo = nn.Linear(width, config.dim, bias=config.o_bias)
        if config.qk_norm:
            self.q_norm = nn.Parameter(torch.empty(config.head_dim))
            self.k_norm = nn.Parameter(torch.empty(config.head_dim))

    def finish(self) -> None:
        """Once the weights are there: lay both norms' weights side by side, so that one kernel does both."""
        if self._config.qk_norm:
            scale = (
                self.q_norm.expand(self._config.heads, -1),
                self.k_norm.expand(self._config.kv_heads, -1),
            )
            self.register_buffer("qk_scale", torch.cat(scale).detach(), persistent=False)

    def forward(self, x: Tensor, rope: Tensor, cache: LayerCache, layer: int) -> Tensor:
        """Attend: ``[N, T, dim]`` to ``[N, T, dim]``. ``rope`` as in :func:`rotate`."""
        config = self._config
        rotated = config.heads + config.kv_heads
        qkv = self.wqkv(x).unflatten(-1, (-1, config.head_dim))
        qk, v = qkv[..., :rotated, :], qkv[..., rotated:, :]
        if config.qk_norm:
            qk = F.rms_norm(qk, (config.head_dim,), None, config.norm_eps) * self.qk_scale
        qk = rotate(qk, rope)
        attended = cache.attend(layer, qk[..., : config.heads, :], qk[..., config.heads :, :], v)
        projected: Tensor = self.wo(attended.flatten(-2))
        return projected


class FeedForward(nn.Module):
    """SwiGLU: ``w2(silu(w1 x) * w3 x)``, with ``w1`` and ``w3`` in one product."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.w13 = nn.Linear(config.dim, 2 * config.ffn, bias=False)
        self.w2 = nn.Linear(config.ffn, config.dim, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """``[..., dim]`` to ``[..., dim]``."""
        gate, up = self.w13(x).chunk(2, dim=-1)
        projected: Tensor = self.w2(F.silu(gate) * up)
        return projected


class Block(nn.Module):
    """One layer: attention and feed-forward, each added to what it heard after a norm."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, config.norm_eps)
        self.attention = Attention(config)
        self.ffn_norm = RMSNorm(config.dim, config.norm_eps)
        self.feed_forward = FeedForward(config)

    def forward(self, x: Tensor, rope: Tensor, cache: LayerCache, layer: int) -> Tensor:
        """The residual stream after this layer: ``[N, T, dim]`` to ``[N, T, dim]``."""
        x = x + self.attention(self.attention_norm(x), rope, cache, layer)
        out: Tensor = x + self.feed_forward(self.ffn_norm(x))
        return out


def finish_layers(layers: nn.ModuleList) -> None:
    """Compute what is derived from the weights of these blocks."""
    for module in layers.modules():
        if isinstance(module, Attention):
            module.finish()
