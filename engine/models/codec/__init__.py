"""The codec of the Dual-AR models: 44.1 kHz speech to ten codebooks at 21.5 frames a second, and back."""

from engine.models.codec.config import CodecConfig, TransformerConfig, real_config
from engine.models.codec.decoder import Decoder, DecoderState, load_decoder
from engine.models.codec.encoder import Encoder, load_encoder
from engine.models.codec.random import random_state, tiny_config, write_codec

__all__ = [
    "CodecConfig",
    "Decoder",
    "DecoderState",
    "Encoder",
    "TransformerConfig",
    "load_decoder",
    "load_encoder",
    "random_state",
    "real_config",
    "tiny_config",
    "write_codec",
]
