"""Attention of single positions over paged keys and values, as Triton kernels. To be imported where Triton is.

A stream's past is cut into chunks that are attended to side by side and then combined (flash-decoding). The cut
depends on the stream's length alone: a row's result is the same to the bit whatever else is in the batch.
"""

import torch
import triton  # type: ignore[import-not-found, import-untyped, unused-ignore]
import triton.language as tl  # type: ignore[import-not-found, import-untyped, unused-ignore]
from torch import Tensor

CHUNK = 256
"""Positions of a stream that one program attends to."""

BLOCK = 64
"""Positions that it loads at a time."""

_FEWEST = 16  # rows of the smallest matrix product
_PARTS = 16  # chunks that are combined at a time


@triton.jit  # type: ignore[misc, untyped-decorator, unused-ignore]
def _attend(  # type: ignore[no-untyped-def, unused-ignore]
    q,
    keys,
    values,
    tables,
    slots,
    lengths,
    parts,
    weights,
    scale,
    q_row,
    q_head,
    page_step,
    position_step,
    head_step,
    table_row,
    chunks,
    GROUP: tl.constexpr,
    ROWS: tl.constexpr,
    WIDTH: tl.constexpr,
    PAGE: tl.constexpr,
    CHUNK: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One chunk of one row's past, for the ``GROUP`` query heads that share a head of keys."""
    row, head, chunk = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    length = tl.load(lengths + row)
    begin = chunk * CHUNK
    if begin >= length:
        return
    slot = tl.load(slots + row).to(tl.int64)
    member, wide = tl.arange(0, ROWS), tl.arange(0, WIDTH)
    heads, real = head * GROUP + member, member < GROUP
    query = tl.load(q + row * q_row + heads[:, None] * q_head + wide[None, :], mask=real[:, None], other=0.0)
    best = tl.full([ROWS], float("-inf"), tl.float32)
    total = tl.zeros([ROWS], tl.float32)
    mixed = tl.zeros([ROWS, WIDTH], tl.float32)
    for start in range(begin, min(begin + CHUNK, length), BLOCK):
        at = start + tl.arange(0, BLOCK)
        there = at < length  # what lies behind may be anybody's, even NaN: it is not loaded
        page = tl.load(tables + slot * table_row + at // PAGE, mask=there, other=0).to(tl.int64)
        place = page * page_step + (at % PAGE) * position_step + head * head_step
        key = tl.load(keys + place[None, :] + wide[:, None], mask=there[None, :], other=0.0)
        scores = tl.dot(query, key, input_precision="ieee") * scale
        scores = tl.where(there[None, :], scores, float("-inf"))
        higher = tl.maximum(best, tl.max(scores, axis=1))
        kept = tl.exp2(best - higher)
        share = tl.exp2(scores - higher[:, None])
        value = tl.load(values + place[:, None] + wide[None, :], mask=there[:, None], other=0.0)
        total = total * kept + tl.sum(share, axis=1)
        mixed = mixed * kept[:, None] + tl.dot(share.to(value.dtype), value, input_precision="ieee")
        best = higher
    part = (row * tl.num_programs(1) * GROUP + heads).to(tl.int64) * chunks + chunk
    tl.store(parts + part[:, None] * WIDTH + wide[None, :], mixed / total[:, None], mask=real[:, None])
    tl.store(weights + part, best + tl.log2(total), mask=real)


@triton.jit  # type: ignore[misc, untyped-decorator, unused-ignore]
def _combine(  # type: ignore[no-untyped-def, unused-ignore]
    parts,
    weights,
    lengths,
    out,
    chunks,
    WIDTH: tl.constexpr,
    CHUNK: tl.constexpr,
    PARTS: tl.constexpr,
):
    """The chunks of one head of one row, weighed by the logarithms (to base 2) of their sums."""
    row, head = tl.program_id(0), tl.program_id(1)
    index = (row * tl.num_programs(1) + head).to(tl.int64)
    used = tl.cdiv(tl.load(lengths + row), CHUNK)
    wide = tl.arange(0, WIDTH)
    best = tl.full([1], float("-inf"), tl.float32)
    total = tl.zeros([1], tl.float32)
    mixed = tl.zeros([WIDTH], tl.float32)
    for start in range(0, used, PARTS):
        chunk = start + tl.arange(0, PARTS)
        part = index * chunks + chunk
        there = chunk < used
        weight = tl.load(weights + part, mask=there, other=float("-inf"))
        value = tl.load(parts + part[:, None] * WIDTH + wide[None, :], mask=there[:, None], other=0.0)
        higher = tl.maximum(best, tl.max(weight, axis=0))
        kept = tl.exp2(best - higher)
        share = tl.exp2(weight - higher)
        total = total * kept + tl.sum(share, axis=0)
        mixed = mixed * kept + tl.sum(share[:, None] * value, axis=0)
        best = higher
    tl.store(out + index * WIDTH + wide, (mixed / total).to(out.dtype.element_ty))


def paged_decode(
    q: Tensor, keys: Tensor, values: Tensor, tables: Tensor, slots: Tensor, lengths: Tensor
) -> Tensor:
    """Attention of one new position of each of ``B`` streams over their pages, its own included.

    ``q [B, H, D]``; ``keys`` and ``values`` ``[pages, page_size, KVH, D]``, equally laid out, where query head
    ``h`` reads head ``h // (H // KVH)``; ``tables [slots, M]`` says which pages hold a slot's positions,
    ``slots [B]`` whose rows these are, ``lengths [B]`` (1 or more) how many positions each has. Products in the
    inputs' precision (no TF32), sums in float32. Returns ``[B, H, D]``. Nothing waits for the device, and all
    shapes follow from those of the arguments.

    Raises ``ValueError`` if the heads are no power of two wide or less than 16.
    """
    batch, heads, width = q.shape
    page_size, kv_heads = keys.shape[1:3]
    if width < _FEWEST or width & (width - 1):
        raise ValueError(f"heads are {width} wide; Triton's attention wants 16, 32, 64, 128 or 256")
    if keys.stride() != values.stride() or keys.stride(3) != 1 or q.stride(2) != 1:
        raise ValueError("keys and values must be laid out alike, and the last axis must be contiguous")
    group = heads // kv_heads
    chunks = triton.cdiv(tables.shape[1] * page_size, CHUNK)
    parts = torch.empty((batch, heads, chunks, width), device=q.device, dtype=torch.float32)
    weights = torch.empty((batch, heads, chunks), device=q.device, dtype=torch.float32)
    out = torch.empty((batch, heads, width), device=q.device, dtype=q.dtype)
    _attend[(batch, kv_heads, chunks)](
        q,
        keys,
        values,
        tables,
        slots,
        lengths,
        parts,
        weights,
        width**-0.5 * 1.4426950408889634,  # of the power to base 2: log2(e)
        q.stride(0),
        q.stride(1),
        keys.stride(0),
        keys.stride(1),
        keys.stride(2),
        tables.stride(0),
        chunks,
        GROUP=group,
        ROWS=max(_FEWEST, triton.next_power_of_2(group)),
        WIDTH=width,
        PAGE=page_size,
        CHUNK=CHUNK,
        BLOCK=BLOCK,
        num_warps=4,
        num_stages=2,
    )
    _combine[(batch, heads)](
        parts, weights, lengths, out, chunks, WIDTH=width, CHUNK=CHUNK, PARTS=_PARTS, num_warps=4
    )
    return out
