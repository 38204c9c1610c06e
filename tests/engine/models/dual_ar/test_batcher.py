"""Continuous batching over pages: whatever happens around a stream, it says what it would say alone."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import engine.models.dual_ar.batcher as batcher_module
from engine.models.dual_ar.attention import KeyValues
from engine.models.dual_ar.batcher import Batcher, Codes, Flight, Stop
from engine.models.dual_ar.config import DualARConfig, read_config
from engine.models.dual_ar.fast import FastTransformer
from engine.models.dual_ar.frame import FrameModel
from engine.models.dual_ar.pages import PagePool, Positions
from engine.models.dual_ar.sampling import Sampler, Start
from engine.models.dual_ar.slow import SlowTransformer
from engine.models.dual_ar.weights import load_weights
from engine.models.lane import Lane
from engine.speech import Sampling

GOLDENS = Path(__file__).parents[3] / "goldens" / "data"
CPU = torch.device("cpu")
PAGE = 8
CONTEXT = 160
LONG = (3, 7, 10, 13, 14, 16)  # prompts of these seeds are answered at length


@cache
def checkpoint() -> tuple[DualARConfig, SlowTransformer, FastTransformer]:
    config = read_config(GOLDENS / "lm")
    return config, *load_weights(GOLDENS / "lm", config, CPU, torch.float32)


@cache
def golden(name: str) -> Positions:
    rows: Positions = np.load(GOLDENS / "lm.npz")[name].T.astype(np.int64)
    return rows


def batcher(*, slots: int = 6, pages: int = 120, budget: int = 24) -> Batcher:
    config, slow, fast = checkpoint()
    memory = KeyValues(
        config.slow,
        slots=slots + 1,
        pages=pages,
        page_size=PAGE,
        context=CONTEXT,
        device=CPU,
        dtype=torch.float32,
    )
    # What was never written must not matter.
    memory.keys.fill_(torch.nan)
    memory.values.fill_(torch.nan)
    sampler = Sampler(slots + 1, config.semantic_size, config.codebooks - 1, device=CPU)
    return Batcher(
        FrameModel(slow, fast, sampler, memory),
        PagePool(pages, PAGE),
        Lane(CPU),
        budget=budget,
        largest=slots,
    )


def prompt(seed: int, length: int = 20) -> Positions:
    """A random prompt: text, some frames of a voice, text."""
    random, config = np.random.default_rng(seed), checkpoint()[0]
    rows = np.zeros((length, 1 + config.codebooks), np.int64)
    rows[:, 0] = random.integers(0, 110, length)
    spoken = slice(length // 4, length // 2)
    rows[spoken, 1:] = random.integers(0, 64, rows[spoken, 1:].shape)
    rows[spoken, 0] = config.semantic_start + rows[spoken, 1]
    return rows


class Crowd:
    """Streams in a batcher and what they have said; ``lookahead`` flights are kept in the air."""

    def __init__(self, batcher: Batcher, lookahead: int = 0) -> None:
        self.batcher = batcher
        self.said: dict[int, list[Codes]] = {}
        self.stopped: dict[int, Stop] = {}
        self._lookahead = lookahead
        self._flights: list[Flight] = []

    def begin(self, slot: int, rows: Positions, seed: int, *, salt: bytes = b"", public: int = 0) -> None:
        self.batcher.begin(
            rows, public=public, salt=salt or f"{slot} {seed}".encode(), start=Start(slot, Sampling(), seed)
        )
        self.said[slot] = []
        self.stopped.pop(slot, None)

    def extend(self, slot: int, rows: Positions, seed: int) -> None:
        self.batcher.stop(slot)
        self.batcher.extend(rows, start=Start(slot, Sampling(), seed))

    def leave(self, slot: int) -> None:
        self.batcher.free(slot)
        del self.said[slot]

    def step(self, slots: Sequence[int] | None = None) -> None:
        going = [slot for slot in (self.said if slots is None else slots) if slot not in self.stopped]
        self._flights.append(self.batcher.launch(going))
        if len(self._flights) > self._lookahead:
            for slot, outcome in self.batcher.land(self._flights.pop(0)).items():
                if isinstance(outcome, Stop):
                    self.stopped[slot] = outcome
                    self.batcher.stop(slot)
                else:
                    self.said[slot].append(outcome)

    def run(self, frames: int, slots: Sequence[int] | None = None) -> None:
        """Until each has said ``frames`` more, or ended."""
        going = list(self.said if slots is None else slots)
        goal = {slot: len(self.said[slot]) + frames for slot in going}
        for _ in range(600):
            left = [slot for slot in going if slot not in self.stopped and len(self.said[slot]) < goal[slot]]
            if not left:
                return
            self.step(left)
        pytest.fail(f"{left} did not get to say what they had to")


@cache
def alone(seed: int, frames: int, length: int = 20) -> Positions:
    """What the stream of a prompt says if there is no other."""
    crowd = Crowd(batcher(budget=1000))
    crowd.begin(0, prompt(seed, length), seed)
    crowd.run(frames)
    return said(crowd, 0, frames)


def said(crowd: Crowd, slot: int, frames: int) -> Positions:
    return np.stack(crowd.said[slot])[:frames]


def test_greedy_frames_are_the_golden_ones() -> None:
    crowd = Crowd(batcher())
    greedy = Sampling(temperature=0.0, repetition_penalty=1.0)
    crowd.batcher.begin(golden("eos_prompt"), public=0, salt=b"a", start=Start(2, greedy, 0, top_k=1))
    crowd.said[2] = []
    crowd.run(100)
    expected = golden("eos_frames")[:-1, 1:]
    assert np.array_equal(said(crowd, 2, 100), expected)
    assert crowd.stopped[2] is Stop.END


@pytest.mark.parametrize("lookahead", [0, 1])
def test_batched_is_as_alone(lookahead: int) -> None:
    crowd = Crowd(batcher(), lookahead)
    for slot in range(6):
        crowd.begin(slot, prompt(slot, 10 + 7 * slot), slot)
        crowd.run(3)
    crowd.run(10)
    for slot in range(6):
        expected = alone(slot, 13, 10 + 7 * slot)
        assert np.array_equal(said(crowd, slot, len(expected)), expected)


def test_what_is_kept_of_a_flight_does_not_hold_on_to_the_memory_of_its_copy() -> None:
    shared = batcher()
    shared.begin(prompt(3), public=0, salt=b"a", start=Start(0, Sampling(), 3))
    flight = shared.launch([0])
    assert flight.download is not None
    codes = shared.land(flight)[0]
    assert not isinstance(codes, Stop)
    assert not np.shares_memory(codes, flight.download.wait())


def test_a_prompt_read_in_parts_is_as_one_read_at_once() -> None:
    for budget in (1, 5, 8, 19):
        crowd = Crowd(batcher(budget=budget))
        crowd.begin(0, prompt(3, 40), 3)
        crowd.run(8)
        assert np.array_equal(said(crowd, 0, 8), alone(3, 8, 40))


def test_others_speak_on_while_a_long_prompt_is_read() -> None:
    crowd = Crowd(batcher(budget=4))
    crowd.begin(0, prompt(3), 3)
    crowd.run(2)
    crowd.begin(1, prompt(7, 100), 7)
    before = len(crowd.said[0])
    for _ in range(10):
        crowd.step()
    assert len(crowd.said[0]) == before + 10
    assert not crowd.said[1]


def test_no_more_contexts_are_read_at_once_than_there_is_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batcher_module, "READERS", 2)
    crowd = Crowd(batcher(budget=1000))
    for slot in range(5):
        crowd.begin(slot, prompt(LONG[slot]), LONG[slot])
    for begun in (2, 4, 5):
        crowd.step()
        assert sum(bool(frames) for frames in crowd.said.values()) == begun
    crowd.run(8)
    for slot in range(5):
        assert np.array_equal(said(crowd, slot, 8), alone(LONG[slot], 8))


def test_a_voice_is_read_once_and_its_pages_are_shared() -> None:
    shared = batcher()
    crowd = Crowd(shared)
    voice = prompt(9, 4 * PAGE)
    for slot in range(3):
        crowd.begin(slot, np.concatenate([voice, prompt(LONG[slot], 6)]), LONG[slot], public=len(voice))
        crowd.run(4, [slot])
    assert shared.pool.used <= 4 + 3 * 2  # the voice's, and what is each one's own
    for slot in range(3):
        fresh = Crowd(batcher())
        fresh.begin(slot, np.concatenate([voice, prompt(LONG[slot], 6)]), LONG[slot])
        fresh.run(4)
        assert np.array_equal(said(crowd, slot, 4), said(fresh, slot, 4))


def test_other_codes_under_the_same_token_ids_are_another_voice() -> None:
    crowd = Crowd(batcher())
    voice = prompt(9, 4 * PAGE)
    other = voice.copy()
    other[PAGE:, 5] = np.where(other[PAGE:, 5], (other[PAGE:, 5] + 17) % 64, 0)
    crowd.begin(0, voice, 1, public=len(voice), salt=b"a")
    crowd.run(4, [0])
    crowd.begin(1, other, 1, public=len(other), salt=b"b")
    crowd.run(4, [1])
    fresh = Crowd(batcher())
    fresh.begin(0, other, 1)
    fresh.run(4)
    assert np.array_equal(said(crowd, 1, 4), said(fresh, 0, 4))
    assert not np.array_equal(said(crowd, 0, 4), said(crowd, 1, 4))


def test_what_a_stream_said_is_found_by_itself_only() -> None:
    shared = batcher()
    crowd = Crowd(shared)
    text = prompt(27, 3 * PAGE)
    crowd.begin(0, text, 27, salt=b"mine")
    crowd.run(2 * PAGE, [0])
    used = shared.pool.used
    crowd.begin(1, text, 27, salt=b"somebody else's")
    crowd.run(2 * PAGE, [1])
    assert shared.pool.used >= used + 4  # not one page of the first one's
    assert np.array_equal(said(crowd, 0, 2 * PAGE), said(crowd, 1, 2 * PAGE))  # and no need of it


@pytest.mark.parametrize("lookahead", [0, 1])
def test_a_later_segment_is_added_without_reading_the_past_again(lookahead: int) -> None:
    crowd = Crowd(batcher(budget=9), lookahead)
    crowd.begin(0, prompt(18, 30), 18)
    crowd.run(6)
    first = said(crowd, 0, 6)
    more = prompt(6, 8)
    crowd.extend(0, more, 6)
    crowd.said[0].clear()
    # The last frame and these are as many as the budget: were more to be read, it would take another step.
    for _ in range(1 + lookahead):
        crowd.step()
    assert len(crowd.said[0]) == 1
    crowd.run(5)
    config = checkpoint()[0]
    frames = np.column_stack([first[:, 0] + config.semantic_start, first])
    whole = Crowd(batcher())
    whole.begin(0, np.concatenate([prompt(18, 30), frames, more]), 6)
    whole.run(6)
    assert np.array_equal(said(crowd, 0, 6), said(whole, 0, 6))


@pytest.mark.parametrize("lookahead", [0, 1])
def test_preempted_is_as_undisturbed(lookahead: int) -> None:
    """Three contexts of up to seven pages each, and room for ten."""
    small = batcher(pages=11)
    crowd = Crowd(small, lookahead)
    preempted = []
    preempt = small._preempt
    small._preempt = lambda slot: (preempted.append(slot), preempt(slot))  # type: ignore[method-assign]
    for slot in range(3):
        crowd.begin(slot, prompt(LONG[slot]), LONG[slot])
    crowd.run(30)
    assert preempted
    for slot in range(3):
        expected = alone(LONG[slot], 30)
        assert np.array_equal(said(crowd, slot, len(expected)), expected)


def test_idle_contexts_give_their_pages_first() -> None:
    small = batcher(pages=9)
    crowd = Crowd(small)
    crowd.begin(0, prompt(3), 3)
    crowd.run(1)
    crowd.begin(1, prompt(7), 7)
    crowd.run(20, [1])
    assert np.array_equal(said(crowd, 1, 20), alone(7, 20))
    crowd.run(4, [0])
    assert np.array_equal(said(crowd, 0, 5), alone(3, 5))


def test_a_context_that_can_never_fit_is_told_so() -> None:
    crowd = Crowd(batcher(pages=4))
    crowd.begin(0, prompt(3), 3)
    for _ in range(12):
        crowd.step()
    assert crowd.stopped == {0: Stop.NO_PAGES}
    assert crowd.said[0]


def test_who_waits_for_pages_is_not_told_that_there_are_none() -> None:
    """The first takes all there is and more; the second would fit well once the first one is gone."""
    crowd = Crowd(batcher(pages=6))
    crowd.begin(0, prompt(3), 3)
    crowd.run(19)
    crowd.begin(1, prompt(7), 7)
    for _ in range(40):
        crowd.step()
    assert crowd.stopped.get(0) is Stop.NO_PAGES
    assert crowd.stopped.get(1) is not Stop.NO_PAGES or len(crowd.said[1]) > 18
    assert np.array_equal(said(crowd, 1, 10), alone(7, 10))


@pytest.mark.parametrize("lookahead", [0, 1])
def test_two_that_need_all_pages_do_not_take_turns_in_reading(lookahead: int) -> None:
    """Who has said least comes first, as with a scheduler: yet who began first says all before the other."""
    crowd = Crowd(batcher(pages=11, budget=8), lookahead)
    for slot in (0, 1):
        crowd.begin(slot, prompt(LONG[slot], 40), LONG[slot])
    for _ in range(48):
        crowd.step(sorted(crowd.said, key=lambda slot: len(crowd.said[slot])))
    assert len(crowd.said[0]) > 35
    crowd.leave(0)
    crowd.run(30, [1])
    assert np.array_equal(said(crowd, 1, 30), alone(LONG[1], 30, 40))


def test_settings_out_of_range_are_told_at_once_and_change_nothing() -> None:
    shared = batcher()
    crowd = Crowd(shared)
    crowd.begin(0, prompt(3), 3)
    crowd.run(4)
    wrong = Sampling(temperature=-1.0)
    with pytest.raises(ValueError, match="temperature is -1"):
        shared.begin(prompt(7), public=0, salt=b"b", start=Start(1, wrong, 7))
    with pytest.raises(ValueError, match="temperature is -1"):
        shared.extend(prompt(7), start=Start(0, wrong, 7))
    crowd.run(4)
    assert np.array_equal(said(crowd, 0, 8), alone(3, 8))


def test_a_broken_row_ends_alone_and_leaves_nothing_behind() -> None:
    shared = batcher()
    crowd = Crowd(shared)
    for slot in range(3):
        crowd.begin(slot, prompt(LONG[slot]), LONG[slot])
    crowd.run(3)
    memory = shared._model.memory
    page = shared._contexts[1].sequence.pages[0]  # type: ignore[union-attr]
    memory.keys[:, page] = torch.nan
    crowd.step()
    assert crowd.stopped == {1: Stop.BROKEN}
    shared.free(1, broken=True)
    crowd.begin(1, prompt(7), 7)
    crowd.run(8)
    for slot in range(3):
        assert np.array_equal(said(crowd, slot, 8), alone(LONG[slot], 8))


@settings(max_examples=12, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.data())
def test_streams_that_come_and_go_leak_nothing_and_change_nobody(data: st.DataObject) -> None:
    pages = data.draw(st.integers(20, 60), label="pages")
    shared = batcher(pages=pages, budget=data.draw(st.sampled_from([3, 10, 50]), label="budget"))
    crowd = Crowd(shared, data.draw(st.integers(0, 1), label="lookahead"))
    seeds: dict[int, int] = {}
    for _ in range(data.draw(st.integers(5, 40), label="turns")):
        free = sorted(set(range(6)) - set(seeds))
        if free and data.draw(st.booleans()):
            slot = data.draw(st.sampled_from(free))
            seeds[slot] = data.draw(st.sampled_from([0, 5, *LONG]))
            crowd.begin(slot, prompt(seeds[slot]), seeds[slot])
        elif seeds and data.draw(st.booleans()):
            slot = data.draw(st.sampled_from(sorted(seeds)))
            crowd.leave(slot)
            del seeds[slot]
        going = [slot for slot in sorted(seeds) if len(crowd.said[slot]) < 24]
        crowd.step(data.draw(st.permutations(going)) if going else [])
    for slot, seed in seeds.items():
        spoken = len(crowd.said[slot])
        assert slot not in crowd.stopped or crowd.stopped[slot] is Stop.END
        assert np.array_equal(np.array(crowd.said[slot]).reshape(spoken, 10), alone(seed, 30)[:spoken])
        crowd.batcher.free(slot)
    pool = shared.pool
    assert pool.used == 0
    assert pool.free + pool.cached == pages - 1


def test_thousands_of_frames_of_random_callers_leak_no_page_and_no_slot() -> None:
    random = np.random.default_rng(8)
    shared = batcher(slots=16, pages=90, budget=40)
    crowd = Crowd(shared, lookahead=1)
    frames = 0
    for _ in range(260):
        for slot in range(16):
            if slot not in crowd.said:
                if random.random() < 0.4:
                    seed = int(random.integers(50))
                    crowd.begin(slot, prompt(seed), seed)
            elif slot in crowd.stopped or len(crowd.said[slot]) > 100 or random.random() < 0.01:
                frames += len(crowd.said[slot])
                crowd.leave(slot)
        crowd.step(random.permutation(sorted(crowd.said)).tolist())
        held = sum(len(c.sequence.pages) for c in shared._contexts.values() if c.sequence is not None)
        assert shared.pool.used <= held
        assert Stop.NO_PAGES not in crowd.stopped.values()
    assert frames > 2000
    for slot in list(crowd.said):
        crowd.leave(slot)
    assert shared.pool.used == 0
    assert shared.pool.free + shared.pool.cached == 89
    assert not shared._contexts
