"""How a frame's tokens are drawn: on the device, with static shapes, each row by its own settings and seed.

A frame has a semantic choice (a column of the constrained head: the semantic ids in order, then the end token)
and a code for each residual codebook. Everything here is float32 or int64 arithmetic without a host
round-trip, so that a whole frame can be captured in a CUDA graph.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.speech import Sampling

TOP_K = 30
"""How many of the best tokens the reference draws from."""

WINDOW = 10
"""Repetition-aware sampling looks back over so many semantic tokens."""

AWARE_TEMPERATURE, AWARE_TOP_P = 1.0, 0.9
"""The wider draw that replaces a token which stands in the window."""

PENALTY_WINDOW = 16
"""The repetition penalty is for tokens among the last so many of the segment."""

LEAST_TEMPERATURE = 1e-5

_LARGEST = 1e3  # temperature and penalty: more means nothing, and in the end is not finite in float32

Noise = Callable[[int, Tensor], Tensor]
"""``noise(draw, ids)``: uniforms within (0, 1) for the tokens ``ids`` ``[B, K]``. Draw 0 is the semantic token,
1 its wider alternative, ``1 + i`` the code ``i`` (from 1) of the frame."""

_WORD = 0xFFFFFFFF
_FIRST_FACTOR, _SECOND_FACTOR = 0x7FEB352D, 0x846CA68B - (1 << 32)  # below 2^31 each: no product overflows


def _scrambled(x: Tensor, key: Tensor) -> Tensor:
    """Wellons' ``lowbias32`` finaliser of 32-bit words (in int64) with ``key`` mixed in between its halves."""
    x = ((x ^ (x >> 16)) * _FIRST_FACTOR) & _WORD
    x = x ^ key
    x = ((x ^ (x >> 15)) * _SECOND_FACTOR) & _WORD
    return x ^ (x >> 16)


def seed_words(seed: int) -> tuple[int, int]:
    """A seed of any size as two well-mixed 32-bit words: one step of Vigna's ``splitmix64``."""
    z = (seed + 0x9E3779B97F4A7C15) & (1 << 64) - 1
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & (1 << 64) - 1
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB & (1 << 64) - 1
    z ^= z >> 31
    return z & _WORD, z >> 32


def draw_keys(words: Tensor, step: Tensor, draws: int) -> Tensor:
    """Keys ``[B, draws, 2]`` of all draws of a frame, from seed words ``[B, 2]`` and frame numbers ``[B]``."""
    counter = step[:, None] * draws + torch.arange(draws, device=step.device)
    low, high = words[:, :1], words[:, 1:]
    first = _scrambled((low ^ counter) & _WORD, high)
    return torch.stack((first, _scrambled(high ^ first, low)), dim=-1)


def uniforms(key: Tensor, ids: Tensor) -> Tensor:
    """Uniforms within (0, 1), both excluded, for tokens ``ids`` ``[B, K]`` under the keys ``[B, 2]`` of a draw.

    A counter-based hash: a number depends on seed, frame, draw and token alone, the same on every device. It
    belongs to the token, not to its rank: where rounding swaps two ranks, the draw stays.
    """
    words = _scrambled(ids ^ key[:, :1], key[:, 1:])
    return ((words >> 9).float() + 0.5) * 2.0**-23  # 23 bits: with one more, the largest would round to 1


@dataclass(frozen=True, slots=True)
class Ranked:
    """The best tokens of each row in falling order, ``[B, K]`` each.

    ``logits`` are logarithms of probabilities among all columns, all NaN in a row that holds NaN or infinity
    (-inf in places is a mask). ``mass`` is the running sum of the probabilities.
    """

    logits: Tensor
    ids: Tensor
    mass: Tensor


def ranked(logits: Tensor, width: int) -> Ranked:
    """Sort the best ``width`` columns of ``[B, V]``."""
    best, ids = logits.log_softmax(dim=-1).topk(min(width, logits.shape[-1]), dim=-1)
    return Ranked(best, ids, best.exp().cumsum(dim=-1))


def ceilings(top_p: Tensor | float, top_k: Tensor, width: int) -> Tensor:
    """The running sum at which each rank is dropped, ``[B, width]``: never for the best, always from top_k on."""
    rank = torch.arange(width, device=top_k.device)
    limit = torch.zeros(len(top_k), width, device=top_k.device) + top_p
    return limit.masked_fill(rank >= top_k[:, None], -1.0).masked_fill(rank == 0, torch.inf)


def probabilities(best: Ranked, temperature: Tensor, ceiling: Tensor) -> Tensor:
    """What to draw from, ``[B, K]`` in the order of ``best``; ``temperature`` ``[B, 1]``.

    A token whose own probability takes the running sum (without temperature) beyond top_p is dropped, too.
    """
    drop = best.mass > ceiling[:, : best.mass.shape[1]]
    return (best.logits / temperature).masked_fill(drop, -torch.inf).softmax(dim=-1)


def filtered(
    logits: Tensor, temperature: Tensor, top_p: Tensor, top_k: Tensor, width: int
) -> tuple[Tensor, Tensor]:
    """Probabilities and tokens ``[B, width]``, best first; ``width`` is the largest ``top_k`` there may be."""
    best = ranked(logits, width)
    softened = temperature.clamp(min=LEAST_TEMPERATURE)[:, None]
    return probabilities(best, softened, ceilings(top_p[:, None], top_k, width)), best.ids


def draw(probs: Tensor, ids: Tensor, u: Tensor) -> Tensor:
    """One token ``[B]`` of ``ids`` by the exponential race: the largest ``p / -log(u)`` wins."""
    winner = (probs / -u.log()).argmax(dim=-1, keepdim=True)
    return ids.gather(1, winner).squeeze(1)


@dataclass(frozen=True, slots=True)
class Rows:
    """The settings and the past of the rows of a batch.

    ``temperature`` and ``penalty`` are ``[B, 1]``, ``ceiling`` ``[B, width]`` is of top_p and top_k,
    ``wider_ceiling`` that of the wider draw. ``step`` ``[B]`` counts the segment's frames, ``words`` ``[B, 2]``
    are those of the seed. ``history`` ``[B, PENALTY_WINDOW]`` holds the segment's last semantic columns, newest
    first; the end token's column stands where there is none.
    """

    temperature: Tensor
    penalty: Tensor
    ceiling: Tensor
    wider_ceiling: Tensor
    step: Tensor
    words: Tensor
    history: Tensor


@dataclass(frozen=True, slots=True)
class Choice:
    """A semantic draw: the column taken, whether it is the wider draw's, and both draws; ``[B]`` each."""

    column: Tensor
    redirected: Tensor
    normal: Tensor
    wider: Tensor


def penalised(logits: Tensor, history: Tensor, penalty: Tensor) -> Tensor:
    """Make the columns in ``history`` less likely: positive logits are divided, negative ones multiplied."""
    seen = logits.gather(1, history)
    less = torch.where(seen > 0, seen / penalty, seen * penalty)
    return logits.scatter(1, history, torch.where(history == logits.shape[1] - 1, seen, less))


def choose_semantic(best: Ranked, rows: Rows, noise: Noise, end: int) -> Choice:
    """Draw a column of the constrained head, of which ``end`` is the last, aware of repetition.

    A second draw, at temperature 1 and top_p 0.9, takes the place of a semantic token that stands among the last
    ten. The first token of a segment is neither subject to the rule nor ever in the window.
    """
    normal = draw(probabilities(best, rows.temperature, rows.ceiling), best.ids, noise(0, best.ids))
    softened = torch.full_like(rows.temperature, AWARE_TEMPERATURE)
    wider = draw(probabilities(best, softened, rows.wider_ceiling), best.ids, noise(1, best.ids))
    age = torch.arange(WINDOW, device=normal.device)
    seen = (rows.history[:, :WINDOW] == normal[:, None]) & (age < rows.step[:, None] - 1)
    redirected = seen.any(dim=1) & (normal != end)
    return Choice(torch.where(redirected, wider, normal), redirected, normal, wider)


@dataclass(frozen=True, slots=True)
class Start:
    """A segment that begins in a slot. The same seed gives the same draws.

    ``spoken`` are the semantic columns of frames that it has had already: it goes on behind them.
    """

    slot: int
    sampling: Sampling
    seed: int
    top_k: int = TOP_K
    spoken: tuple[int, ...] = ()


class Sampler:
    """The sampling state of all slots, in one tensor on the device, so that a frame reads and writes it once."""

    def __init__(
        self,
        slots: int,
        semantic_size: int,
        residuals: int,
        *,
        device: torch.device | str,
        width: int = TOP_K,
        greedy_residuals: bool = False,
    ) -> None:
        """``width`` is the largest top_k a segment may ask for, ``residuals`` the codebooks after the first."""
        self.slots = slots
        self.semantic_size = semantic_size
        self.residuals = residuals
        self.width = width
        self.greedy_residuals = greedy_residuals
        idle = self._packed(Start(0, Sampling(temperature=0.0, repetition_penalty=1.0), 0, top_k=1))
        self.table = torch.from_numpy(idle[None, 1:]).repeat(slots, 1).to(device)

    def begin(self, *starts: Start) -> None:
        """Reset slots (all different) for new segments: one copy to the device, no waiting.

        To be called on the stream on which the frames run. Raises ``ValueError`` for settings out of range.
        """
        packed = torch.from_numpy(np.stack([self._packed(start) for start in starts]))
        if self.table.is_cuda:
            packed = packed.pin_memory()
        packed = packed.to(self.table.device, non_blocking=True)
        self.table.index_copy_(0, packed[:, 0].long(), packed[:, 1:])

    def draws(self, slots: Tensor, noise: Noise | None = None) -> "Draws":
        """The draws of one frame for the slots ``[B]`` (int64); ``noise`` in place of that of the seeds."""
        return Draws(self, slots, noise)

    def rows(self, table: Tensor) -> Rows:
        """Rows of the state's table ``[B, columns]``, unpacked."""
        reals = table[:, :3].view(torch.float32)
        whole = table[:, 3:].long()
        return Rows(
            temperature=reals[:, :1],
            penalty=reals[:, 2:],
            ceiling=ceilings(reals[:, 1:2], whole[:, 0], self.width),
            wider_ceiling=ceilings(AWARE_TOP_P, whole[:, 0], self.width),
            words=whole[:, 1:3] & _WORD,
            step=whole[:, 3],
            history=whole[:, 4:],
        )

    def check(self, start: Start) -> None:
        """Raise ``ValueError``, which names the setting, if one of them is out of range."""
        asked = start.sampling
        for name, value, right, range_ in (
            ("slot", start.slot, 0 <= start.slot < self.slots, f"0 to {self.slots - 1}"),
            ("temperature", asked.temperature, 0 <= asked.temperature <= _LARGEST, f"0 to {_LARGEST:g}"),
            ("top_p", asked.top_p, asked.top_p >= 0, "0 or more"),
            (
                "repetition_penalty",
                asked.repetition_penalty,
                1 / _LARGEST <= asked.repetition_penalty <= _LARGEST,
                f"{1 / _LARGEST:g} to {_LARGEST:g}",
            ),
            ("top_k", start.top_k, 1 <= start.top_k <= self.width, f"1 to {self.width}"),
        ):
            if not right:
                raise ValueError(f"{name} is {value}; it must be {range_}")

    def _packed(self, start: Start) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """The slot, then its row of the table: three floats by their bits, and whole numbers."""
        self.check(start)
        asked = start.sampling
        top_p = asked.top_p if asked.top_p < 1 else 2.0  # a sum rounded to above 1 shall not drop the tail
        if not asked.temperature:
            top_p = 0.0  # only the best
        temperature = max(asked.temperature, LEAST_TEMPERATURE)
        reals = np.array([temperature, top_p, asked.repetition_penalty], np.float32)
        words = np.array(seed_words(start.seed), np.uint32)
        newest = start.spoken[: -PENALTY_WINDOW - 1 : -1]
        past = [len(start.spoken), *newest, *[self.semantic_size] * (PENALTY_WINDOW - len(newest))]
        return np.concatenate(
            [[start.slot], reals.view(np.int32), [start.top_k], words.view(np.int32), past], dtype=np.int32
        )


class Draws:
    """One frame's choices: :meth:`semantic`, then :meth:`residual` for 1, 2, …, then :meth:`commit`.

    A row of NaN or infinity gets valid tokens, which mean nothing, and leaves the others alone. ``ended`` ``[B]``
    marks rows that drew the end token, and ``choice`` tells how the semantic token came about.
    """

    choice: Choice
    ended: Tensor

    def __init__(self, sampler: Sampler, slots: Tensor, noise: Noise | None) -> None:
        self._sampler = sampler
        self._slots = slots
        self._table = sampler.table.index_select(0, slots)
        self._rows = sampler.rows(self._table)
        self._noise = noise or self._own_noise()
        self._best: list[Tensor] = []

    def _own_noise(self) -> Noise:
        keys = draw_keys(self._rows.words, self._rows.step, 2 + self._sampler.residuals)
        return lambda draw, ids: uniforms(keys[:, draw], ids)

    @property
    def bad(self) -> Tensor:
        """Which rows ``[B]`` have had logits of NaN or infinity so far."""
        return ~torch.stack(self._best, dim=1).isfinite().all(dim=1)

    def semantic(self, logits: Tensor) -> Tensor:
        """Code 0 ``[B]`` from logits ``[B, semantic ids + 1]`` float32; 0 where the end token was drawn."""
        rows, end = self._rows, self._sampler.semantic_size
        best = ranked(penalised(logits, rows.history, rows.penalty), self._sampler.width)
        self._best.append(best.logits[:, 0])
        self.choice = choose_semantic(best, rows, self._noise, end)
        self.ended = self.choice.column == end
        return self.choice.column.masked_fill(self.ended, 0)

    def residual(self, i: int, logits: Tensor) -> Tensor:
        """Code ``i`` (1, 2, …) ``[B]`` from logits ``[B, codebook size]`` float32."""
        if self._sampler.greedy_residuals:
            value, code = logits.max(dim=-1)
            self._best.append(value)
            return code
        best = ranked(logits, self._sampler.width)
        self._best.append(best.logits[:, 0])
        probs = probabilities(best, self._rows.temperature, self._rows.ceiling)
        return draw(probs, best.ids, self._noise(1 + i, best.ids))

    def commit(self) -> None:
        """Write the slots' next state: a frame further, the semantic token in their history."""
        settings = self._table[:, : -1 - PENALTY_WINDOW]
        step = self._table[:, -1 - PENALTY_WINDOW, None] + 1
        newest = self.choice.column[:, None].int()
        table = torch.cat((settings, step, newest, self._table[:, -PENALTY_WINDOW:-1]), dim=1)
        self._sampler.table.index_copy_(0, self._slots, table)
