"""The language model: every stage of one pass, and greedy roll-outs."""

from pathlib import Path

import torch
from torch import Tensor

from engine.models.dual_ar.config import read_config
from engine.models.dual_ar.fast import FastTransformer
from engine.models.dual_ar.slow import SlowTransformer
from engine.models.dual_ar.transformer import CausalCache
from engine.models.dual_ar.weights import load_weights
from tests.goldens.report import EXACT, Goldens, Report


def check(folder: Path, report: Report, device: torch.device) -> None:
    """Compare with ``lm.npz``, for the checkpoint in ``lm``."""
    goldens = report.open(folder / "lm.npz")
    if goldens is None:
        return
    slow, fast = load_weights(folder / "lm", read_config(folder / "lm"), device, torch.float32)
    _tables(goldens, slow, fast)
    _stages(goldens, slow, fast, device)
    for prompt, frames in (("prompt", "greedy_frames"), ("eos_prompt", "eos_frames")):
        if goldens.given((prompt, frames), (frames,)):
            ours = _greedy(slow, fast, goldens[prompt].T.to(device), goldens[frames].shape[1])
            goldens.check(frames, EXACT, _sense(ours), part=_sense)
    goldens.info("greedy_gap_slow", "greedy_gap_fast", "eos_gap_slow", "eos_gap_fast")
    goldens.close()


def _columns(slow: SlowTransformer) -> list[int]:
    """The token of each column of the constrained head."""
    config = slow.config
    return [*range(config.semantic_start, config.semantic_end + 1), config.end_token]


def _tables(goldens: Goldens, slow: SlowTransformer, fast: FastTransformer) -> None:
    goldens.check(
        "allowed_ids", EXACT, torch.tensor(sorted(_columns(slow))), part=lambda ids: ids.sort().values
    )
    for name, rope in (("rope_slow", slow.rope), ("rope_fast", fast.rope)):
        # Ours holds each value for both elements of its pair, the first one's sine negative.
        pairs = torch.stack((rope[:, 0, ::2], rope[:, 1, 1::2]), dim=-1)
        if goldens.given((name,), (name,)):
            goldens.check(name, EXACT, pairs[: len(goldens[name])])


def _stages(goldens: Goldens, slow: SlowTransformer, fast: FastTransformer, device: torch.device) -> None:
    outputs = ("input_embeds", "layer_out", "hidden", "slow_logits", "fast_logits")
    if not goldens.given(("prompt", "tf_frames"), outputs):
        return
    frames = goldens["tf_frames"].T.to(device)
    positions = torch.cat((goldens["prompt"].T.to(device), frames))
    layers: list[Tensor] = []
    hooks = [layer.register_forward_hook(lambda *call: layers.append(call[-1][0])) for layer in slow.layers]
    hidden = _hidden(slow, positions)
    for hook in hooks:
        hook.remove()
    goldens.check("input_embeds", 1e-6, slow.embed(positions))
    goldens.check("layer_out", 5e-5, torch.stack(layers))
    goldens.check("hidden", 5e-5, hidden)
    goldens.check("slow_logits", 1e-4, slow.logits(hidden))
    goldens.check(
        "slow_logits",
        1e-4,
        slow.semantic_logits(hidden),
        how="constrained head",
        part=lambda logits: logits[:, _columns(slow)],
    )
    heard, codes = hidden[-len(frames) - 1 : -1], frames[:, 1:]
    goldens.check("fast_logits", 1.5e-4, fast.logits(heard, codes))
    goldens.check(
        "fast_logits",
        1.5e-4,
        _one_by_one(fast, heard, codes),
        how="one by one",
        part=lambda logits: logits[:, 1:],
    )


def _hidden(slow: SlowTransformer, positions: Tensor) -> Tensor:
    """One pass over positions ``[n, 11]``, without a cache."""
    at = torch.arange(len(positions), device=positions.device)
    hidden: Tensor = slow(slow.embed(positions)[None], at[None], CausalCache())[0]
    return hidden


def _one_by_one(fast: FastTransformer, hidden: Tensor, codes: Tensor) -> Tensor:
    """The scores of codes 1, 2, … as they come up in speaking, when ``codes`` are what is chosen."""
    scores = []

    def choose(i: int, logits: Tensor) -> Tensor:
        scores.append(logits)
        return codes[:, i]

    fast.codes(hidden, codes[:, 0], choose)
    return torch.stack(scores, dim=1)


def _greedy(slow: SlowTransformer, fast: FastTransformer, positions: Tensor, count: int) -> Tensor:
    """The best frames after the prompt, up to ``count``: ``[11, count]``, -1 after the end token."""
    config = slow.config
    frames = torch.full((count, positions.shape[1]), -1)
    for number in range(count):
        hidden = _hidden(slow, positions)[-1:]
        column = slow.semantic_logits(hidden).argmax(-1)
        ended = column == config.semantic_size
        token = torch.where(ended, config.end_token, column + config.semantic_start)
        codes = fast.codes(hidden, column.masked_fill(ended, 0), lambda _, logits: logits.argmax(-1))
        frame = torch.cat((token[:, None], codes), dim=1)
        frames[number] = frame[0]
        if ended:
            break
        positions = torch.cat((positions, frame))
    return frames.T


def _sense(frames: Tensor) -> Tensor:
    """All but the last frame's codes, which mean nothing where that frame is the end."""
    return torch.cat((frames[:, :-1].flatten(), frames[:1, -1]))
