"""The fast transformer: from what the slow one says of a frame, it fills in the frame's codes one by one."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.dual_ar.config import DualARConfig
from engine.models.dual_ar.transformer import (
    Block,
    CausalCache,
    DenseCache,
    LayerCache,
    RMSNorm,
    finish_layers,
    rope_table,
)


class FastTransformer(nn.Module):
    """Ten positions per frame: the slow transformer's hidden, then the codes; position i scores code i.

    It remembers nothing from one frame to the next.
    """

    rope: Tensor

    def __init__(self, config: DualARConfig) -> None:
        super().__init__()
        self.config = config
        fast = config.fast
        self.embeddings = nn.Parameter(torch.empty(config.codebook_size, fast.dim))
        self.layers = nn.ModuleList(Block(fast) for _ in range(fast.layers))
        self.norm = RMSNorm(fast.dim, fast.norm_eps)
        self.output = nn.Parameter(torch.empty(config.codebook_size, fast.dim))
        self.project = nn.Linear(config.slow.dim, fast.dim) if config.slow.dim != fast.dim else None

    def finish(self) -> None:
        """Once the weights are there: compute what is derived from them."""
        self.register_buffer("rope", rope_table(self.config.fast, self.embeddings.device), persistent=False)
        finish_layers(self.layers)

    def codes(self, hidden: Tensor, first: Tensor, choose: Callable[[int, Tensor], Tensor]) -> Tensor:
        """All codes of one frame of each row: hidden ``[B, dim]`` and code 0 ``[B]`` to int64 ``[B, codebooks]``.

        ``choose(i, logits)`` is given float32 ``[B, codebook_size]`` and returns code i, ``[B]``. Positions 0
        and 1 are both known and go in one pass, so a frame takes one pass less than it has codes.
        """
        config = self.config
        cache = DenseCache(config.fast, len(hidden), config.codebooks, hidden)
        chosen = [first]
        x = torch.stack((self._heard(hidden), self._embed(first)), 1)
        for i in range(1, config.codebooks):
            x = self._run(x, cache.length, cache)
            cache.length += x.shape[1]
            chosen.append(choose(i, self._score(x[:, -1])))
            x = self._embed(chosen[i]).unsqueeze(1)
        return torch.stack(chosen, 1)

    def logits(self, hidden: Tensor, codes: Tensor) -> Tensor:
        """Scores of given codes, all at once: ``[F, dim]``, ``[F, >= codebooks - 1]`` to ``[F, codebooks, V]``.

        Position 0 heard nothing but the hidden; its scores are not used in speaking.
        """
        given = self._embed(codes[:, : self.config.codebooks - 1])
        x = torch.cat((self._heard(hidden).unsqueeze(1), given), 1)
        return self._score(self._run(x, 0, CausalCache()))

    def _run(self, x: Tensor, start: int, cache: LayerCache) -> Tensor:
        rope = self.rope[start : start + x.shape[1]]
        for index, layer in enumerate(self.layers):
            x = layer(x, rope, cache, index)
        return x

    def _heard(self, hidden: Tensor) -> Tensor:
        heard: Tensor = hidden if self.project is None else self.project(hidden)
        return heard

    def _embed(self, codes: Tensor) -> Tensor:
        return F.embedding(codes, self.embeddings)

    def _score(self, x: Tensor) -> Tensor:
        return F.linear(self.norm(x), self.output).float()
