"""Voices that an engine learns from recordings while it speaks."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
import pytest_asyncio

from engine import (
    Engine,
    EngineConfig,
    EngineStopped,
    Overloaded,
    Reference,
    Segment,
    SpeechError,
    StreamOptions,
    UnknownVoice,
)
from tests.tones import RATE, ToneModel, recording

SILENCE = Reference(np.zeros(44_100, np.float32), 44_100, "")


@pytest.fixture
def model() -> ToneModel:
    return ToneModel()


@pytest_asyncio.fixture
async def engine(model: ToneModel) -> AsyncIterator[Engine]:
    async with Engine(lambda: model, EngineConfig(max_streams=4, max_learned=3, max_learning=2)) as engine:
        yield engine
        model.lessons.set()


async def heard(engine: Engine, voice: str) -> float:
    """The tone of a voice, in Hz."""
    utterance = engine.open(StreamOptions((voice,), paced=False))
    utterance.say(Segment("aaaaaaaaaa"))
    utterance.finish()
    pcm = np.concatenate([frame.pcm async for frame in utterance])
    return float(np.abs(np.fft.rfft(pcm)).argmax() * RATE / len(pcm))


def lessons(model: ToneModel) -> list[object]:
    return [voice for call, voice in model.log if call == "learn"]


async def test_a_voice_is_spoken_with_once_it_is_learned(engine: Engine) -> None:
    assert engine.knows("low")
    assert not engine.knows("anna")
    with pytest.raises(UnknownVoice, match="anna"):
        engine.open(StreamOptions(("anna",)))
    await engine.learn("anna", [recording(440)])
    assert engine.knows("anna")
    assert await heard(engine, "anna") == pytest.approx(440, abs=2)
    assert await heard(engine, "low") == pytest.approx(250, abs=2)


async def test_a_known_voice_is_not_learned_again(engine: Engine, model: ToneModel) -> None:
    for _ in range(3):
        await engine.learn("anna", [recording(440)])
    assert lessons(model) == ["anna"]


async def test_who_wants_the_same_voice_at_once_shares_the_lesson(engine: Engine, model: ToneModel) -> None:
    await asyncio.gather(*(engine.learn("anna", [recording(440)]) for _ in range(5)))
    assert lessons(model) == ["anna"]


async def test_who_gives_up_leaves_the_lesson_to_the_others(engine: Engine, model: ToneModel) -> None:
    model.lessons.clear()
    first, second = (asyncio.ensure_future(engine.learn("anna", [recording(440)])) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    model.lessons.set()
    await second
    assert lessons(model) == ["anna"]
    assert engine.knows("anna")


async def test_the_engine_speaks_while_a_voice_is_learned(engine: Engine, model: ToneModel) -> None:
    model.lessons.clear()
    lesson = asyncio.ensure_future(engine.learn("anna", [recording(440)]))
    assert await heard(engine, "high") == pytest.approx(1000, abs=2)
    assert not lesson.done()
    model.lessons.set()
    await lesson


async def test_what_cannot_be_learned_leaves_nothing_and_may_be_tried_again(
    engine: Engine, model: ToneModel
) -> None:
    outcomes = await asyncio.gather(
        *(engine.learn("anna", [SILENCE]) for _ in range(2)), return_exceptions=True
    )
    assert all(isinstance(outcome, SpeechError) and "silent" in str(outcome) for outcome in outcomes)
    assert outcomes[0] is not outcomes[1]
    assert not engine.knows("anna")
    await engine.learn("anna", [recording(440)])
    assert model.learned == {"anna": pytest.approx(440, abs=1)}


async def test_an_error_of_the_model_is_not_told_to_clients(
    engine: Engine, model: ToneModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(voice: str, references: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(model, "learn", fail)
    with pytest.raises(SpeechError, match="model failed on these recordings"):
        await engine.learn("anna", [recording(440)])
    assert "secret" in caplog.text


async def test_the_model_s_own_voices_and_voices_without_recordings_are_not_learned(engine: Engine) -> None:
    with pytest.raises(SpeechError, match=r"'low' is a voice of the model itself"):
        await engine.learn("low", [recording(440)])
    with pytest.raises(SpeechError, match=r"no recording of 'anna'"):
        await engine.learn("anna", [])


async def test_the_voice_that_was_not_used_for_longest_is_forgotten(engine: Engine, model: ToneModel) -> None:
    for number, voice in enumerate("abc"):
        await engine.learn(voice, [recording(300 + 100 * number)])
    await heard(engine, "a")
    await engine.learn("b", [recording(400)])  # used, too
    await engine.learn("d", [recording(600)])
    assert [voice for voice in "abcd" if engine.knows(voice)] == ["a", "b", "d"]
    assert sorted(model.learned) == ["a", "b", "d"]


async def test_a_voice_of_a_stream_is_never_forgotten(engine: Engine, model: ToneModel) -> None:
    await engine.learn("a", [recording(300)])
    streams = [engine.open(StreamOptions((voice, "a"))) for voice in ("low", "a")]
    for voice in "bcdef":
        await engine.learn(voice, [recording(500)])
    assert engine.knows("a")
    streams[0].cancel()
    await engine.learn("g", [recording(500)])
    assert engine.knows("a")
    streams[1].cancel()
    await engine.learn("h", [recording(500)])
    assert not engine.knows("a")
    assert len(model.learned) == 3


async def test_streams_may_have_more_voices_than_are_remembered(engine: Engine) -> None:
    streams = []
    for voice in "abcd":
        await engine.learn(voice, [recording(300)])
        streams.append(engine.open(StreamOptions((voice,))))
    assert all(map(engine.knows, "abcd"))
    for stream in streams:
        stream.cancel()
    await engine.learn("e", [recording(300)])
    assert sum(map(engine.knows, "abcde")) == 3


async def test_one_voice_too_many_at_once_is_refused(engine: Engine, model: ToneModel) -> None:
    model.lessons.clear()
    waiting = [asyncio.ensure_future(engine.learn(voice, [recording(440)])) for voice in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="2 voices"):
        await engine.learn("c", [recording(440)])
    model.lessons.set()
    await asyncio.gather(*waiting)


async def test_an_engine_that_stops_learns_nothing_more(model: ToneModel) -> None:
    engine = Engine(lambda: model)
    with pytest.raises(EngineStopped, match="loading"):
        await engine.learn("anna", [recording(440)])
    await engine.start()
    model.lessons.clear()
    lesson = asyncio.ensure_future(engine.learn("anna", [recording(440)]))
    await asyncio.sleep(0)
    stopping = asyncio.ensure_future(engine.stop())
    await asyncio.sleep(0)
    model.lessons.set()
    await stopping
    with pytest.raises(EngineStopped, match="shutting down"):
        await lesson
    with pytest.raises(EngineStopped, match="shutting down"):
        await engine.learn("bert", [recording(440)])
