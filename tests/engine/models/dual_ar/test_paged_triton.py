"""Triton's attention over pages, beside a plain softmax. On a GPU, or anywhere with ``TRITON_INTERPRET=1``."""

import math
import os

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="Triton is not installed")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
if not INTERPRETED and not torch.cuda.is_available():
    pytest.skip("there is no GPU; TRITON_INTERPRET=1 runs the kernels without", allow_module_level=True)

from engine.models.dual_ar.paged_triton import BLOCK, CHUNK, paged_decode  # noqa: E402

DEVICE = "cpu" if INTERPRETED else "cuda"


class Streams:
    """Random keys and values on pages in random order, NaN wherever no stream has written."""

    def __init__(
        self,
        lengths: list[int],
        *,
        heads: int = 4,
        kv_heads: int = 2,
        width: int = 16,
        page_size: int = 16,
        context: int = 2 * CHUNK + 32,
        dtype: torch.dtype = torch.float32,
        seed: int = 0,
    ) -> None:
        draw = torch.Generator().manual_seed(seed)
        pages = math.ceil(context / page_size)
        held = [math.ceil(length / page_size) for length in lengths]
        order = 1 + torch.randperm(sum(held), generator=draw)
        self.past = [torch.randn(2, length, kv_heads, width, generator=draw).to(dtype) for length in lengths]
        pool = torch.full((2, 1 + sum(held), page_size, kv_heads, width), math.nan, dtype=dtype)
        # Slots are not in the order of the batch, and there are more of them.
        slots = torch.randperm(len(lengths) + 3, generator=draw)[: len(lengths)]
        tables = torch.zeros(len(lengths) + 3, pages, dtype=torch.int32)
        for slot, past, own in zip(slots, self.past, order.split(held), strict=True):
            tables[slot, : len(own)] = own
            for i, page in enumerate(own):
                part = past[:, i * page_size : (i + 1) * page_size]
                pool[:, page, : part.shape[1]] = part
        q = torch.randn(len(lengths), 3, heads, width, generator=draw).to(dtype)
        self.q = q.to(DEVICE)[:, 1]  # not contiguous, as it comes out of a product
        self.keys, self.values = pool.to(DEVICE)
        self.tables, self.slots = tables.to(DEVICE), slots.to(DEVICE)
        self.lengths = torch.tensor(lengths, device=DEVICE)

    def attended(self, rows: list[int] | None = None) -> Tensor:
        chosen = (
            torch.arange(len(self.q), device=DEVICE) if rows is None else torch.tensor(rows, device=DEVICE)
        )
        return paged_decode(
            self.q[chosen],
            self.keys,
            self.values,
            self.tables,
            self.slots[chosen],
            self.lengths[chosen],
        ).cpu()

    def expected(self) -> Tensor:
        """A plain softmax in double precision."""
        out = []
        for q, past in zip(self.q.cpu().double(), self.past, strict=True):
            group = q.shape[0] // past.shape[2]
            keys, values = past.double().repeat_interleave(group, dim=2)
            scores = torch.einsum("hd,nhd->hn", q, keys) / math.sqrt(q.shape[1])
            out.append(torch.einsum("hn,nhd->hd", scores.softmax(1), values))
        return torch.stack(out)


EDGES = [
    [1],
    [16, 15, 17, 1],
    [BLOCK - 1, BLOCK, BLOCK + 1],
    [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 1],
    [2 * CHUNK + 32, 3],
]


@pytest.mark.parametrize("lengths", EDGES, ids=str)
def test_lengths(lengths: list[int]) -> None:
    streams = Streams(lengths)
    assert (streams.attended() - streams.expected()).abs().max() < 2e-6


@pytest.mark.parametrize(
    ("heads", "kv_heads", "width", "page_size"),
    [(4, 4, 16, 16), (8, 1, 32, 16), (32, 8, 128, 32), (6, 2, 64, 24), (40, 2, 16, 8)],
)
def test_shapes(heads: int, kv_heads: int, width: int, page_size: int) -> None:
    streams = Streams([50, 300, 7], heads=heads, kv_heads=kv_heads, width=width, page_size=page_size)
    assert (streams.attended() - streams.expected()).abs().max() < 2e-6


@pytest.mark.parametrize("seed", range(5))
def test_random_page_tables(seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 2 * CHUNK + 32, (6,), generator=draw).tolist()
    streams = Streams(lengths, seed=seed)
    assert (streams.attended() - streams.expected()).abs().max() < 2e-6


def test_many_chunks() -> None:
    streams = Streams([20 * CHUNK + 5, 2], heads=2, kv_heads=1, context=21 * CHUNK, page_size=64)
    assert (streams.attended() - streams.expected()).abs().max() < 2e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype) -> None:
    if INTERPRETED and dtype is torch.bfloat16:
        pytest.skip("Triton's interpreter multiplies the bits of bfloat16 as if they were whole numbers")
    streams = Streams([1, 100, 400], heads=32, kv_heads=8, width=128, dtype=dtype)
    ours = streams.attended()
    assert ours.dtype is dtype
    assert (ours - streams.expected()).abs().max() < 4 * torch.finfo(dtype).eps


def test_rows_are_the_same_in_any_company() -> None:
    streams = Streams([5, 300, 64, 513])
    together = streams.attended()
    for row in range(4):
        assert torch.equal(streams.attended([row])[0], together[row])
    assert torch.equal(streams.attended([3, 1]), together[[3, 1]])


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NaN, on purpose
def test_nan_stays_in_its_row() -> None:
    clean, ill = Streams([40, 50, 60]), Streams([40, 50, 60])
    page = ill.tables[ill.slots[1], 0].item()
    ill.keys[page], ill.values[page] = math.nan, math.nan
    ours, expected = ill.attended(), clean.attended()
    assert torch.equal(ours[[0, 2]], expected[[0, 2]])
    assert ours[1].isnan().any()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # NaN, on purpose
def test_padding_rows() -> None:
    """Rows that fill up a batch share a slot of which nothing is known."""
    streams = Streams([40, 1, 1])
    streams.tables[streams.slots[1]] = 0
    streams.slots[2] = streams.slots[1]
    ours, expected = streams.attended(), streams.expected()
    assert (ours[0] - expected[0]).abs().max() < 2e-6


def test_wrong_widths_are_told() -> None:
    with pytest.raises(ValueError, match="heads are 24 wide"):
        Streams([5], width=24).attended()


@pytest.mark.skipif(INTERPRETED, reason="CUDA graphs need a GPU")
def test_captured_in_a_graph() -> None:
    streams = Streams([40, 300], context=2 * CHUNK)
    streams.attended()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = paged_decode(
            streams.q, streams.keys, streams.values, streams.tables, streams.slots, streams.lengths
        )
    graph.replay()
    assert (out.cpu() - streams.expected()).abs().max() < 2e-6
    streams.lengths.copy_(torch.tensor([7, 33]))
    streams.past = [past[:, :length] for past, length in zip(streams.past, (7, 33), strict=True)]
    graph.replay()
    assert (out.cpu() - streams.expected()).abs().max() < 2e-6
