import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.models.dual_ar.slow import SlowTransformer
from engine.models.dual_ar.transformer import CausalCache
from tests.engine.models.dual_ar.lm import (
    GrowingCache,
    golden_config,
    golden_model,
    golden_positions,
    goldens,
    hidden_of,
    worst,
)


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


def test_every_stage_is_the_reference_s():
    slow, _ = golden_model()
    after: list[torch.Tensor] = []
    hooks = [layer.register_forward_hook(lambda *given: after.append(given[-1][0])) for layer in slow.layers]
    try:
        hidden = hidden_of(slow, golden_positions())
    finally:
        for hook in hooks:
            hook.remove()
    assert worst(slow.embed(golden_positions()), goldens()["input_embeds"]) <= 1e-6
    assert worst(torch.stack(after), goldens()["layer_out"]) <= 5e-5
    assert worst(hidden, goldens()["hidden"]) <= 5e-5
    assert worst(slow.logits(hidden), goldens()["slow_logits"]) <= 1e-4


def test_the_semantic_head_has_the_allowed_columns_of_the_full_one():
    slow, _ = golden_model()
    hidden = torch.from_numpy(goldens()["hidden"])
    allowed = goldens()["allowed_ids"]
    config = golden_config()
    order = [*range(config.semantic_start, config.semantic_end + 1), config.end_token]
    assert sorted(order) == sorted(allowed)
    assert slow.head.is_contiguous()
    assert slow.head.shape == (config.semantic_size + 1, config.slow.dim)
    assert worst(slow.semantic_logits(hidden), slow.logits(hidden)[:, order].numpy()) <= 1e-5


def test_in_bf16_it_is_as_near_to_float32_as_the_reference_s_own():
    slow, _ = golden_model(torch.bfloat16)
    difference = slow.logits(hidden_of(slow, golden_positions())) - torch.from_numpy(goldens()["slow_logits"])
    assert difference.dtype is torch.float32
    assert difference.abs().max() <= 0.4  # the reference's: 0.25 at most, 0.052 rms
    assert difference.square().mean().sqrt() <= 0.08


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=12))
def test_in_pieces_equals_at_once(pieces):
    slow, _ = golden_model()
    positions = golden_positions()[: sum(pieces)]
    cache, parts, start = GrowingCache(), [], 0
    for length in pieces:
        part = positions[start : start + length]
        if len(part):
            at = torch.arange(start, start + len(part))
            parts.append(slow(slow.embed(part)[None], at[None], cache)[0])
        start += length
    assert worst(torch.cat(parts), goldens()["hidden"][: len(positions)]) <= 5e-5


def test_sequences_of_a_batch_may_stand_at_different_positions():
    slow, _ = golden_model()
    positions = golden_positions()
    a, b = GrowingCache(), GrowingCache()
    slow(slow.embed(positions[:7])[None], torch.arange(7)[None], a)
    slow(slow.embed(positions[:7])[None], torch.arange(20, 27)[None], b)  # RoPE is relative
    both = GrowingCache()
    both.keys = {layer: torch.cat((a.keys[layer], b.keys[layer])) for layer in a.keys}
    both.values = {layer: torch.cat((a.values[layer], b.values[layer])) for layer in a.values}
    x = slow.embed(positions[7:8])[None].expand(2, -1, -1)
    hidden = slow(x, torch.tensor([[7], [27]]), both)
    assert worst(hidden[0], goldens()["hidden"][7:8]) <= 5e-5
    assert torch.allclose(hidden[1], hidden[0], atol=0.05)  # but for the rounding of the tables


def test_codes_of_a_text_position_are_not_heard():
    slow, _ = golden_model()
    positions = golden_positions()
    config = golden_config()
    text = (positions[:, 0] < config.semantic_start) | (positions[:, 0] > config.semantic_end)
    other = positions.clone()
    other[text, 1:] = 5
    assert torch.equal(slow.embed(other), slow.embed(positions))


def test_the_norm_comes_before_the_head_where_the_fast_part_hears_the_residual_stream():
    slow, _ = golden_model()
    config = dataclasses.replace(golden_config(), norm_fast_input=False)
    with torch.device("meta"):
        other = SlowTransformer(config)
    other.load_state_dict(slow.state_dict(), assign=True)
    other.finish()
    positions = golden_positions()
    hidden = hidden_of(other, positions)
    assert worst(hidden, goldens()["layer_out"][-1]) <= 5e-5
    assert worst(other.logits(hidden), goldens()["slow_logits"]) <= 1e-4
    assert torch.equal(other.semantic_logits(hidden), slow.semantic_logits(hidden_of(slow, positions)))


def test_it_compiles_without_a_break():
    slow, _ = golden_model()
    run = torch.compile(
        lambda rows, at: slow.semantic_logits(slow(slow.embed(rows), at, CausalCache())),
        backend="eager",
        fullgraph=True,
    )
    positions = golden_positions()
    logits = run(positions[None], torch.arange(len(positions))[None])[0]
    assert torch.equal(logits, slow.semantic_logits(hidden_of(slow, positions)))
