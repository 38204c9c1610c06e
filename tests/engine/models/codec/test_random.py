import pytest
import torch

from engine.models.codec import Decoder, random_state, tiny_config
from engine.models.codec.weights import Source


def test_the_seed_decides():
    first, again, other = (random_state(tiny_config(), seed) for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("seed", range(3))
def test_random_codes_are_audible_and_do_not_clip(seed):
    config = tiny_config()
    decoder = Decoder(config, Source(random_state(config, seed), torch.device("cpu"), torch.float32))
    generator = torch.Generator().manual_seed(seed)
    codes = [torch.randint(size, (2, 40), generator=generator) for size in config.codebook_sizes]
    audio = decoder(torch.stack(codes, 1))
    assert 0.05 < audio.square().mean().sqrt() < 0.3
    assert audio.abs().max() < 0.99
    assert audio.mean().abs() < 0.005
    assert audio.view(2, 40, 2048).square().mean(2).sqrt().min() > 0.02
    assert (audio[0] - audio[1]).square().mean().sqrt() > 0.05  # other codes sound different
