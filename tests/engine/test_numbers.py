"""What the engine says of itself in numbers, with a real worker thread and a model of tones."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio

from engine import Engine, EngineConfig, Segment, StreamOptions
from engine.numbers import Paged, PageNumbers, Tally
from tests.tones import ToneModel

LOW = StreamOptions(("low",), paced=False)


class PagedTones(ToneModel):
    """One that says that it has pages."""

    @property
    def pages(self) -> PageNumbers:
        return PageNumbers(used=3, cached=2, pages=10, asked=100, found=40)


@pytest.fixture
def model() -> ToneModel:
    return ToneModel()


@pytest_asyncio.fixture
async def engine(model: ToneModel) -> AsyncIterator[Engine]:
    async with Engine(lambda: model, EngineConfig(max_streams=4)) as engine:
        yield engine
        model.gate.set()


def test_a_tally_counts_by_upper_bounds() -> None:
    tally = Tally((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 7.0):
        tally.add(value)
    assert tally.read().counts == (2, 2, 1)
    assert tally.read().total == 12.0


async def test_steps_batches_prefills_and_audio_are_counted_exactly(engine: Engine) -> None:
    utterance = engine.open(LOW)
    utterance.say(Segment("abc"))
    utterance.say(Segment("de"))
    utterance.finish()
    frames = [frame async for frame in utterance]
    (numbers,) = engine.numbers()
    assert len(frames) == 5
    assert sum(numbers.steps.counts) == 5
    assert numbers.batch.counts[0] == 5
    assert numbers.batch.total == 5.0
    assert sum(numbers.prefill.counts) == 2
    assert numbers.audio == pytest.approx(0.5)
    assert numbers.busy == pytest.approx(numbers.steps.total + numbers.prefill.total)
    assert (numbers.open, numbers.speaking, numbers.waiting, numbers.max_streams) == (0, 0, 0, 4)
    assert numbers.pages is None


async def test_streams_are_open_speaking_and_waiting(engine: Engine, model: ToneModel) -> None:
    model.gate.clear()
    silent, speaking, waiting = (engine.open(LOW) for _ in range(3))
    speaking.say(Segment("abc"))
    await asyncio.to_thread(model.blocked.wait)  # in its first step: nothing is spoken before that ends
    waiting.say(Segment("abc"))
    (numbers,) = engine.numbers()
    assert (numbers.open, numbers.speaking, numbers.waiting) == (3, 2, 2)
    model.gate.set()
    await anext(speaking)
    for utterance in (silent, speaking, waiting):
        utterance.cancel()
    (numbers,) = engine.numbers()
    assert (numbers.open, numbers.speaking, numbers.waiting) == (0, 0, 0)


async def test_a_release_is_counted_when_the_model_has_let_go(engine: Engine, model: ToneModel) -> None:
    model.gate.clear()
    cancelled, other = engine.open(LOW), engine.open(LOW)
    cancelled.say(Segment("abc"))
    await asyncio.to_thread(model.blocked.wait)
    cancelled.cancel()
    assert sum(engine.numbers()[0].release.counts) == 0  # it is in the middle of a step
    model.gate.set()
    other.say(Segment("a"))
    other.finish()
    assert len([frame async for frame in other]) == 1
    assert sum(engine.numbers()[0].release.counts) == 1
    assert ("release", cancelled.id) in model.log


async def test_a_segments_timing_comes_with_its_first_sound(engine: Engine, model: ToneModel) -> None:
    model.thinking = 3
    utterance = engine.open(LOW)
    utterance.say(Segment("ab"))
    utterance.say(Segment("c"))
    utterance.finish()
    assert [len(frame.pcm) > 0 async for frame in utterance] == [True] * 3
    timings = utterance.take_timings()
    assert len(timings) == 2
    for timing in timings:
        times = [timing.said, timing.prefill, timing.prefilled, timing.first_frame]
        assert all(earlier <= later for earlier, later in pairwise(times))
    assert timings[0].first_frame <= timings[1].prefill
    assert utterance.take_timings() == []


async def test_pages_are_those_of_a_model_that_has_some() -> None:
    assert not isinstance(ToneModel(), Paged)
    async with Engine(PagedTones, EngineConfig(max_streams=1)) as engine:
        assert engine.numbers()[0].pages == PageNumbers(3, 2, 10, 100, 40)


async def test_an_engine_that_loads_has_no_numbers() -> None:
    assert Engine(ToneModel).numbers() == []
