import pytest
import torch

from engine.models.codec import encoder as module


@pytest.mark.parametrize("frames", [1, 2, 9, 20, 34])
def test_the_start_of_a_recording_has_the_codes_of_the_whole(encoder, goldens, frames):
    assert torch.equal(encoder.encode(goldens["audio_in"][: 2048 * frames]), goldens["codes"][:, :frames])


def test_a_last_frame_that_is_not_full_is_filled_up_with_silence(encoder, goldens):
    pcm = goldens["audio_in"]
    assert len(pcm) % 2048
    assert torch.equal(encoder.encode(pcm), goldens["codes"])


@pytest.mark.parametrize("frames", [1, 7, 32])
def test_a_recording_encoded_in_parts_has_the_codes_of_the_whole(encoder, goldens, monkeypatch, frames):
    whole = encoder.stages(goldens["audio_in"])["codes"]
    monkeypatch.setattr(module, "PASS_FRAMES", frames)
    assert torch.equal(encoder.encode(goldens["audio_in"]), whole)


def test_a_long_recording_is_encoded_in_parts(encoder, goldens):
    pcm = torch.cat((goldens["audio_in"], goldens["audio_in"].flip(0), goldens["audio_in"]))
    assert len(pcm) > module.PASS_FRAMES * 2048
    assert torch.equal(encoder.encode(pcm), encoder.stages(pcm)["codes"])


def test_a_recording_of_nothing(encoder):
    with pytest.raises(ValueError, match="no samples"):
        encoder.encode(torch.zeros(0))
