import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tokenizers import Tokenizer

from engine.models.codec import load_decoder
from engine.models.dual_ar.checkpoint import checkpoint_size, write_checkpoint, write_tokenizer
from engine.models.dual_ar.config import CheckpointError, Layout, read_config
from engine.models.dual_ar.fast import FastTransformer
from engine.models.dual_ar.layout import entries
from engine.models.dual_ar.presets import SPECIALS, Scale, preset
from engine.models.dual_ar.sampling import Sampler, Start
from engine.models.dual_ar.slow import SlowTransformer
from engine.models.dual_ar.weights import load_weights
from engine.speech import Sampling
from tests.engine.models.dual_ar.lm import GrowingCache

FRAMES_PER_SECOND = 44_100 / 2048


@pytest.fixture(scope="module", params=Layout)
def tiny(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints") / request.param
    write_checkpoint(folder, request.param, Scale.TINY, seed=1)
    return folder


def spoken(
    slow: SlowTransformer, fast: FastTransformer, text: str, each: list[Sampling]
) -> list[torch.Tensor]:
    """A segment of the text for each sampling: its codes, ``[length, 10]``, if it ended within 260 frames."""
    config, rows = slow.config, len(each)
    sampler = Sampler(rows, config.semantic_size, config.codebooks - 1, device="cpu")
    sampler.begin(*(Start(row, sampling, seed=row) for row, sampling in enumerate(each)))
    tokens = [*text.encode(), config.semantic_start + SPECIALS["<|voice|>"]]
    positions = torch.zeros(rows, len(tokens), 1 + config.codebooks, dtype=torch.long)
    positions[..., 0] = torch.tensor(tokens)
    cache, start, slots = GrowingCache(), 0, torch.arange(rows)
    lengths = torch.full((rows,), 260)
    frames: list[torch.Tensor] = []
    with torch.inference_mode():
        while len(frames) < 260 and lengths.max() == 260:
            at = torch.arange(start, start + positions.shape[1]).expand(rows, -1)
            start += positions.shape[1]
            hidden = slow(slow.embed(positions), at, cache)[:, -1]
            draws = sampler.draws(slots)
            first = draws.semantic(slow.semantic_logits(hidden))
            codes = fast.codes(hidden, first, draws.residual)
            draws.commit()
            assert not draws.bad.any()
            lengths = torch.where(draws.ended, lengths.clamp(max=len(frames)), lengths)
            frames.append(codes)
            positions = torch.cat((first[:, None] + config.semantic_start, codes), 1)[:, None]
    codes = torch.stack(frames, 1)
    return [row[:length] for row, length in zip(codes, lengths.tolist(), strict=True) if length < 260]


def test_random_speech_ends_by_itself_after_two_to_eight_seconds(tiny):
    slow, fast = load_weights(tiny, read_config(tiny), "cpu", torch.float32)
    warm, greedy = Sampling(), Sampling(temperature=0.0, repetition_penalty=1.0)
    hot = Sampling(temperature=1.0, top_p=0.9, repetition_penalty=1.0)
    each = [*[warm] * 12, *[hot] * 11, greedy]
    segments = spoken(slow, fast, "They babble, but in time.", each)
    assert len(segments) == len(each)
    seconds = np.array([len(segment) for segment in segments]) / FRAMES_PER_SECOND
    for some in (seconds[:12], seconds[12:]):
        assert 3 < np.median(some) < 7
    assert np.mean((seconds > 2) & (seconds < 8)) > 0.85
    codes = torch.cat(segments)
    assert codes[:, 1:].max() < 1024  # the codec has no more
    assert all(len(codes[:, book].unique()) > 200 for book in range(10))


def test_in_bf16_activations_are_sane(tiny):
    config = read_config(tiny)
    slow, _ = load_weights(tiny, config, "cpu", torch.bfloat16)
    positions = torch.randint(1024, (1, 200, 11))
    positions[..., 0] += config.semantic_start
    cache = GrowingCache()
    with torch.inference_mode():
        hidden = slow(slow.embed(positions), torch.arange(200)[None], cache)
        rms = hidden.float().square().mean().sqrt()
        spread = slow.semantic_logits(hidden).std()
    assert 0.3 < rms < 3
    assert 0.5 < spread < 4


def test_what_was_said_is_heard(tiny):
    """A past of other words gives other scores: caches that mix streams up would show."""
    config = read_config(tiny)
    slow, _ = load_weights(tiny, config, "cpu", torch.float32)
    positions = torch.zeros(2, 40, 11, dtype=torch.long)
    positions[..., 0] = torch.randint(256, (2, 40))
    positions[:, -1] = positions[0, -1]
    with torch.inference_mode():
        hidden = slow(slow.embed(positions), torch.arange(40).expand(2, -1), GrowingCache())
        a, b = slow.semantic_logits(hidden[:, -1])
    assert (a - b).abs().max() > 0.1


def test_it_has_the_files_of_the_published_one(tiny):
    config = read_config(tiny)
    files = {path.name for path in tiny.iterdir()}
    assert {"config.json", "codec.pth"} <= files
    if config.layout is Layout.S1_MINI:
        assert {"model.pth", "tokenizer.tiktoken", "special_tokens.json"} <= files
        return
    assert "tokenizer.json" in files
    index = json.loads((tiny / "model.safetensors.index.json").read_text())
    sizes = 0
    for shard in sorted(set(index["weight_map"].values())):
        with safe_open(tiny / shard, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 - not a dict
                assert index["weight_map"][name] == shard
                tensor = file.get_tensor(name)
                assert tensor.dtype is torch.bfloat16
                sizes += tensor.nbytes
    assert index["metadata"]["total_size"] == sizes
    assert len(set(index["weight_map"].values())) > 1
    assert set(index["weight_map"]) == {part.name for entry in entries(config) for part in entry.parts}


def test_its_codec_speaks_all_codes(tiny):
    decoder = load_decoder(tiny, "cpu", torch.float32)
    assert decoder.config.codebook_sizes == (4096, *(1024 for _ in range(9)))
    with torch.inference_mode():
        audio = decoder(torch.randint(1024, (1, 10, 8)))
    assert audio.shape == (1, 8 * 2048)
    assert 0.02 < audio.square().mean().sqrt() < 0.5


def test_the_same_seed_is_the_same_to_the_byte_and_another_is_not(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_checkpoint(tmp_path / name, Layout.S2_PRO, Scale.TINY, seed)
    for path in (tmp_path / "a").glob("model*"):
        assert (tmp_path / "b" / path.name).read_bytes() == path.read_bytes()
    shard = "model-00001-of-00003.safetensors"
    assert (tmp_path / "c" / shard).read_bytes() != (tmp_path / "a" / shard).read_bytes()


@pytest.mark.parametrize("scale", Scale)
def test_tokenizer_gives_each_byte_a_token_and_special_tokens_the_model_s_ids(tmp_path, scale):
    config = preset(Layout.S2_PRO, scale)
    write_tokenizer(tmp_path, config)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    text = "Füße,\n\tнет 你好 🐦\x00"
    encoded = tokenizer.encode(text, add_special_tokens=False)
    assert encoded.ids == list(text.encode())
    assert tokenizer.decode(encoded.ids) == text
    assert tokenizer.token_to_id("<|im_end|>") == config.end_token
    assert tokenizer.token_to_id("<|semantic:0|>") == config.semantic_start
    assert tokenizer.token_to_id("<|semantic:4095|>") == config.semantic_end
    assert tokenizer.encode("<|im_start|>a<|voice|>").ids == [
        config.semantic_start - 34,
        ord("a"),
        config.semantic_start - 5,
    ]
    assert len(tokenizer.encode("<|speaker:0|>").ids) == len("<|speaker:0|>")


@pytest.mark.parametrize("like", Layout)
def test_progress_tells_each_file_and_adds_up(tmp_path, like):
    told: list[tuple[str, int]] = []
    write_checkpoint(tmp_path / "x", like, Scale.TINY, 0, lambda file, count: told.append((file, count)))
    assert sum(count for _, count in told) == checkpoint_size(like, Scale.TINY)
    assert {file for file, _ in told} == {
        path.name for path in (tmp_path / "x").iterdir() if path.suffix in (".safetensors", ".pth")
    }


def test_the_published_sizes():
    assert 9.12e9 + 1.87e9 < checkpoint_size(Layout.S2_PRO, Scale.FULL) < 11.2e9
    assert 3.5e9 < checkpoint_size(Layout.S1_MINI, Scale.FULL) < 4e9


def test_a_failure_leaves_nothing_behind(tmp_path):
    def full(file: str, count: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        write_checkpoint(tmp_path / "x", progress=full)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a file", "."])
def test_nothing_is_overwritten(tmp_path, name):
    (tmp_path / "a file").write_text("precious")
    with pytest.raises(CheckpointError, match="exists and is not an empty folder"):
        write_checkpoint(tmp_path / name)
    assert (tmp_path / "a file").read_text() == "precious"
