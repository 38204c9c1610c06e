import pytest
import torch

from tests.engine.models.dual_ar.lm import (
    GrowingCache,
    golden_config,
    golden_model,
    golden_positions,
    goldens,
    worst,
)

PROMPT = 31


@pytest.fixture(autouse=True)
def _inference():
    with torch.inference_mode():
        yield


def heard() -> tuple[torch.Tensor, torch.Tensor]:
    """What the fast part hears of the teacher-forced frames, and their codes."""
    hidden = torch.from_numpy(goldens()["hidden"])[PROMPT - 1 : -1].clone()  # one test breaks a row of it
    return hidden, golden_positions()[PROMPT:, 1:]


def greedy(step: int, logits: torch.Tensor) -> torch.Tensor:
    return logits.argmax(-1)


def test_all_positions_at_once_are_the_reference_s():
    _, fast = golden_model()
    hidden, codes = heard()
    assert worst(fast.logits(hidden, codes), goldens()["fast_logits"]) <= 1.5e-4
    assert torch.equal(fast.logits(hidden, codes), fast.logits(hidden, codes[:, :9]))


def test_code_by_code_they_are_as_well():
    _, fast = golden_model()
    hidden, codes = heard()
    scores = []

    def given(step: int, logits: torch.Tensor) -> torch.Tensor:
        scores.append(logits)
        return codes[:, step]

    assert torch.equal(fast.codes(hidden, codes[:, 0], given), codes)
    assert worst(torch.stack(scores, 1), goldens()["fast_logits"][:, 1:]) <= 1.5e-4


@pytest.mark.parametrize(("prompt", "frames"), [("prompt", "greedy_frames"), ("eos_prompt", "eos_frames")])
def test_greedy_roll_outs_are_identical(prompt, frames):
    slow, fast = golden_model()
    config = golden_config()
    wanted = torch.from_numpy(goldens()[frames]).T
    positions = torch.from_numpy(goldens()[prompt]).T
    cache, start, spoken = GrowingCache(), 0, []
    for _ in range(len(wanted)):
        at = torch.arange(start, start + len(positions))
        hidden = slow(slow.embed(positions)[None], at[None], cache)[:, -1]
        start += len(positions)
        choice = slow.semantic_logits(hidden).argmax(-1)
        if choice == config.semantic_size:
            spoken.append(torch.tensor([config.end_token]))
            break
        codes = fast.codes(hidden, choice, greedy)
        positions = torch.cat((choice[:, None] + config.semantic_start, codes), 1)
        spoken.append(positions[0])
    assert len(spoken) == len(wanted)
    ended = wanted[-1, 0] == config.end_token
    whole = len(wanted) - int(ended)
    assert torch.equal(torch.stack(spoken[:whole]), wanted[:whole])
    assert ended == (prompt == "eos_prompt")
    assert spoken[-1][0] == wanted[-1, 0]


def test_rows_do_not_hear_one_another():
    _, fast = golden_model()
    hidden, codes = heard()
    together = fast.codes(hidden, codes[:, 0], greedy)
    hidden[3] = torch.nan
    beside_a_broken_one = fast.codes(hidden, codes[:, 0], greedy)
    for row in (0, 1, 2, 4, 5, 6, 7):
        assert torch.equal(beside_a_broken_one[row], together[row])
        alone = fast.codes(hidden[row : row + 1], codes[row : row + 1, 0], greedy)
        assert torch.equal(alone[0], together[row])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_frame_compiles_without_a_break(dtype):
    _, fast = golden_model(dtype)
    hidden, codes = heard()
    hidden = hidden.to(dtype)
    run = torch.compile(
        lambda hidden, first: fast.codes(hidden, first, greedy), backend="eager", fullgraph=True
    )
    assert torch.equal(run(hidden, codes[:, 0]), fast.codes(hidden, codes[:, 0], greedy))
