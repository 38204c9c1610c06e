import numpy as np
import pytest
import torch

from engine.models.dual_ar.transformer import CausalCache, DenseCache, rope_table, rotate
from tests.engine.models.dual_ar.lm import GrowingCache, golden_config, golden_model, goldens, worst


@pytest.mark.parametrize(("part", "golden"), [("slow", "rope_slow"), ("fast", "rope_fast")])
def test_rope_tables_are_those_of_the_reference_to_the_bit(part, golden):
    wanted = goldens()[golden]  # position, pair, (cos, sin)
    table = rope_table(getattr(golden_config(), part), torch.device("cpu")).numpy()[: len(wanted)]
    cos, sin = table[:, 0], table[:, 1]
    assert table.dtype == np.float32
    assert np.array_equal(cos[:, 0::2], wanted[..., 0])
    assert np.array_equal(cos[:, 1::2], wanted[..., 0])
    assert np.array_equal(-sin[:, 0::2], wanted[..., 1])
    assert np.array_equal(sin[:, 1::2], wanted[..., 1])


def test_rotation_turns_each_pair_by_its_angle():
    table = rope_table(golden_config().slow, torch.device("cpu"))[5:8]
    x = torch.randn(2, 3, 4, 32)
    turned = torch.view_as_complex(x.unflatten(-1, (-1, 2))) * torch.complex(
        table[:, 0, 0::2], table[:, 1, 1::2]
    ).unsqueeze(1)
    assert torch.allclose(rotate(x, table), torch.view_as_real(turned).flatten(-2), atol=1e-6)
    assert rotate(x.bfloat16(), table).dtype is torch.bfloat16


def test_dense_cache_one_by_one_equals_all_at_once():
    config = golden_config().fast
    q = torch.randn(3, 10, config.heads, config.head_dim)
    k, v = torch.randn(2, 3, 10, config.kv_heads, config.head_dim)
    dense = DenseCache(config, 3, 10, q)
    parts = []
    for start, end in ((0, 2), *((i, i + 1) for i in range(2, 10))):
        parts.append(dense.attend(1, q[:, start:end], k[:, start:end], v[:, start:end]))
        dense.length = end
    joined = torch.cat(parts, 1)
    assert torch.allclose(joined, CausalCache().attend(1, q, k, v), atol=1e-6)
    assert torch.allclose(joined, GrowingCache().attend(1, q, k, v), atol=1e-6)


def test_dense_cache_refuses_what_it_would_mask_wrongly():
    config = golden_config().fast
    q = torch.randn(1, 2, config.heads, config.head_dim)
    k, v = torch.randn(2, 1, 2, config.kv_heads, config.head_dim)
    cache = DenseCache(config, 1, 10, q)
    cache.attend(0, q, k, v)
    cache.length = 2
    with pytest.raises(ValueError, match="one at a time"):
        cache.attend(0, q, k, v)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_block_compiles_without_a_break(dtype):
    slow, _ = golden_model(dtype)
    block = slow.layers[0]
    x = torch.randn(2, 5, 64).to(dtype)
    rope = slow.rope[torch.arange(10).view(2, 5)]
    with torch.inference_mode():
        plain = block(x, rope, CausalCache(), 0)
        compiled = torch.compile(block, backend="eager", fullgraph=True)(x, rope, CausalCache(), 0)
    assert plain.dtype is dtype
    assert worst(compiled.float(), plain.float().numpy()) == 0
