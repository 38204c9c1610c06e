"""The codec: every stage of encoder and decoder, and the streaming decode at several cuts."""

from itertools import cycle
from pathlib import Path

import torch
from torch import Tensor

from engine.models.codec import Decoder, Encoder, load_decoder, load_encoder
from tests.goldens.report import EXACT, Goldens, Report

CUTS = {
    "frame by frame": (1,),
    "by two": (2,),
    "by 1, 2, 4, 8": (1, 2, 4, 8),
    "by 9, 1, 16": (9, 1, 16),
}
ENCODED = {"enc_out": 1e-4, "down": 5e-5, "pre": 5e-5, "latents": 1e-4, "codes": EXACT}
DECODED = {"zq": 5e-6, "post": 2e-5, "up": 3e-5, "audio": 3e-5}
BLOCKS = 4e-5


def check(folder: Path, report: Report, device: torch.device) -> None:
    """Compare with ``codec/codec.npz``, for the weights beside it."""
    goldens = report.open(folder / "codec" / "codec.npz")
    if goldens is None:
        return
    _encoder(goldens, load_encoder(folder / "codec", device, torch.float32), device)
    _decoder(goldens, load_decoder(folder / "codec", device, torch.float32), device)
    goldens.info("codes_margin")
    goldens.close()


def _encoder(goldens: Goldens, encoder: Encoder, device: torch.device) -> None:
    if not goldens.given(("audio_in",), (*ENCODED, "enc_stage_*", "enc_block*")):
        return
    audio = goldens["audio_in"].to(device)
    for name, ours in encoder.stages(audio).items():
        goldens.check(name, ENCODED[name], ours)
    goldens.check("codes", EXACT, encoder.encode(audio), how="in parts")
    strides = len(encoder.config.encoder_strides)
    for number, ours in encoder.outputs(audio[: 2 * encoder.config.frame_samples]).items():
        transformed = number == "before_transformer"
        name = f"enc_block{strides}_before_transformer" if transformed else f"enc_stage_{number}"
        goldens.check(name, BLOCKS, ours)


def _decoder(goldens: Goldens, decoder: Decoder, device: torch.device) -> None:
    for codes, names in (
        ("codes", ("zq", "post", "up", "audio_out")),
        ("rand_codes", ("rand_zq", "rand_post", "rand_up", "rand_audio")),
    ):
        if goldens.given((codes,), names):
            stages = decoder.stages(goldens[codes].to(device))
            for name, (stage, tolerance) in zip(names, DECODED.items(), strict=True):
                goldens.check(name, tolerance, stages[stage])
    if goldens.given(("clamp_codes",), ("clamp_audio",)):
        goldens.check("clamp_audio", DECODED["audio"], decoder(goldens["clamp_codes"][None].to(device))[0])
    if goldens.given(("rand_codes",), ("rand_audio",)):
        codes = goldens["rand_codes"].to(device)
        for how, sizes in CUTS.items():
            goldens.check("rand_audio", DECODED["audio"], _streamed(decoder, codes, sizes), how=how)
    if goldens.given(("rand_up",), ("dec_stage_*",)):
        steps = 2 * decoder.config.frame_samples // decoder.config.hop
        for number, ours in enumerate(decoder.outputs(goldens["rand_up"][:, :steps].to(device))):
            goldens.check(f"dec_stage_{number}", BLOCKS, ours)


def _streamed(decoder: Decoder, codes: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Decode in parts of these sizes, over and over, in the middle one of three slots that all are in use.

    The slot has been used before; the other two speak other codes.
    """
    state = decoder.state(3)
    slots = torch.arange(3, device=codes.device)
    batch = torch.stack((codes.flip(1), codes, codes.roll(1, dims=1)))
    decoder.stream(batch[..., :5], slots, state)
    state.reset(slots)
    parts, start, size = [], 0, cycle(sizes)
    while start < codes.shape[1]:
        part = batch[..., start : start + next(size)]
        parts.append(decoder.stream(part, slots, state)[1])
        start += part.shape[2]
    return torch.cat(parts)
