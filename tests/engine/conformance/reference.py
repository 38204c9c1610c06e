"""What a context must be answered with: each frame from one pass over everything before it, alone, without a
cache.
"""

from functools import cache

import numpy as np
import torch

from engine.models.dual_ar.config import DualARConfig, Layout, read_config
from engine.models.dual_ar.contexts import Codes
from engine.models.dual_ar.fast import FastTransformer
from engine.models.dual_ar.pages import Positions
from engine.models.dual_ar.sampling import Sampler, Start
from engine.models.dual_ar.slow import SlowTransformer
from engine.models.dual_ar.transformer import CausalCache
from engine.models.dual_ar.weights import load_weights
from tests.engine.models.dual_ar.babble import folder


@cache
def config() -> DualARConfig:
    return read_config(folder(Layout.S2_PRO))


@cache
def _weights() -> tuple[SlowTransformer, FastTransformer]:
    return load_weights(folder(Layout.S2_PRO), config(), "cpu", torch.float32)


@torch.inference_mode()
def answer(rows: Positions, start: Start, frames: int) -> tuple[list[Codes], bool]:
    """The next ``frames`` frames of a context, fewer if it ends before, and whether it has."""
    slow, fast = _weights()
    sampler = Sampler(1, config().semantic_size, config().codebooks - 1, device="cpu")
    sampler.begin(Start(0, start.sampling, start.seed, start.top_k))
    context, slot = torch.from_numpy(rows), torch.zeros(1, dtype=torch.long)
    said: list[Codes] = []
    while len(said) < frames:
        at = torch.arange(len(context))
        hidden = slow(slow.embed(context)[None], at[None], CausalCache())[0, -1:]
        draws = sampler.draws(slot)
        first = draws.semantic(slow.semantic_logits(hidden))
        codes = fast.codes(hidden, first, draws.residual)
        draws.commit()
        if draws.ended.item():
            return said, True
        said.append(codes[0].numpy())
        context = torch.cat((context, torch.cat((config().semantic_start + first, codes[0]))[None]))
    return said, False


def prompt(seed: int, length: int, voice: tuple[int, int] = (0, 0)) -> Positions:
    """A context of chance that is to be spoken to; positions ``voice`` are frames, the others text."""
    random, columns = np.random.default_rng(seed), 1 + config().codebooks
    rows = np.zeros((length, columns), np.int64)
    rows[:, 0] = random.integers(0, 200, length)
    rows[slice(*voice)] = frames(seed, voice[1] - voice[0])
    rows[-1, 0] = config().semantic_start - 5  # <|voice|>
    return rows


def frames(seed: int, count: int, residual_seed: int | None = None) -> Positions:
    """Frames of chance; those of one ``seed`` have the same first codes."""
    random = np.random.default_rng(seed)
    first = random.integers(0, config().semantic_size, count)
    random = np.random.default_rng(seed if residual_seed is None else residual_seed)
    others = random.integers(0, config().codebook_size // 4, (count, config().codebooks - 1))
    return np.column_stack([config().semantic_start + first, first, others])
