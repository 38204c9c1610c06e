"""What a request says beside its tokens comes to the model as it left."""

import json

import numpy as np
import pytest

from engine.models.dual_ar.sampling import Sampler, Start
from engine.models.sglang.side import pack, rows_of, start_of
from engine.speech import Sampling


def test_a_context_and_its_settings_survive_json() -> None:
    rows = np.random.default_rng(0).integers(0, 155_776, (70, 11))
    start = Start(3, Sampling(0.3, 0.9, 1.1), seed=(1 << 90) + 5, top_k=17)
    side = json.loads(json.dumps(pack(rows, start)))
    assert np.array_equal(rows_of(side, 11), rows)
    assert start_of(side, 4, ()) == Start(4, Sampling(0.3, 0.9, 1.1), (1 << 90) + 5, 17)


@pytest.mark.parametrize("spoken", [1, 9, 16, 40])
def test_a_segment_that_is_read_again_goes_on_as_if_it_had_not_been(spoken: int) -> None:
    import torch

    logits = torch.randn((60, 1, 101), generator=torch.Generator().manual_seed(1))
    slot = torch.zeros(1, dtype=torch.long)

    def draw(sampler: Sampler, frames: range) -> list[int]:
        drawn = []
        for frame in frames:
            draws = sampler.draws(slot)
            drawn.append(int(draws.semantic(logits[frame])))
            for residual in range(1, 3):
                draws.residual(residual, logits[frame])
            draws.commit()
        return drawn

    whole, again = (Sampler(1, 100, 2, device="cpu") for _ in range(2))
    start = Start(0, Sampling(), 8)
    whole.begin(start)
    said = draw(whole, range(60))
    again.begin(start_of(pack(np.zeros((1, 3), np.int64), start), 0, tuple(said[:spoken])))
    assert draw(again, range(spoken, 60)) == said[spoken:]
    assert torch.equal(whole.table, again.table)
