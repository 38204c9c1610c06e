"""Copies, captures and memory, as far as a CPU shows them."""

import numpy as np
import pytest
import torch

from engine.models.lane import Captured, Lane, NotEnoughMemory, enough_memory

CPU = torch.device("cpu")


def test_what_is_uploaded_comes_down_again() -> None:
    lane = Lane(CPU)
    with lane.work():
        doubled = lane.download(2 * lane.upload(np.arange(3)))
    assert doubled.wait().tolist() == [0, 2, 4]


def test_no_gradients_are_kept_in_a_lane() -> None:
    with Lane(CPU).work():
        assert not (torch.ones(1, requires_grad=True) * 2).requires_grad


def test_without_graphs_a_function_is_called_with_the_rows_that_there_are() -> None:
    calls = []

    def count(x: torch.Tensor) -> torch.Tensor:
        calls.append(len(x))
        return x + 1

    captured = Captured(count, Lane(CPU), (0,), graphs=False, largest=20)
    captured.capture_all(torch.zeros(1))
    assert captured(torch.zeros(3)).tolist() == [1, 1, 1]
    assert calls == [3]


def test_buckets_end_with_the_largest_batch() -> None:
    def buckets(largest: int) -> tuple[int, ...]:
        return Captured(torch.clone, Lane(CPU), (0,), graphs=False, largest=largest).buckets

    assert buckets(1) == (1,)
    assert buckets(20) == (1, 2, 4, 8, 16, 20)
    assert buckets(64)[-2:] == (48, 64)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graph_gives_what_its_function_gives_for_every_number_of_rows() -> None:
    device = torch.device("cuda")
    lane = Lane(device)
    table = torch.zeros(9, device=device)

    def function(rows: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
        table.index_add_(0, slots, rows)
        return table[slots] * 2

    captured = Captured(function, lane, (0, 8), graphs=True, largest=6)
    with lane.work():
        captured.capture_all(torch.zeros(1, device=device), torch.zeros(1, dtype=torch.long, device=device))
        table.zero_()
        for rows in (1, 2, 3, 5, 6, 4):
            slots = lane.upload(np.arange(rows))
            before = table[:rows].clone()
            out = captured(torch.ones(rows, device=device), slots).clone()
            assert torch.equal(out, (before + 1) * 2)
            assert not table[6:8].any()


def test_too_little_memory_says_what_to_lower() -> None:
    with pytest.raises(NotEnoughMemory, match="--max-streams"), enough_memory(CPU):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
    with pytest.raises(NotEnoughMemory, match="--kv-memory"), enough_memory(CPU):
        torch.empty(1 << 55)
    with pytest.raises(RuntimeError, match="other"), enough_memory(CPU):
        raise RuntimeError("other")
