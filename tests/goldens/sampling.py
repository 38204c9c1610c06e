"""The sampler: the filter, single frames, and a roll-out, all with the random numbers that were written down."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from engine.models.dual_ar.sampling import Draws, Noise, Sampler, Start, filtered
from engine.speech import Sampling
from tests.goldens.report import EXACT, Goldens, Report

TOKENS = ("semantic_start", "semantic_end", "eos", "codebook_size")
STEP_INPUTS = (
    "step_logits",
    "step_fast_logits",
    "step_temperature",
    "step_top_p",
    "step_top_k",
    "step_window",
    "step_has_window",
    "step_u_main",
    "step_u_high",
    "step_u_fast",
)
STEP_OUTPUTS = ("step_token_normal", "step_token_high", "step_used_high", "step_frame")
ROLL_INPUTS = (
    "roll_logits",
    "roll_fast_logits",
    "roll_temperature",
    "roll_top_p",
    "roll_top_k",
    "roll_u_main",
    "roll_u_high",
    "roll_u_fast",
)
ROLL_OUTPUTS = ("roll_frames", "roll_used_high")


def check(folder: Path, report: Report, device: torch.device) -> None:
    """Compare with ``sampling.npz``."""
    goldens = report.open(folder / "sampling.npz")
    if goldens is None:
        return
    _filter(goldens, device)
    if goldens.given(TOKENS, (*STEP_OUTPUTS, *ROLL_OUTPUTS)):
        head = Head(*(int(goldens[name]) for name in TOKENS))
        _steps(goldens, head, device)
        _roll_out(goldens, head, device)
    goldens.info("probs_cut_margin", "step_draw_margin")
    goldens.close()


@dataclass(frozen=True, slots=True)
class Head:
    """Between tokens and columns of the constrained head: semantic ids in order, then the end token."""

    start: int
    end: int
    eos: int
    codebook_size: int

    @property
    def size(self) -> int:
        """How many semantic ids there are."""
        return self.end - self.start + 1

    def of(self, vocabulary: Tensor) -> Tensor:
        """What stands in an array ``[..., V]`` for each column."""
        return torch.cat(
            (vocabulary[..., self.start : self.end + 1], vocabulary[..., self.eos, None]), dim=-1
        )

    def token(self, column: Tensor) -> Tensor:
        """The token of each column."""
        return torch.where(column == self.size, self.eos, column + self.start)

    def column(self, token: Tensor) -> Tensor:
        """The column of each token; the end's for all that are not semantic."""
        semantic = (token >= self.start) & (token <= self.end)
        return torch.where(semantic, token - self.start, self.size)


def _filter(goldens: Goldens, device: torch.device) -> None:
    settings = ("probs_temperature", "probs_top_p", "probs_top_k")
    if not goldens.given(("probs_logits", "probs_row", *settings), ("probs_expected",)):
        return
    logits = goldens["probs_logits"][goldens["probs_row"]].to(device)
    temperature, top_p, top_k = (goldens[name].to(device) for name in settings)
    for how, width in (("all sorted", logits.shape[1]), ("30 sorted", 30)):
        rows = top_k <= width if width < logits.shape[1] else torch.ones_like(top_k, dtype=torch.bool)
        probs, ids = filtered(logits[rows], temperature[rows], top_p[rows], top_k[rows], width)
        ours = torch.zeros_like(logits[rows]).scatter(1, ids, probs)
        chosen = rows.cpu()
        goldens.check("probs_expected", 1e-6, ours, how=how, part=lambda probs, chosen=chosen: probs[chosen])


def _sampler(head: Head, slots: int, residuals: int, top_k: Tensor, device: torch.device) -> Sampler:
    return Sampler(slots, head.size, residuals, width=int(top_k.max()), device=device)


def _recorded(head: Head, main: Tensor, high: Tensor, fast: Tensor) -> Noise:
    """Noise from uniforms over the vocabulary ``[B, V]``, twice, and over each codebook ``[B, 9, codes]``."""

    def noise(draw: int, ids: Tensor) -> Tensor:
        uniforms = (head.of(main), head.of(high))[draw] if draw < 2 else fast[:, draw - 2]
        return uniforms.to(ids.device).gather(1, ids)

    return noise


def _frame(draws: Draws, head: Head, slow: Tensor, fast: Tensor) -> Tensor:
    """One frame ``[B, 11]`` from logits over the vocabulary and over each codebook, committed."""
    codes = [draws.semantic(head.of(slow))]
    codes += [draws.residual(1 + i, fast[:, i]) for i in range(fast.shape[1])]
    draws.commit()
    token = head.token(draws.choice.column)
    # The end token's code means nothing; the reference's is clamped from the token.
    codes[0] = torch.where(draws.ended, (token - head.start).clamp(0, head.codebook_size - 1), codes[0])
    return torch.stack((token, *codes), dim=1)


def _steps(goldens: Goldens, head: Head, device: torch.device) -> None:
    """Single frames, a batch of all of them, each in a slot that has spoken the tokens of its window."""
    if not goldens.given(STEP_INPUTS, STEP_OUTPUTS):
        return
    slow, fast, window = (goldens[f"step_{name}"].to(device) for name in ("logits", "fast_logits", "window"))
    sampler = _sampler(head, len(slow), fast.shape[1], goldens["step_top_k"], device)
    sampler.begin(*(_start(goldens, "step", row) for row in range(len(slow))))
    spoken = goldens["step_has_window"].nonzero()[:, 0].to(device)
    columns = head.column(window[spoken])
    for column in (columns[:, :1], *columns.split(1, dim=1)):  # the first of a segment is not in the window
        draws = sampler.draws(spoken)
        certain = torch.zeros(len(spoken), head.size + 1, device=device).scatter(1, column, 100.0)
        draws.semantic(certain)
        draws.commit()
    noise = _recorded(head, *(goldens[f"step_u_{name}"] for name in ("main", "high", "fast")))
    draws = sampler.draws(torch.arange(len(slow), device=device), noise)
    frame = _frame(draws, head, slow, fast)
    goldens.check("step_token_normal", EXACT, head.token(draws.choice.normal))
    goldens.check("step_token_high", EXACT, head.token(draws.choice.wider))
    goldens.check("step_used_high", EXACT, draws.choice.redirected)
    goldens.check("step_frame", EXACT, frame)


def _start(goldens: Goldens, run: str, row: int) -> Start:
    temperature, top_p, top_k = (
        goldens[f"{run}_{name}"].reshape(-1)[row].item() for name in ("temperature", "top_p", "top_k")
    )
    return Start(row, Sampling(temperature, top_p, repetition_penalty=1.0), seed=0, top_k=int(top_k))


def _roll_out(goldens: Goldens, head: Head, device: torch.device) -> None:
    """One segment from its first token to the end token."""
    if not goldens.given(ROLL_INPUTS, ROLL_OUTPUTS):
        return
    slow, fast, main, high, noise_fast = (
        goldens[f"roll_{name}"].to(device) for name in ("logits", "fast_logits", "u_main", "u_high", "u_fast")
    )
    sampler = _sampler(head, 1, fast.shape[1], goldens["roll_top_k"], device)
    sampler.begin(_start(goldens, "roll", 0))
    frames, redirected = [], []
    for step in (slice(i, i + 1) for i in range(len(slow))):
        noise = _recorded(head, main[step], high[step], noise_fast[step])
        draws = sampler.draws(torch.zeros(1, dtype=torch.int64, device=device), noise)
        frames.append(_frame(draws, head, slow[step], fast[step])[0])
        redirected.append(draws.choice.redirected[0])
    goldens.check("roll_frames", EXACT, torch.stack(frames, dim=1))
    goldens.check("roll_used_high", EXACT, torch.stack(redirected))
