"""The golden codec and what the reference makes of it; and a codec of random weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.models.codec import Decoder, Encoder, load_decoder, load_encoder, random_state, tiny_config

GOLDENS = Path(__file__).parents[3] / "goldens" / "data" / "codec"
CPU = torch.device("cpu")


@pytest.fixture(scope="session")
def goldens() -> dict[str, Tensor]:
    with np.load(GOLDENS / "codec.npz") as arrays:
        return {name: torch.from_numpy(array) for name, array in arrays.items()}


@pytest.fixture(scope="session")
def decoder() -> Decoder:
    return load_decoder(GOLDENS, CPU, torch.float32)


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return load_encoder(GOLDENS, CPU, torch.float32)


@pytest.fixture(scope="session")
def tiny_state() -> dict[str, Tensor]:
    return random_state(tiny_config(), seed=1)
