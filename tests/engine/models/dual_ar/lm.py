"""The golden language model, what the reference computes from it, and a plain cache to compare with."""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.models.dual_ar.config import DualARConfig, read_config
from engine.models.dual_ar.fast import FastTransformer
from engine.models.dual_ar.slow import SlowTransformer
from engine.models.dual_ar.transformer import CausalCache
from engine.models.dual_ar.weights import load_weights

DATA = Path(__file__).parents[3] / "goldens" / "data"
CHECKPOINT = DATA / "lm"


@cache
def goldens() -> dict[str, np.ndarray]:
    """The arrays of lm.npz."""
    with np.load(DATA / "lm.npz") as arrays:
        return dict(arrays)


@cache
def golden_config() -> DualARConfig:
    return read_config(CHECKPOINT)


@cache
def golden_model(dtype: torch.dtype = torch.float32) -> tuple[SlowTransformer, FastTransformer]:
    return load_weights(CHECKPOINT, golden_config(), "cpu", dtype)


def golden_positions() -> Tensor:
    """The prompt and the teacher-forced frames, int64 ``[39, 11]``."""
    arrays = goldens()
    return torch.from_numpy(np.concatenate((arrays["prompt"], arrays["tf_frames"]), 1).T.copy())


def hidden_of(slow: SlowTransformer, positions: Tensor) -> Tensor:
    """One pass over ``[n, 11]`` without a cache: ``[n, dim]``."""
    at = torch.arange(len(positions))
    return slow(slow.embed(positions)[None], at[None], CausalCache())[0]


def worst(ours: Tensor, golden: np.ndarray) -> float:
    """The largest difference."""
    assert ours.shape == golden.shape
    return float((ours - torch.from_numpy(golden)).abs().max())


class GrowingCache:
    """The simplest cache there can be: all keys and values, each query masked by its own position."""

    def __init__(self) -> None:
        self.keys: dict[int, Tensor] = {}
        self.values: dict[int, Tensor] = {}

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        keys = self.keys[layer] = torch.cat((self.keys.get(layer, k[:, :0]), k), 1)
        values = self.values[layer] = torch.cat((self.values.get(layer, v[:, :0]), v), 1)
        shared = q.shape[2] // k.shape[2]
        keys, values = keys.repeat_interleave(shared, 2), values.repeat_interleave(shared, 2)
        scores = torch.einsum("nthd,nshd->nhts", q, keys) / q.shape[-1] ** 0.5
        past = torch.arange(keys.shape[1]) <= torch.arange(keys.shape[1] - q.shape[1], keys.shape[1])[:, None]
        weights = scores.masked_fill(~past, -torch.inf).softmax(-1)
        return torch.einsum("nhts,nshd->nthd", weights, values)
