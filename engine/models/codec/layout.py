"""Every tensor of ``codec.pth``: its name and its shape, in the order in which the file has them."""

from collections.abc import Iterator

from engine.models.codec.config import CodecConfig, Shape, TransformerConfig

BUFFERS = ("freqs_cis", "causal_mask")
"""Tables that the file stores with each transformer; we compute what we need of them."""

FOLDED = "parametrizations.weight.original"
"""Weight norm as torch spells it today: ``original0`` is the gain, ``original1`` the direction."""

Named = Iterator[tuple[str, Shape]]


def layout(config: CodecConfig) -> dict[str, Shape]:
    """Names and shapes of all parameters of a codec, without the buffers."""
    return dict((*_encoder(config), *_quantizer(config), *_decoder(config)))


def transformers(config: CodecConfig) -> dict[str, TransformerConfig]:
    """The three transformers by the prefix of their tensors' names."""
    return {
        f"encoder.block.{len(config.encoder_strides)}.block.5": config.encoder_transformer,
        "quantizer.pre_module": config.pre,
        "quantizer.post_module": config.post,
    }


def _encoder(config: CodecConfig) -> Named:
    width = config.encoder_channels
    yield from _convolution("encoder.block.0.conv", width, (width, 1, 7))
    for number, stride in enumerate(config.encoder_strides, 1):
        block = f"encoder.block.{number}.block"
        for unit in range(len(config.dilations)):
            yield from _residual_unit(f"{block}.{unit}.block", width)
        yield f"{block}.3.alpha", (1, width, 1)
        yield from _convolution(f"{block}.4.conv", 2 * width, (2 * width, width, 2 * stride))
        width *= 2
    yield from _transformer(f"{block}.5", config.encoder_transformer)
    after = len(config.encoder_strides) + 1
    yield f"encoder.block.{after}.alpha", (1, width, 1)
    yield from _convolution(f"encoder.block.{after + 1}.conv", config.latent, (config.latent, width, 3))


def _quantizer(config: CodecConfig) -> Named:
    latent, inner = config.latent, config.codebook_dim
    semantic, *residual = config.codebook_sizes
    books = {
        "quantizer.semantic_quantizer.quantizers.0": semantic,
        **{f"quantizer.quantizer.quantizers.{number}": size for number, size in enumerate(residual)},
    }
    for name, size in books.items():
        for projection, rows, columns in (("in_proj", inner, latent), ("out_proj", latent, inner)):
            yield f"{name}.{projection}.bias", (rows,)
            yield f"{name}.{projection}.weight_g", (rows, 1, 1)
            yield f"{name}.{projection}.weight_v", (rows, columns, 1)
        yield f"{name}.codebook.weight", (size, inner)
    for direction, strides in (("downsample", config.resampling), ("upsample", config.resampling[::-1])):
        for number, stride in enumerate(strides):
            yield f"quantizer.{direction}.{number}.0.conv.weight", (latent, latent, stride)
            yield f"quantizer.{direction}.{number}.0.conv.bias", (latent,)
            yield from _convnext(f"quantizer.{direction}.{number}.1", latent, config.convnext_ratio * latent)
    yield from _transformer("quantizer.pre_module", config.pre)
    yield from _transformer("quantizer.post_module", config.post)


def _decoder(config: CodecConfig) -> Named:
    width = config.decoder_channels
    yield from _convolution("decoder.model.0.conv", width, (width, config.latent, 7))
    for number, stride in enumerate(config.decoder_strides, 1):
        block = f"decoder.model.{number}.block"
        yield f"{block}.0.alpha", (1, width, 1)
        # A transposed convolution: its input channels come first, and weight norm goes by them.
        yield from _convolution(f"{block}.1.conv", width // 2, (width, width // 2, 2 * stride))
        width //= 2
        for unit in range(len(config.dilations)):
            yield from _residual_unit(f"{block}.{unit + 2}.block", width)
    after = len(config.decoder_strides) + 1
    yield f"decoder.model.{after}.alpha", (1, width, 1)
    yield from _convolution(f"decoder.model.{after + 1}.conv", 1, (1, width, 7))


def _convolution(name: str, channels: int, weight: Shape) -> Named:
    yield f"{name}.bias", (channels,)
    yield f"{name}.{FOLDED}0", (weight[0], *(1 for _ in weight[1:]))
    yield f"{name}.{FOLDED}1", weight


def _residual_unit(name: str, width: int) -> Named:
    for snake, kernel in ((0, 7), (2, 1)):
        yield f"{name}.{snake}.alpha", (1, width, 1)
        yield from _convolution(f"{name}.{snake + 1}.conv", width, (width, width, kernel))


def _convnext(name: str, width: int, wide: int) -> Named:
    yield f"{name}.gamma", (width,)
    yield f"{name}.dwconv.conv.weight", (width, 1, 7)
    yield f"{name}.dwconv.conv.bias", (width,)
    for kind in ("weight", "bias"):
        yield f"{name}.norm.{kind}", (width,)
    yield f"{name}.pwconv1.weight", (wide, width)
    yield f"{name}.pwconv1.bias", (wide,)
    yield f"{name}.pwconv2.weight", (width, wide)
    yield f"{name}.pwconv2.bias", (width,)


def _transformer(name: str, config: TransformerConfig) -> Named:
    dim, ffn = config.dim, config.ffn
    for number in range(config.layers):
        layer = f"{name}.layers.{number}"
        yield f"{layer}.attention.wqkv.weight", (3 * dim, dim)
        yield f"{layer}.attention.wo.weight", (dim, dim)
        yield f"{layer}.feed_forward.w1.weight", (ffn, dim)
        yield f"{layer}.feed_forward.w3.weight", (ffn, dim)
        yield f"{layer}.feed_forward.w2.weight", (dim, ffn)
        for part in (
            "ffn_norm.weight",
            "attention_norm.weight",
            "attention_layer_scale.gamma",
            "ffn_layer_scale.gamma",
        ):
            yield f"{layer}.{part}", (dim,)
    yield f"{name}.norm.weight", (dim,)
