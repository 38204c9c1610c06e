import json

import pytest

from engine.models.dual_ar.config import Layout, read_config
from engine.models.dual_ar.presets import SPECIALS, Scale, config_json, preset


@pytest.mark.parametrize("like", Layout)
@pytest.mark.parametrize("scale", Scale)
def test_what_is_written_is_read_as_the_same(tmp_path, like, scale):
    config = preset(like, scale)
    (tmp_path / "config.json").write_text(json.dumps(config_json(config)))
    special = {name: config.semantic_start + offset for name, offset in SPECIALS.items()}
    special |= {"<|semantic:0|>": config.semantic_start, "<|semantic:4095|>": config.semantic_end}
    assert read_config(tmp_path, special) == config


def test_the_special_tokens_of_s2_pro_have_the_published_ids():
    start = preset(Layout.S2_PRO, Scale.FULL).semantic_start
    ids = {name: start + offset for name, offset in SPECIALS.items()}
    assert ids["<|endoftext|>"] == 151_643
    assert ids["<|im_start|>"] == 151_644
    assert ids["<|im_end|>"] == 151_645
    assert ids["<|pad|>"] == 151_669
    assert ids["<|audio_pad|>"] == 151_677


@pytest.mark.parametrize("like", Layout)
def test_a_tiny_one_speaks_the_same_tokens(like):
    tiny, full = preset(like, Scale.TINY), preset(like, Scale.FULL)
    assert tiny.semantic_size == full.semantic_size == 4096
    assert (tiny.codebooks, tiny.codebook_size) == (full.codebooks, full.codebook_size)
    assert tiny.end_token - tiny.semantic_start == full.end_token - full.semantic_start
    assert (tiny.tied, tiny.norm_fast_input) == (full.tied, full.norm_fast_input)
    assert (
        tiny.semantic_end < tiny.slow.vocab - 1
    )  # the vocabulary goes on past the last one, as in the real one
