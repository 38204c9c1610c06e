import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.models.codec import CodecConfig, Decoder, Encoder, real_config, tiny_config
from engine.models.codec.layout import layout
from engine.models.codec.weights import Source

REAL = {
    name: tuple(shape)
    for name, shape in json.loads(Path(__file__).with_name("real_layout.json").read_text()).items()
}
META = torch.device("meta")


class Read(Mapping[str, Tensor]):
    """Tensors without storage that remember who was asked for."""

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self.tensors = {name: torch.empty(shape, device=META) for name, shape in shapes.items()}
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self.read.add(name)
        return self.tensors[name]

    def __contains__(self, name: object) -> bool:
        return name in self.tensors

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def test_the_real_codec_has_these_535_tensors_in_this_order():
    assert list(layout(real_config()).items()) == list(REAL.items())


def test_its_shapes_tell_its_configuration():
    assert CodecConfig.of(REAL) == real_config()
    assert real_config().frame_samples == 2048


def test_a_configuration_survives_the_way_into_a_file():
    config = tiny_config()
    assert CodecConfig.of(layout(config), json.loads(json.dumps(config.stated()))) == config


def test_heads_that_do_not_divide_the_width_are_named():
    with pytest.raises(ValueError, match=r"quantizer.pre_module: n_head 3 .* the width, 1024"):
        CodecConfig.of(REAL, {"quantizer": {"pre_module": {"n_head": 3}}})


def test_both_halves_together_use_every_tensor_and_neither_needs_the_other():
    read = Read(REAL)
    Decoder(real_config(), Source(read, META, torch.bfloat16))
    ours = read.read
    assert not [
        name for name in ours if name.startswith("encoder") or "downsample" in name or "pre_module" in name
    ]
    read.read = set()
    Encoder(real_config(), Source(read, META, torch.float32))
    assert not [
        name
        for name in read.read
        if name.startswith("decoder") or "upsample" in name or "post_module" in name
    ]
    assert ours | read.read == set(REAL)


@pytest.mark.parametrize("frames", [1, 16])
def test_the_real_decoder_streams_without_a_look_at_any_number(frames):
    # Tensors on the meta device have no numbers: a branch on one, or a shape that hangs on one, would fail.
    config = real_config()
    decoder = Decoder(config, Source(Read(REAL), META, torch.bfloat16))
    state = decoder.state(65)
    codes = torch.zeros(64, 10, frames, dtype=torch.int64, device=META)
    audio = decoder.stream(codes, torch.zeros(64, dtype=torch.int64, device=META), state)
    assert audio.shape == (64, frames * 2048)
    assert audio.dtype == torch.float32
    assert state.nbytes < 65 * 5.1e6
