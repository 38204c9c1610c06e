"""The slow transformer: it hears text and what was spoken, and says what each next frame is about."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.dual_ar.config import DualARConfig
from engine.models.dual_ar.transformer import Block, LayerCache, RMSNorm, finish_layers, rope_table


class SlowTransformer(nn.Module):
    """One position per text token or frame. A position is a row of ints: token id, then the frame's codes.

    Text has codes 0. ``hidden`` below is what :meth:`forward` returns and the fast transformer hears.
    """

    rope: Tensor
    offsets: Tensor
    head: Tensor

    def __init__(self, config: DualARConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.slow.dim
        self.embeddings = nn.Parameter(torch.empty(config.slow.vocab, dim))
        self.codebook_embeddings = nn.Parameter(torch.empty(config.codebooks * config.codebook_size, dim))
        self.layers = nn.ModuleList(Block(config.slow) for _ in range(config.slow.layers))
        self.norm = RMSNorm(dim, config.slow.norm_eps)
        self.output = None if config.tied else nn.Parameter(torch.empty(config.slow.vocab, dim))

    def finish(self) -> None:
        """Once the weights are there: compute what is derived from them.

        The rows of the head that can be sampled (4,097 of 155,776) are made one contiguous matrix.
        """
        config, device = self.config, self.embeddings.device
        offsets = torch.arange(config.codebooks, device=device) * config.codebook_size
        full, end = self._full_head(), config.end_token
        head = torch.cat((full[config.semantic_start : config.semantic_end + 1], full[end : end + 1]))
        self.register_buffer("rope", rope_table(config.slow, device), persistent=False)
        self.register_buffer("offsets", offsets, persistent=False)
        self.register_buffer("head", head.detach(), persistent=False)
        finish_layers(self.layers)

    def embed(self, positions: Tensor) -> Tensor:
        """What layer 0 hears: int64 ``[..., 1 + codebooks]`` to ``[..., dim]``."""
        config = self.config
        token = positions[..., 0]
        text = F.embedding(token, self.embeddings)
        codes = F.embedding(positions[..., 1:] + self.offsets, self.codebook_embeddings)
        spoken = text + codes.sum(-2)
        if config.scale_embeddings:
            spoken = spoken / math.sqrt(config.codebooks + 1)
        is_spoken = (token >= config.semantic_start) & (token <= config.semantic_end)
        return torch.where(is_spoken.unsqueeze(-1), spoken, text)

    def forward(self, x: Tensor, at: Tensor, cache: LayerCache) -> Tensor:
        """``x`` ``[N, T, dim]`` at absolute positions ``at`` ``[N, T]`` to hidden ``[N, T, dim]``."""
        rope = self.rope[at]
        for index, layer in enumerate(self.layers):
            x = layer(x, rope, cache, index)
        if self.config.norm_fast_input:
            x = self.norm(x)
        return x

    def semantic_logits(self, hidden: Tensor) -> Tensor:
        """``[..., dim]`` to float32 ``[..., semantic_size + 1]``: semantic ids in order, then the end token."""
        return F.linear(self._normed(hidden), self.head).float()

    def logits(self, hidden: Tensor) -> Tensor:
        """``[..., dim]`` to float32 ``[..., vocab]``: every token, also those that are never sampled."""
        return F.linear(self._normed(hidden), self._full_head()).float()

    def _normed(self, hidden: Tensor) -> Tensor:
        normed: Tensor = hidden if self.config.norm_fast_input else self.norm(hidden)
        return normed

    def _full_head(self) -> Tensor:
        return self.embeddings if self.output is None else self.output
