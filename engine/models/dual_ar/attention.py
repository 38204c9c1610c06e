"""Attention of many streams over their pages: where keys and values lie, and how they are read.

Positions of a stream lie in pages of a fixed number of positions; a block table says for each slot (each stream
has one) which page holds which part of it. Page 0 belongs to nobody: rows that only fill up a batch write there.
"""

from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from engine.models.dual_ar.config import TransformerConfig


class KeyValues:
    """Keys and values of all positions of all streams, and the block tables of the slots, on the device.

    ``keys`` and ``values`` have the shape ``[layers, pages, page_size, kv_heads, head_dim]``, ``tables``
    ``[slots, pages of the longest context]`` (int32; 0 where nothing is).
    """

    def __init__(
        self,
        config: TransformerConfig,
        *,
        slots: int,
        pages: int,
        page_size: int,
        context: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        shape = (config.layers, pages, page_size, config.kv_heads, config.head_dim)
        self.page_size = page_size
        self.group = config.heads // config.kv_heads  # query heads that share a head of keys and values
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros(shape, device=device, dtype=dtype)
        self.tables = torch.zeros((slots, -(-context // page_size)), device=device, dtype=torch.int32)


def page_bytes(config: TransformerConfig, page_size: int, dtype: torch.dtype) -> int:
    """Bytes that one page takes in all layers."""
    return 2 * config.layers * page_size * config.kv_heads * config.head_dim * dtype.itemsize


class ReadPages(Protocol):
    """Attention of one new position of each of ``B`` streams over their pages, its own included."""

    def __call__(
        self, q: Tensor, keys: Tensor, values: Tensor, tables: Tensor, slots: Tensor, lengths: Tensor
    ) -> Tensor:
        """``q [B, H, D]`` over one layer's ``[pages, page_size, KVH, D]`` to ``[B, H, D]``; ``lengths [B]``."""
        ...


class PagedCache:
    """The past of ``N`` streams with up to ``T`` new positions each: a ``LayerCache`` for one forward pass.

    ``slots [N]``; ``at [N, T]`` are absolute positions, of which those beyond ``counts [N]`` are padding (None:
    none is). ``context`` is how many positions are looked at, no less than the longest stream has. ``read``
    does single positions where there is something faster than to gather their pages.
    """

    def __init__(
        self,
        memory: KeyValues,
        slots: Tensor,
        at: Tensor,
        *,
        context: int,
        counts: Tensor | None = None,
        read: ReadPages | None = None,
    ) -> None:
        size = memory.page_size
        self._memory, self._slots, self._read = memory, slots, read
        tables = memory.tables[slots].long()
        rows = tables.gather(1, at // size) * size + at % size
        if counts is None:
            self._end = at[:, -1] + 1
        else:
            new = torch.arange(at.shape[1], device=at.device)
            rows = torch.where(new < counts[:, None], rows, at % size)  # padding goes to page 0
            self._end = at[:, 0] + counts
        self._rows = rows.flatten()
        if read is None:
            self._pages = tables[:, : -(-context // size)]
            seen = torch.arange(self._pages.shape[1] * size, device=at.device)
            # Beyond the end stands what another stream left, perhaps NaN, which no mask takes away.
            self._written = (seen < self._end[:, None])[:, :, None, None]
            hidden = (seen > at[:, :, None]).repeat(1, memory.group, 1)[:, None]
            self._mask = torch.zeros_like(hidden, dtype=memory.keys.dtype).masked_fill_(hidden, -torch.inf)

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Keep ``k`` and ``v`` ``[N, T, KVH, D]``, answer ``q`` ``[N, T, H, D]`` causally."""
        keys, values = self._memory.keys[layer], self._memory.values[layer]
        keys.flatten(0, 1).index_copy_(0, self._rows, k.flatten(0, 1))
        values.flatten(0, 1).index_copy_(0, self._rows, v.flatten(0, 1))
        if self._read is not None:
            tables = self._memory.tables
            return self._read(q[:, 0], keys, values, tables, self._slots, self._end)[:, None]
        k = torch.where(self._written, keys[self._pages].flatten(1, 2), 0.0)
        v = torch.where(self._written, values[self._pages].flatten(1, 2), 0.0)
        # The queries of a group as if they were further positions of one head: with grouped heads and a mask
        # there is no fused kernel, and the one that takes their place holds all scores at once.
        batch, new, _, width = q.shape
        group = self._memory.group
        rows = q.view(batch, new, -1, group, width).permute(0, 2, 3, 1, 4).flatten(2, 3)
        attended = scaled_dot_product_attention(rows, k.transpose(1, 2), v.transpose(1, 2), self._mask)
        return attended.view(batch, -1, group, new, width).permute(0, 3, 1, 2, 4).reshape(q.shape)
