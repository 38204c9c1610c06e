"""One frame of many streams: a slow step, the draws, and the fast loop, all on the device.

Nothing here knows how many streams there are in all, who they are, or what they say. State lies in tensors by
slot; a batch is a tensor of slots. One slot more than asked for belongs to nobody: it fills up batches.
"""

import torch
from torch import Tensor

from engine.models.dual_ar.attention import KeyValues, PagedCache, ReadPages
from engine.models.dual_ar.fast import FastTransformer
from engine.models.dual_ar.sampling import Sampler
from engine.models.dual_ar.slow import SlowTransformer


class FrameModel:
    """Both transformers and the sampler over the state of all slots.

    ``memory`` and ``sampler`` have one slot more than there are streams, the last one, :attr:`nobody`.
    """

    def __init__(
        self,
        slow: SlowTransformer,
        fast: FastTransformer,
        sampler: Sampler,
        memory: KeyValues,
        read: ReadPages | None = None,
    ) -> None:
        self.config = slow.config
        self.memory = memory
        self.sampler = sampler
        self._slow, self._fast, self._read = slow, fast, read
        slots = len(memory.tables)
        self.nobody = slots - 1
        device = memory.tables.device
        # The position that each slot hears next, and where it stands.
        self._next = torch.zeros((slots, 1 + self.config.codebooks), dtype=torch.long, device=device)
        self._at = torch.zeros(slots, dtype=torch.long, device=device)

    def decode(self, slots: Tensor, *, context: int | None = None) -> Tensor:
        """The next frame of each of the slots ``[B]``, whose last one has been drawn: as :meth:`draw`.

        ``context`` is how far back to look, no less than the longest of the streams; None is all there may be.
        """
        at = self._at[slots]
        cache = PagedCache(self.memory, slots, at[:, None], context=context or self._context, read=self._read)
        x = self._slow.embed(self._next[slots])[:, None]
        hidden = self._slow(x, at[:, None], cache)[:, 0]
        return self.draw(hidden, slots, at + 1)

    def read(
        self, positions: Tensor, slots: Tensor, start: Tensor, counts: Tensor, *, context: int
    ) -> Tensor:
        """Read ``positions [N, T, 11]`` of text or frames, ``counts [N]`` of them each, from ``start [N]`` on.

        Returns the hidden state of the last position of each, ``[N, dim]``.
        """
        new = torch.arange(positions.shape[1], device=positions.device)
        at = (start[:, None] + new).clamp(max=self._context - 1)  # of padding: within the tables
        cache = PagedCache(self.memory, slots, at, context=context, counts=counts)
        hidden: Tensor = self._slow(self._slow.embed(positions), at, cache)
        last = (counts - 1)[:, None, None].expand(-1, 1, hidden.shape[-1])
        return hidden.gather(1, last).squeeze(1)

    def draw(self, hidden: Tensor, slots: Tensor, at: Tensor) -> Tensor:
        """Draw the frame that follows ``hidden [B, dim]`` and stands at the positions ``at [B]``.

        Returns ``[B, 12]``: the token id, the ten codes, and 1 where the row is broken (NaN; its codes mean
        nothing). Codes after the end token mean nothing either.
        """
        draws = self.sampler.draws(slots)
        first = draws.semantic(self._slow.semantic_logits(hidden))
        codes = self._fast.codes(hidden, first, draws.residual)
        draws.commit()
        token = torch.where(draws.ended, self.config.end_token, self.config.semantic_start + first)
        drawn = torch.cat((token[:, None], codes), dim=1)
        self._next.index_copy_(0, slots, drawn)
        self._at.index_copy_(0, slots, at * (slots != self.nobody))  # nobody gets nowhere
        return torch.cat((drawn, draws.bad[:, None]), dim=1)

    @property
    def _context(self) -> int:
        return self.memory.tables.shape[1] * self.memory.page_size
