"""Loading: what cannot be loaded is told as what it is."""

from pathlib import Path

import pytest
import torch

from engine.models.dual_ar import CheckpointError, DualAROptions, load_dual_ar
from engine.models.dual_ar.config import Layout
from engine.models.dual_ar.load import pick_device, pick_dtype
from tests.engine.models.dual_ar.babble import folder

CODEC = "codec.pth"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A checkpoint that lacks its codec."""
    for file in folder(Layout.S2_PRO).iterdir():
        if file.name != CODEC:
            (tmp_path / file.name).symlink_to(file)
    return tmp_path


@pytest.mark.parametrize("content", [None, b"", b"no codec" * 99, "a part"])
def test_a_codec_that_is_none_is_an_error_of_the_checkpoint(
    checkpoint: Path, content: bytes | str | None
) -> None:
    if content == "a part":
        content = (folder(Layout.S2_PRO) / CODEC).read_bytes()[:-1000]
    if isinstance(content, bytes):
        (checkpoint / CODEC).write_bytes(content)
    with pytest.raises(CheckpointError, match="the codec in"):
        load_dual_ar(checkpoint, DualAROptions(device="cpu", max_streams=1))


def test_sizes_that_cannot_be_are_told() -> None:
    for wrong in ({"max_streams": -1}, {"context": 0}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))} is"):
            load_dual_ar(folder(Layout.S2_PRO), DualAROptions(device="cpu", **wrong))  # type: ignore[arg-type]


def test_a_device_that_is_none_is_told() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    for name, words in (("tpu", "must be auto"), ("meta", "runs on cpu and cuda"), ("cuda:99", "sees")):
        with pytest.raises(ValueError, match=words):
            pick_device(name)


def test_numbers_are_as_wide_as_the_device_likes_them() -> None:
    assert pick_dtype("auto", torch.device("cpu")) == torch.float32
    assert pick_dtype("auto", torch.device("cuda")) == torch.bfloat16
    assert pick_dtype("bfloat16", torch.device("cpu")) == torch.bfloat16
