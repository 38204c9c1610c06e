import pytest
import torch

TOLERANCES = {"zq": 5e-6, "post": 2e-5, "up": 3e-5, "audio": 3e-5}
"""Largest differences from the reference that are rounding and no mistake (README of the goldens)."""


def worst(ours, reference):
    assert ours.shape == reference.shape
    return (ours - reference).abs().max().item()


@pytest.mark.parametrize(("codes", "prefix"), [("codes", ""), ("rand_codes", "rand_")])
def test_decoding_by_stages(decoder, goldens, codes, prefix):
    for name, ours in decoder.stages(goldens[codes]).items():
        golden = goldens["audio_out" if name == "audio" and not prefix else prefix + name]
        assert worst(ours, golden) < TOLERANCES[name], name


def test_decoding_by_blocks(decoder, goldens):
    for number, ours in enumerate(decoder.outputs(goldens["rand_up"][:, :8])):
        assert worst(ours, goldens[f"dec_stage_{number}"]) < 4e-5, number


def test_decoding_several_utterances_in_parts(decoder, goldens):
    audio = decoder(torch.stack((goldens["rand_codes"], goldens["rand_codes"].flip(1))))
    assert worst(audio[0], goldens["rand_audio"]) < 3e-5
    assert worst(audio[1], decoder.stages(goldens["rand_codes"].flip(1))["audio"]) < 3e-5


def test_codes_past_their_codebook_count_as_its_last_entry(decoder, goldens):
    assert worst(decoder(goldens["clamp_codes"][None])[0], goldens["clamp_audio"]) < 3e-5


def test_encoding_by_stages(encoder, goldens):
    stages = encoder.stages(goldens["audio_in"])
    for name, tolerance in {"enc_out": 1e-4, "down": 5e-5, "pre": 5e-5, "latents": 1e-4}.items():
        assert worst(stages[name], goldens[name]) < tolerance, name
    assert torch.equal(stages["codes"], goldens["codes"])


def test_encoding_by_blocks(encoder, goldens):
    outputs = encoder.outputs(goldens["audio_in"][:4096])
    outputs["block4_before_transformer"] = outputs.pop("before_transformer")
    for name, ours in outputs.items():
        golden = goldens[f"enc_stage_{name}" if name.isdigit() else f"enc_{name}"]
        assert worst(ours, golden) < 4e-5, name
