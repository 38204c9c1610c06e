"""Draws: by the book, by the seed, and by nothing else."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from engine.models.dual_ar.sampling import (
    PENALTY_WINDOW,
    WINDOW,
    Draws,
    Noise,
    Sampler,
    Start,
    draw,
    draw_keys,
    filtered,
    penalised,
    seed_words,
    uniforms,
)
from engine.speech import Sampling

SEMANTIC, RESIDUALS, CODES = 40, 3, 24
END = SEMANTIC
PLAIN = Sampling(temperature=1.0, top_p=1.0, repetition_penalty=1.0)


def sampler(slots: int = 8, **options: object) -> Sampler:
    return Sampler(slots, SEMANTIC, RESIDUALS, device="cpu", **options)  # type: ignore[arg-type]


def logits(*shape: int, seed: int = 0, scale: float = 3.0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def slots(*numbers: int) -> Tensor:
    return torch.tensor(numbers)


def frame(draws: Draws, slow: Tensor, fast: Tensor) -> Tensor:
    """One frame's codes ``[B, 1 + RESIDUALS]``, committed."""
    codes = [draws.semantic(slow)]
    codes += [draws.residual(i, fast[:, i - 1]) for i in range(1, 1 + RESIDUALS)]
    draws.commit()
    return torch.stack(codes, dim=1)


def by_the_book(row: list[float], temperature: float, top_p: float, top_k: int) -> list[float]:
    """The filter in double precision, one token after the other."""
    order = sorted(range(len(row)), key=lambda i: -row[i])
    total = math.fsum(math.exp(value) for value in row)
    kept, mass = [], 0.0
    for rank, i in enumerate(order):
        mass += math.exp(row[i]) / total
        if rank == 0 or (rank < top_k and mass <= top_p):
            kept.append(i)
    weights = {i: math.exp((row[i] - row[order[0]]) / max(temperature, 1e-5)) for i in kept}
    return [weights.get(i, 0.0) / math.fsum(weights.values()) for i in range(len(row))]


@given(
    st.integers(0, 10**6),
    st.floats(0.0, 2.0),
    st.floats(0.0, 0.999),
    st.integers(1, 12),
    st.integers(12, 20),
)
@settings(max_examples=80, deadline=None)
def test_filter_by_the_book(seed: int, temperature: float, top_p: float, top_k: int, width: int) -> None:
    row = logits(16, seed=seed)
    probs, ids = filtered(
        row[None], torch.tensor([temperature]), torch.tensor([top_p]), torch.tensor([top_k]), width
    )
    dense = torch.zeros(16).scatter(0, ids[0], probs[0])
    masses = row.double().softmax(0).sort(descending=True).values.cumsum(0)
    if (masses - top_p).abs().min() > 1e-5:  # else rounding decides
        expected = by_the_book(row.double().tolist(), temperature, top_p, top_k)
        assert dense.numpy() == pytest.approx(np.array(expected), abs=2e-5)
    assert dense.sum() == pytest.approx(1.0, abs=1e-5)
    assert dense[row.argmax()] > 0


def test_masked_columns_are_never_drawn() -> None:
    row = logits(16)
    row[::2] = -torch.inf
    probs, ids = filtered(row[None], torch.ones(1), torch.tensor([2.0]), torch.tensor([16]), 16)
    assert set(ids[0][probs[0] > 0].tolist()) == set(range(1, 16, 2))


def test_draws_follow_the_probabilities() -> None:
    count = 40_000
    probs = torch.tensor([0.5, 0.3, 0.15, 0.05])
    ids = torch.arange(4).expand(count, 4)
    keys = draw_keys(torch.tensor([seed_words(1)]).expand(count, 2), torch.arange(count), 5)
    drawn = draw(probs.expand(count, 4), ids, uniforms(keys[:, 4], ids))
    observed = torch.bincount(drawn, minlength=4) / count
    assert observed.numpy() == pytest.approx(probs.numpy(), abs=4 * math.sqrt(0.25 / count))


# The source of chance


def chi_square(u: Tensor, cells: int = 64) -> float:
    """How far counts are from even, in standard deviations of the chi-square distribution."""
    counts = torch.bincount((u.flatten() * cells).long(), minlength=cells).double()
    even = u.numel() / cells
    return float((((counts - even) ** 2 / even).sum() - (cells - 1)) / math.sqrt(2 * (cells - 1)))


def over(seeds: range, steps: range, draws: range, ids: range) -> Tensor:
    """Uniforms ``[seeds, steps, draws, ids]``."""
    words = torch.tensor([seed_words(seed) for seed in seeds]).repeat_interleave(len(steps), 0)
    keys = draw_keys(words, torch.tensor(list(steps)).repeat(len(seeds)), 11)[:, list(draws)].flatten(0, 1)
    u = uniforms(keys, torch.tensor(list(ids)).expand(len(keys), len(ids)))
    return u.reshape(len(seeds), len(steps), len(draws), len(ids))


@pytest.mark.parametrize(
    ("seeds", "steps", "draws", "ids"),
    [
        (range(1), range(1), range(1), range(65536)),
        (range(5, 6), range(20_000), range(2, 3), range(7, 8)),
        (range(20_000), range(1), range(1), range(1)),
        (range(-50, 50), range(3, 13), range(11), range(4090, 4100)),
    ],
    ids=["tokens", "frames", "seeds", "all"],
)
def test_uniforms_are_uniform(seeds: range, steps: range, draws: range, ids: range) -> None:
    u = over(seeds, steps, draws, ids)
    assert 0 < u.min() < u.max() < 1
    assert abs(chi_square(u)) < 4
    ordered = u.flatten().double().sort().values
    even = (torch.arange(len(ordered), dtype=torch.float64) + 0.5) / len(ordered)
    assert (ordered - even).abs().max() * math.sqrt(
        len(ordered)
    ) < 1.95  # Kolmogorov-Smirnov, one in a thousand


@pytest.mark.parametrize("axis", range(4), ids=["seeds", "frames", "draws", "tokens"])
def test_neighbours_are_independent(axis: int) -> None:
    u = over(range(40), range(40), range(11), range(40)).transpose(0, axis).double()
    for lag in (1, 2, 8):
        here, there = u[:-lag].flatten(), u[lag:].flatten()
        correlation = torch.corrcoef(torch.stack((here, there)))[0, 1]
        assert abs(correlation) * math.sqrt(len(here)) < 4
        cells = (here * 8).long() * 8 + (there * 8).long()
        assert abs(chi_square((cells.double() + 0.5) / 64)) < 4


def preimage(word: int) -> int:
    """The token whose hash under the key (0, 0) is ``word``."""
    word ^= word >> 16
    word = word * pow(0x846CA68B, -1, 2**32) % 2**32
    word ^= word >> 15 ^ word >> 30
    word = word * pow(0x7FEB352D, -1, 2**32) % 2**32
    return word ^ word >> 16


def test_uniforms_keep_off_both_ends() -> None:
    u = uniforms(torch.zeros(1, 2, dtype=torch.int64), torch.tensor([[preimage(0), preimage(2**32 - 1)]]))
    assert u.tolist() == [[2.0**-24, 1 - 2.0**-24]]
    assert torch.isfinite(1 / -u.log()).all()


def test_seeds_of_any_size() -> None:
    words = [seed_words(seed) for seed in (0, 1, -1, 2**32, 2**63, 2**64 - 2, 2**40)]
    assert len(set(words)) == len(words)
    assert all(0 <= word < 2**32 for pair in words for word in pair)


def test_uniforms_stay_what_they_are() -> None:
    """Whoever keeps a seed wants the same speech from the next release."""
    u = uniforms(
        draw_keys(torch.tensor([seed_words(42)]), torch.tensor([3]), 11)[:, 1], torch.tensor([[0, 9, 4095]])
    )
    assert (u * 2**24).long().tolist() == [[9120345, 6159181, 11196555]]


# Slots and batches


def test_same_draws_in_any_company() -> None:
    slow, fast = logits(6, 12, SEMANTIC + 1, seed=1, scale=1.0), logits(6, 12, RESIDUALS, CODES, seed=2)
    slow = slow.bfloat16().float()  # so that there are equal ones
    starts = [
        Start(i, Sampling(0.5 + 0.1 * i, 0.6 + 0.06 * i, 1.0 + 0.1 * i), seed=i // 2, top_k=5 * (1 + i))
        for i in range(6)
    ]
    together = sampler()
    together.begin(*starts)
    batched = [frame(together.draws(slots(*range(6))), slow[:, n], fast[:, n]) for n in range(12)]
    for start in starts:
        alone = sampler()
        alone.begin(replace(start, slot=7))
        row = start.slot
        for n in range(12):
            codes = frame(alone.draws(slots(7)), slow[row, None, n], fast[row, None, n])
            assert torch.equal(codes[0], batched[n][row])
    turned = sampler()
    turned.begin(*reversed(starts))
    order = [4, 0, 5, 2]
    for n in range(12):
        codes = frame(turned.draws(slots(*order)), slow[order, n], fast[order, n])
        assert torch.equal(codes, batched[n][order])


def test_seed_decides() -> None:
    both = sampler()
    both.begin(Start(0, PLAIN, seed=1), Start(1, PLAIN, seed=1), Start(2, PLAIN, seed=2))
    slow, fast = torch.zeros(3, SEMANTIC + 1), torch.zeros(3, RESIDUALS, CODES)
    codes = torch.stack([frame(both.draws(slots(0, 1, 2)), slow, fast) for _ in range(6)])
    assert torch.equal(codes[:, 0], codes[:, 1])
    assert not torch.equal(codes[:, 0], codes[:, 2])
    assert len({tuple(row) for row in codes[:, 0].tolist()}) > 1  # from frame to frame, too


def test_begin_forgets_the_last_segment() -> None:
    slow, fast = logits(1, SEMANTIC + 1), logits(1, RESIDUALS, CODES)
    ours = sampler()
    ours.begin(Start(3, PLAIN, seed=9))
    fresh = ours.table.clone()
    for _ in range(5):
        frame(ours.draws(slots(3)), slow, fast)
    assert not torch.equal(ours.table, fresh)
    ours.begin(Start(3, PLAIN, seed=9))
    assert torch.equal(ours.table, fresh)


def test_other_slots_are_left_alone() -> None:
    ours = sampler()
    before = ours.table.clone()
    frame(ours.draws(slots(2, 5)), logits(2, SEMANTIC + 1), logits(2, RESIDUALS, CODES))
    assert (ours.table != before).any(dim=1).tolist() == [i in (2, 5) for i in range(8)]


def test_idle_slots_are_harmless() -> None:
    """A batch is filled up with a slot that nobody has begun, several times over."""
    ours = sampler()
    ours.begin(Start(0, PLAIN, seed=1))
    draws = ours.draws(slots(0, 7, 7, 7))
    codes = frame(draws, logits(4, SEMANTIC + 1), logits(4, RESIDUALS, CODES))
    assert not draws.bad.any()
    assert ((codes >= 0) & (codes < SEMANTIC)).all()


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (Start(8, PLAIN, 0), "slot is 8; it must be 0 to 7"),
        (Start(0, Sampling(temperature=-0.1), 0), "temperature is -0.1; it must be 0 to 1000"),
        (Start(0, Sampling(temperature=math.nan), 0), "temperature is nan"),
        (Start(0, Sampling(top_p=math.nan), 0), "top_p is nan"),
        (
            Start(0, Sampling(repetition_penalty=0.0), 0),
            "repetition_penalty is 0.0; it must be 0.001 to 1000",
        ),
        (
            Start(0, Sampling(repetition_penalty=1e-50), 0),
            "repetition_penalty is 1e-50; it must be 0.001 to 1",
        ),
        (Start(0, PLAIN, 0, top_k=31), "top_k is 31; it must be 1 to 30"),
    ],
)
def test_settings_out_of_range(start: Start, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sampler().begin(start)


# Choices


@pytest.mark.parametrize(
    "asked", [Sampling(temperature=0.0, repetition_penalty=1.0), Sampling(top_p=0.0, repetition_penalty=1.0)]
)
def test_greedy(asked: Sampling) -> None:
    slow, fast = logits(8, SEMANTIC + 1, seed=3), logits(8, RESIDUALS, CODES, seed=4)
    ours = sampler()
    ours.begin(*(Start(i, asked, seed=i) for i in range(8)))
    codes = frame(ours.draws(slots(*range(8))), slow, fast)
    best = slow.argmax(dim=1)
    assert torch.equal(codes[:, 0], torch.where(best == END, 0, best))
    assert torch.equal(codes[:, 1:], fast.argmax(dim=2))


def test_greedy_residuals() -> None:
    slow, fast = torch.zeros(8, SEMANTIC + 1), logits(8, RESIDUALS, CODES, scale=0.1)
    ours = sampler(greedy_residuals=True)
    ours.begin(*(Start(i, PLAIN, seed=i) for i in range(8)))
    codes = frame(ours.draws(slots(*range(8))), slow, fast)
    assert torch.equal(codes[:, 1:], fast.argmax(dim=2))
    assert len(codes[:, 0].unique()) > 1


def test_end_token() -> None:
    slow = torch.zeros(2, SEMANTIC + 1)
    slow[0, END] = slow[1, 5] = 50
    ours = sampler()
    ours.begin(Start(0, PLAIN, 0), Start(1, PLAIN, 0))
    draws = ours.draws(slots(0, 1))
    assert draws.semantic(slow).tolist() == [0, 5]
    assert draws.ended.tolist() == [True, False]


def test_penalty() -> None:
    row = torch.tensor([[2.0, -2.0, 1.0, 0.0, 3.0]])
    history = torch.tensor([[0, 1, 0, 4, 4]])  # column 4 is the end's: nothing there
    assert penalised(row, history, torch.tensor([[2.0]])).tolist() == [[1.0, -4.0, 1.0, 0.0, 3.0]]
    assert torch.equal(penalised(row, history, torch.tensor([[1.0]])), row)


def test_penalty_looks_sixteen_tokens_back() -> None:
    """Greedy over nearly even logits takes a new token each time, until the first is forgotten."""
    slow = torch.linspace(2.0, 1.9, SEMANTIC + 1)[None]
    ours = sampler()
    ours.begin(Start(0, Sampling(temperature=0.0, repetition_penalty=1.5), 0))
    tokens = []
    for _ in range(2 * PENALTY_WINDOW + 3):
        draws = ours.draws(slots(0))
        tokens.append(int(draws.semantic(slow)))
        draws.commit()
    again = PENALTY_WINDOW + 1
    assert tokens == [i % again for i in range(len(tokens))]


def told(first: int, second: int) -> tuple[Tensor, Noise]:
    """Logits and noise that draw ``first`` in the main draw and ``second`` in the wider one."""
    row = torch.full((1, SEMANTIC + 1), -20.0)
    row[0, [first, second, 15]] = torch.tensor([2.0, 1.9, 1.0])

    def noise(number: int, ids: Tensor) -> Tensor:
        wanted = first if number == 0 else second
        return torch.where(ids == wanted, 0.9999, 0.0001)

    return row, noise


def test_repetition_awareness() -> None:
    """The first token is exempt and never in the window; the others are for the ten frames that follow."""
    ours = sampler()
    ours.begin(Start(0, Sampling(1.0, 0.9, 1.0), 0))

    def say(first: int, second: int) -> int:
        row, noise = told(first, second)
        draws = ours.draws(slots(0), noise)
        code = int(draws.semantic(row))
        draws.commit()
        return code

    assert say(1, 2) == 1
    assert say(1, 2) == 1  # the first is not in the window
    assert say(1, 2) == 2  # the second is
    ours.begin(Start(0, Sampling(1.0, 0.9, 1.0), 0))
    assert say(0, 39) == 0
    for token in range(1, WINDOW + 1):
        assert say(token, 39) == token
    assert say(1, 39) == 39  # ten frames ago
    assert say(2, 38) == 38  # ten frames ago
    assert say(1, 37) == 1  # twelve frames ago: forgotten


@pytest.mark.parametrize("poison", [math.nan, math.inf])
@pytest.mark.parametrize("greedy", [False, True])
def test_bad_rows_end_alone(poison: float, greedy: bool) -> None:
    slow, fast = logits(4, SEMANTIC + 1, seed=5), logits(4, RESIDUALS, CODES, seed=6)
    starts = [Start(i, PLAIN, seed=i) for i in range(4)]
    clean, ill = sampler(greedy_residuals=greedy), sampler(greedy_residuals=greedy)
    clean.begin(*starts)
    ill.begin(*starts)
    for _ in range(3):
        expected = frame(clean.draws(slots(0, 1, 2, 3)), slow, fast)
        spoilt, spoilt_fast = slow.clone(), fast.clone()
        spoilt[1] = poison
        spoilt_fast[2, 1, 4] = poison
        draws = ill.draws(slots(0, 1, 2, 3))
        codes = frame(draws, spoilt, spoilt_fast)
        assert draws.bad.tolist() == [False, True, True, False]
        assert torch.equal(codes[[0, 3]], expected[[0, 3]])
        assert ((codes >= 0) & (codes < torch.tensor([SEMANTIC] + [CODES] * RESIDUALS))).all()
    ill.begin(*starts)
    clean.begin(*starts)
    assert torch.equal(
        frame(ill.draws(slots(0, 1, 2, 3)), slow, fast), frame(clean.draws(slots(0, 1, 2, 3)), slow, fast)
    )


def test_traced_once_for_all() -> None:
    """No branch on a value and no shape from a value: the whole frame traces to a graph."""
    ours = sampler()
    ours.begin(*(Start(i, Sampling(), seed=i) for i in range(4)))

    def whole(table: Tensor, numbers: Tensor, slow: Tensor, fast: Tensor) -> Tensor:
        ours.table = table
        return frame(ours.draws(numbers), slow, fast)

    slow, fast = logits(4, SEMANTIC + 1), logits(4, RESIDUALS, CODES)
    start = ours.table
    graph = make_fx(whole, tracing_mode="fake")(start.clone(), slots(0, 1, 2, 3), slow, fast)
    fresh, other = start.clone(), logits(4, SEMANTIC + 1, seed=8)
    traced = graph(fresh, slots(3, 1, 0, 2), other, fast)
    ours.table = start.clone()
    assert torch.equal(traced, frame(ours.draws(slots(3, 1, 0, 2)), other, fast))
    assert torch.equal(fresh, ours.table)
