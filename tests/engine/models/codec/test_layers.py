import math

import pytest
import torch
from torch.nn import functional as F

from engine.models.codec import TransformerConfig
from engine.models.codec.layers import Conv, Network, ResidualUnit, Snake, Transformer, UpConv
from engine.models.codec.weights import Source

ALPHA = torch.tensor([1.0, -2.5, 0.0, 30.0])[None, :, None]


def source(**tensors):
    return Source(
        {name.replace("__", "."): t for name, t in tensors.items()}, torch.device("cpu"), torch.float32
    )


def applied(place, layer, x):
    network = Network(place)
    network.layer = layer
    return layer(x, network.silence())


def conv(**more):
    torch.manual_seed(0)
    return {"weight": torch.randn(4, 4, 7), "bias": torch.randn(4), **more}


def test_snake_with_any_alpha_also_none():
    x = torch.linspace(-3, 3, 60).expand(1, 4, 60)
    expected = torch.where(ALPHA == 0, x, x + torch.sin(ALPHA * x) ** 2 / ALPHA)
    assert (Snake(source(alpha=ALPHA))(x) - expected).abs().max() < 2e-5


def test_snakes_that_are_folded_into_convolutions():
    tensors = {f"{n}.alpha": alpha for n, alpha in (("0", ALPHA), ("2", ALPHA.flip(1)))}
    for n, kernel in (("1", 7), ("3", 1)):
        torch.manual_seed(int(n))
        tensors |= {f"{n}.conv.weight": torch.randn(4, 4, kernel), f"{n}.conv.bias": torch.randn(4)}
    place = Source(tensors, torch.device("cpu"), torch.float32)
    x = torch.randn(1, 4, 30)
    y = F.pad(Snake(place.at("0"))(x), (18, 0))
    y = F.conv1d(y, tensors["1.conv.weight"], tensors["1.conv.bias"], dilation=3)
    y = x + F.conv1d(Snake(place.at("2"))(y), tensors["3.conv.weight"], tensors["3.conv.bias"])
    assert (applied(place, ResidualUnit(place, 3), x) - y).abs().max() < 1e-4


@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (1, 9), (2, 1), (3, 1)])
def test_a_convolution_is_padded_on_the_left_only(stride, dilation):
    tensors = conv()
    x = torch.randn(1, 4, 12)
    layer = Conv(source(**tensors), stride=stride, dilation=dilation)
    padded = F.pad(x, (6 * dilation + 1 - stride, 0))
    expected = F.conv1d(padded, tensors["weight"], tensors["bias"], stride, 0, dilation)
    ours = applied(source(**tensors), layer, x)
    assert ours.shape[-1] == 12 // stride
    assert (ours - expected).abs().max() < 1e-5


@pytest.mark.parametrize(("stride", "kernel"), [(8, 16), (2, 4), (2, 2), (3, 9)])
def test_a_transposed_convolution_is_cut_on_the_right(stride, kernel):
    tensors = {"weight": torch.randn(4, 2, kernel), "bias": torch.randn(2)}
    x = torch.randn(1, 4, 5)
    expected = F.conv_transpose1d(x, tensors["weight"], tensors["bias"], stride)[..., : 5 * stride]
    ours = applied(source(**tensors), UpConv(source(**tensors), stride=stride), x)
    assert (ours - expected).abs().max() < 1e-5


def transformer():
    config = TransformerConfig(layers=0, dim=8, heads=1, ffn=8, window=3, rope_base=100.0)
    return Transformer(source(norm__weight=torch.ones(8)), config, pass_length=4)


@pytest.mark.parametrize("position", [0, 7, 4095, 10_000_000, 2**45])
def test_angles_are_those_of_the_position_however_far(position):
    model = transformer()
    cos, sin = model._rotation(torch.tensor([[position]]))
    for pair, frequency in enumerate(model.frequencies.tolist()):
        assert frequency == pytest.approx(1 / 100 ** (2 * pair / 8))
        for element, sign in ((0, -1), (1, 1)):
            turned = 2 * pair + element
            assert cos[0, 0, 0, 0, turned] == pytest.approx(math.cos(position * frequency), abs=0.004)
            assert sin[0, 0, 1, 0, turned] == pytest.approx(sign * math.sin(position * frequency), abs=0.004)
    assert torch.equal(cos, cos.bfloat16().float())
    assert torch.equal(cos[..., 2, :, :], torch.ones(1, 1, 1, 8))
    assert not sin[..., 2, :, :].any()


def test_a_window_of_three_sees_itself_and_two_before():
    mask = transformer()._mask(torch.tensor([[0, 1, 2], [9, 10, 11]]), 6)
    seen = [[sorted(torch.nonzero(row == 0).flatten().tolist()) for row in rows[0]] for rows in mask]
    assert seen == [[[0], [0, 1], [0, 1, 2]], [[1, 2, 3], [2, 3, 4], [3, 4, 5]]]
