"""Voices that are cloned while the model speaks."""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from engine import Engine, EngineConfig, EngineStopped
from engine.errors import SpeechError
from engine.models.dual_ar import DualARModel
from engine.models.dual_ar.load import PAGE_SIZE
from engine.models.dual_ar.voices import LONGEST, Codes, Voices, speakers
from engine.speech import Pcm, Reference, Segment, StreamId, StreamOptions
from tests.engine.models.dual_ar.babble import model
from tests.engine.models.dual_ar.test_model import TEXT, options, spoken
from tests.tones import recording


@pytest.fixture(scope="module")
def babble() -> DualARModel:
    made = model()
    made.warm()
    return made


def positions_read(made: DualARModel, stream: int, voice: str, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many positions of a stream's prompt were computed, rather than found in the cache."""
    counts: list[int] = []
    run = made._batcher._run_read

    def spy(chunks: Sequence[tuple[int, int]], rows: list[Any]) -> Iterable[Any]:
        counts.extend(count for _, count in chunks)
        return run(chunks, rows)

    with monkeypatch.context() as patched:
        patched.setattr(made._batcher, "_run_read", spy)
        spoken(made, stream, TEXT, options(voice))
    return sum(counts)


def test_a_learned_voice_speaks_as_itself_and_is_forgotten(babble: DualARModel) -> None:
    assert babble.info.clones
    babble.learn("anna", [recording(300, "Hello there."), recording(350, "And again.")])
    babble.learn("bert", [recording(700, "Hello there.")])
    anna, again, bert = (
        spoken(babble, 800 + number, TEXT, options(voice))
        for number, voice in enumerate(("anna", "anna", "bert"))
    )
    np.testing.assert_allclose(anna, again, atol=1e-4)
    assert len(bert) != len(anna) or not np.allclose(bert, anna, atol=1e-2)
    babble.forget("anna")
    babble.forget("anna")
    with pytest.raises(SpeechError, match="'anna' is not known any more"):
        babble.prefill(StreamId(810), Segment(TEXT), options("anna"))
    babble.release(StreamId(810))
    babble.forget("default")
    assert len(spoken(babble, 811, TEXT, options()))


def test_the_second_stream_of_a_voice_reads_its_text_alone(
    babble: DualARModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = recording(500, "A sentence that is spoken for a while.", seconds=5)
    babble.learn("carol", [reference])
    prompt = len(babble._prompts.system(speakers([babble._voices.want("carol").result()])))
    text = len(babble._prompts.user(TEXT, 0))
    assert prompt > 100
    assert (
        positions_read(babble, 820, "carol", monkeypatch) > prompt / 2 + text
    )  # it begins like those before
    assert positions_read(babble, 821, "carol", monkeypatch) < PAGE_SIZE + text  # but for the last page
    # What is in the cache is told by content: the same recording under another id is found, too.
    babble.learn("carol again", [reference])
    assert positions_read(babble, 822, "carol again", monkeypatch) < PAGE_SIZE + text


def test_recordings_beyond_what_is_of_use_are_left_out() -> None:
    lengths: list[int] = []

    def encode(pcm: Pcm) -> Codes:
        lengths.append(len(pcm))
        return np.zeros((10, 1), np.int64)

    voices = Voices({}, lambda: encode, 1000)
    half = Reference(np.zeros(round(LONGEST * 500), np.float32), 1000, "")
    voices.learn("anna", [half] * 3)
    assert lengths == [len(half.pcm)] * 2
    with pytest.raises(SpeechError, match=r"recording is 180 s long.*up to 120 s"):
        voices.learn("bert", [Reference(np.tile(half.pcm, 3), 1000, "")])
    with pytest.raises(SpeechError, match="not known"):
        voices.want("bert")
    voices.close()


async def test_an_engine_clones_while_it_speaks() -> None:
    async with Engine(lambda: model(), EngineConfig(max_streams=2)) as engine:
        first = engine.open(StreamOptions(("default",), paced=False))
        first.say(Segment(TEXT))
        first.finish()
        await engine.learn("anna", [recording(300, "Hello there.")])
        second = engine.open(StreamOptions(("anna", "default"), paced=False))
        second.say(Segment(TEXT))
        second.finish()
        for utterance in (first, second):
            assert sum([len(frame.pcm) async for frame in utterance])


async def test_an_engine_that_stops_ends_a_lesson() -> None:
    engine = Engine(lambda: model(), EngineConfig(max_streams=2))
    await engine.start()
    lessons = [
        asyncio.ensure_future(engine.learn(f"{number}", [recording(300, "Hello.")])) for number in range(3)
    ]
    await asyncio.sleep(0)
    await engine.stop()
    for outcome in await asyncio.gather(*lessons, return_exceptions=True):
        assert outcome is None or isinstance(outcome, EngineStopped)
