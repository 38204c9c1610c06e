import re

import pytest
import torch
from safetensors.torch import save_file

from engine.models.codec import load_decoder, load_encoder, tiny_config, write_codec
from engine.models.codec.weights import CodecFile

CPU = torch.device("cpu")
CODES = torch.arange(50).view(1, 10, 5) * 19


@pytest.fixture
def folder(tmp_path, tiny_state):
    write_codec(tiny_state, tiny_config(), tmp_path)
    return tmp_path


def test_the_file_is_like_the_real_one(folder, tiny_state):
    names = list(torch.load(folder / "codec.pth", weights_only=True, mmap=True))
    buffers = [name for name in names if name not in tiny_state]
    assert len(buffers) == 6
    assert buffers[0] == "encoder.block.4.block.5.freqs_cis"
    assert sum("parametrizations.weight.original0" in name for name in names) == 60
    assert sum("weight_g" in name for name in names) == 20
    assert len(names) - len(buffers) == len(tiny_state)


def test_what_shapes_do_not_tell_is_read_from_beside(folder):
    assert CodecFile(folder).config == tiny_config()
    assert CodecFile(folder / "codec.pth").config == tiny_config()


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("prefix", ["", "generator."])
def test_every_wrapping_gives_the_same_codec(folder, tiny_state, wrapped, prefix):
    before = load_decoder(folder, CPU, torch.float32)(CODES)
    content = torch.load(folder / "codec.pth", weights_only=True)
    content = {prefix + name: tensor for name, tensor in content.items()}
    torch.save({"state_dict": content, "epoch": 7} if wrapped else content, folder / "codec.pth")
    assert torch.equal(load_decoder(folder, CPU, torch.float32)(CODES), before)
    pcm = torch.sin(torch.arange(5000) * 0.05) * 0.1
    assert load_encoder(folder, CPU, torch.float32).encode(pcm).shape == (10, 3)


def test_safetensors(folder, tiny_state):
    before = load_decoder(folder, CPU, torch.float32)(CODES)
    (folder / "codec.pth").unlink()
    save_file(tiny_state, folder / "codec.safetensors")
    assert torch.equal(load_decoder(folder, CPU, torch.float32)(CODES), before)


def test_under_weight_norm_the_length_of_a_filter_means_nothing(folder, tiny_state):
    scaled = dict(tiny_state)
    for name in (
        "decoder.model.0.conv.parametrizations.weight.original1",
        "quantizer.quantizer.quantizers.3.out_proj.weight_v",
    ):
        scaled[name] = tiny_state[name] * 2.0
    before = load_decoder(folder, CPU, torch.float32)(CODES)
    write_codec(scaled, tiny_config(), folder)
    assert (load_decoder(folder, CPU, torch.float32)(CODES) - before).abs().max() < 1e-5


def test_one_error_names_every_tensor_that_is_wrong(folder, tiny_state):
    broken = dict(tiny_state)
    missing = [
        "decoder.model.2.block.1.conv.parametrizations.weight.original1",
        "encoder.block.0.conv.bias",
        "quantizer.post_module.layers.1.attention_norm.weight",
        "quantizer.quantizer.quantizers.8.codebook.weight",
    ]
    for name in missing:
        del broken[name]
    broken["decoder.model.9.extra"] = torch.zeros(1)
    broken["quantizer.post_module.layers.0.freqs_cis"] = torch.zeros(1)
    broken["quantizer.upsample.0.1.gamma"] = torch.zeros(31)
    write_codec(broken, tiny_config(), folder)
    for load in (load_decoder, load_encoder):
        with pytest.raises(ValueError, match=re.escape(str(folder))) as caught:
            load(folder, CPU, torch.float32)
        told = str(caught.value)
        listed = told.partition("missing: ")[2].partition(";")[0].split(", ")
        assert sorted(listed) == missing
        assert "unexpected: decoder.model.9.extra, quantizer.post_module.layers.0.freqs_cis" in told
        assert "quantizer.upsample.0.1.gamma is [31], should be [32]" in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"some.weight": torch.zeros(1)}, "holds no codec"),
        ([1, 2], "holds a list"),
        ({"encoder.block.0.conv.bias": 1.5}, "not tensors: encoder.block.0.conv.bias"),
    ],
)
def test_files_of_something_else(tmp_path, content, told):
    torch.save(content, tmp_path / "codec.pth")
    with pytest.raises(ValueError, match=told):
        load_decoder(tmp_path, CPU, torch.float32)


def test_a_folder_without_a_codec(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither codec.pth nor codec.safetensors"):
        load_decoder(tmp_path, CPU, torch.float32)
