"""The engine with a real worker thread and a model of tones."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest
import pytest_asyncio

from engine import (
    Engine,
    EngineConfig,
    EngineState,
    EngineStopped,
    Frame,
    Overloaded,
    Segment,
    SpeechError,
    StreamOptions,
    UnknownVoice,
    Utterance,
)
from engine.errors import ModelGone
from tests.tones import FRAME, RATE, ToneModel, frequency

LOW = StreamOptions(("low",), paced=False)


class MortalToneModel(ToneModel):
    """One that says when it is ``gone``."""

    gone: Callable[[ModelGone], None]

    def watch(self, gone: Callable[[ModelGone], None]) -> None:
        self.gone = gone


@pytest.fixture
def model() -> ToneModel:
    return ToneModel()


@pytest_asyncio.fixture
async def engine(model: ToneModel) -> AsyncIterator[Engine]:
    async with Engine(lambda: model, EngineConfig(max_streams=4, max_untaken=2.0)) as engine:
        yield engine
        model.gate.set()


async def spoken(utterance: Utterance) -> list[Frame]:
    return [frame async for frame in utterance]


def pitch(frames: list[Frame]) -> float:
    pcm = np.concatenate([frame.pcm for frame in frames])
    return float(np.abs(np.fft.rfft(pcm)).argmax() * RATE / len(pcm))


async def test_segments_come_out_as_frames_in_order(engine: Engine) -> None:
    utterance = engine.open(LOW)
    utterance.say(Segment("abc"))
    utterance.say(Segment("de"))
    utterance.finish()
    frames = await spoken(utterance)
    assert [frame.last for frame in frames] == [False, False, True, False, True]
    assert all(len(frame.pcm) == FRAME for frame in frames)
    assert engine.open_streams == 0


async def test_word_times_count_from_the_start_of_the_utterance(engine: Engine) -> None:
    utterance = engine.open(LOW)
    utterance.say(Segment("ab cd"))
    utterance.say(Segment("ef"))
    utterance.finish()
    words = [word for frame in await spoken(utterance) for word in frame.words]
    assert [(word.text, round(word.start, 6), round(word.end, 6)) for word in words] == [
        ("ab", 0.0, 0.2),
        ("cd", 0.3, 0.5),
        ("ef", 0.5, 0.7),
    ]


async def test_the_model_runs_on_its_own_thread(engine: Engine, model: ToneModel) -> None:
    assert ("warm", "parrotfish-engine") in model.log
    assert threading.current_thread().name != "parrotfish-engine"


async def test_the_model_is_closed_on_its_thread_after_its_last_call(model: ToneModel) -> None:
    async with Engine(lambda: model) as engine:
        utterance = engine.open(LOW)
        utterance.say(Segment("abc"))
        utterance.finish()
        await spoken(utterance)
    assert [call for call in model.log if call[0] == "close"] == [model.log[-1]]
    assert model.log[-1] == ("close", "parrotfish-engine")


async def test_a_model_that_cannot_be_warmed_is_closed(model: ToneModel, monkeypatch) -> None:
    def fail() -> None:
        raise ValueError("cold")

    closed = threading.Event()
    monkeypatch.setattr(model, "warm", fail)
    monkeypatch.setattr(model, "close", closed.set)
    with pytest.raises(ValueError, match="cold"):
        await Engine(lambda: model).start()
    assert await asyncio.to_thread(closed.wait, 10)


async def test_the_event_loop_turns_while_the_model_computes(engine: Engine, model: ToneModel) -> None:
    model.gate.clear()
    utterance = engine.open(LOW)
    utterance.say(Segment("a"))
    utterance.finish()
    first = asyncio.ensure_future(anext(utterance))
    for _ in range(100):
        await asyncio.sleep(0)
    assert not first.done()
    model.gate.set()
    assert (await first).last


async def test_each_speaker_has_its_voice(engine: Engine) -> None:
    utterance = engine.open(StreamOptions(("low", "high"), paced=False))
    utterance.say(Segment("aaaa", speaker=0))
    utterance.say(Segment("bbbb", speaker=1))
    utterance.finish()
    frames = await spoken(utterance)
    assert pitch(frames[:4]) == pytest.approx(frequency("low"), abs=3)
    assert pitch(frames[4:]) == pytest.approx(frequency("high"), abs=3)


async def test_speed_beyond_the_model_s_own_is_stretched_in_time(engine: Engine) -> None:
    utterance = engine.open(StreamOptions(("low",), speed=2.0, paced=False))
    for text in ("aaaaaaaa bbbbbbbb", "cc"):
        utterance.say(Segment(text))
    utterance.finish()
    frames = await spoken(utterance)
    assert sum(len(frame.pcm) for frame in frames) == 19 * FRAME / 2
    assert pitch(frames) == pytest.approx(frequency("low"), abs=3)
    words = [(word.text, round(word.start, 2)) for frame in frames for word in frame.words]
    assert words == [("aaaaaaaa", 0.0), ("bbbbbbbb", 0.45), ("cc", 0.85)]


async def test_streams_do_not_mix(engine: Engine) -> None:
    low, high = engine.open(LOW), engine.open(StreamOptions(("high",), paced=False))
    for utterance in (low, high):
        utterance.say(Segment("abcdefgh"))
        utterance.finish()
    heard = await asyncio.gather(spoken(low), spoken(high))
    assert [round(pitch(frames)) for frames in heard] == [250, 1000]


async def test_an_unknown_voice_is_refused_by_name(engine: Engine) -> None:
    with pytest.raises(UnknownVoice, match=r"'nobody'.*low, high"):
        engine.open(StreamOptions(("nobody",)))
    assert engine.open_streams == 0


async def test_one_stream_too_many_is_refused_and_the_others_go_on(engine: Engine) -> None:
    utterances = [engine.open(LOW) for _ in range(engine.max_streams)]
    for utterance in utterances:
        utterance.say(Segment("a" * 50))
        utterance.finish()
    assert not engine.has_room
    with pytest.raises(Overloaded, match="4 of 4"):
        engine.open(LOW)
    assert [len(frames) for frames in await asyncio.gather(*map(spoken, utterances))] == [50] * 4
    engine.open(LOW).cancel()


async def test_refusals_hold_on_to_nothing(engine: Engine) -> None:
    """Each is an exception of its own: a shared one would keep the frames of all who met it."""
    await engine.drain(0)
    refusals = []
    for _ in range(2):
        with pytest.raises(EngineStopped) as refusal:
            engine.open(LOW)
        refusals.append(refusal.value)
    assert refusals[0] is not refusals[1]


async def test_cancel_frees_the_slot_at_once_and_nothing_comes_after_it(
    engine: Engine, model: ToneModel
) -> None:
    utterance = engine.open(LOW)
    utterance.say(Segment("a" * 100))
    await anext(utterance)
    utterance.cancel()
    assert engine.open_streams == 0
    assert await spoken(utterance) == []
    utterance.cancel()
    other = engine.open(LOW)  # its first frame comes from a later turn, by which the model has let go
    other.say(Segment("a"))
    other.finish()
    await spoken(other)
    assert utterance.id not in model.held


async def test_cancel_in_the_middle_of_a_step(engine: Engine, model: ToneModel) -> None:
    model.gate.clear()
    utterance = engine.open(LOW)
    utterance.say(Segment("abc"))
    waiting = asyncio.ensure_future(anext(utterance, None))
    await asyncio.to_thread(model.blocked.wait)
    utterance.cancel()
    assert engine.open_streams == 0
    model.gate.set()
    assert await waiting is None


async def test_an_utterance_with_nothing_to_say_ends(engine: Engine) -> None:
    utterance = engine.open(LOW)
    utterance.finish()
    assert await spoken(utterance) == []
    assert engine.open_streams == 0


async def test_say_after_finish_is_a_mistake_of_the_caller(engine: Engine) -> None:
    utterance = engine.open(LOW)
    utterance.finish()
    with pytest.raises(RuntimeError, match="finish"):
        utterance.say(Segment("a"))
    utterance.cancel()


@pytest.mark.parametrize("text", ["unspeakable", "breaks"])
async def test_a_failing_stream_ends_alone_and_keeps_what_was_spoken(engine: Engine, text: str) -> None:
    bad, good = engine.open(LOW), engine.open(LOW)
    bad.say(Segment("ab"))
    bad.say(Segment(text))
    good.say(Segment("abcdef"))
    good.finish()
    frames = [await anext(bad), await anext(bad)]
    assert frames[-1].last
    with pytest.raises(SpeechError, match=text):
        await anext(bad)
    assert len(await spoken(good)) == 6
    assert engine.open_streams == 0


async def test_a_model_may_read_several_prompts_at_once_and_hand_out_nothing_meanwhile() -> None:
    model = ToneModel(max_prefills=2, thinking=3)
    async with Engine(lambda: model, EngineConfig(max_streams=2)) as engine:
        model.gate.clear()
        utterances = [engine.open(StreamOptions((voice,))) for voice in ("low", "high")]
        for utterance in utterances:
            utterance.say(Segment("ab"))
            utterance.finish()
        model.gate.set()
        for utterance in utterances:
            frames = [frame async for frame in utterance]
            assert [len(frame.pcm) for frame in frames] == [FRAME, FRAME]
            assert frames[-1].last


async def test_audio_that_is_not_taken_stops_the_stream_not_the_engine(
    engine: Engine, model: ToneModel
) -> None:
    slow = engine.open(LOW)
    slow.say(Segment("a" * 100))
    slow.finish()
    other = engine.open(LOW)
    other.say(Segment("b" * 50))
    other.finish()
    assert len(await spoken(other)) == 50
    steps = sum(slow.id in streams for name, streams in model.log if name == "step")  # type: ignore[operator]
    assert steps <= 2.0 / 0.1 + 1
    assert len(await spoken(slow)) == 100


async def test_paced_streams_are_held_back_ahead_of_their_listener(model: ToneModel) -> None:
    config = EngineConfig(max_streams=4, max_ahead=1.0, max_untaken=100.0)
    async with Engine(lambda: model, config) as engine:
        live, download = engine.open(StreamOptions(("low",))), engine.open(LOW)
        for utterance in (live, download):
            utterance.say(Segment("a" * 60))
            utterance.finish()
        assert len(await spoken(download)) == 60
        steps = sum(live.id in streams for name, streams in model.log if name == "step")  # type: ignore[operator]
        assert 10 <= steps < 60
        live.cancel()


async def test_a_dead_worker_ends_every_stream_with_the_reason(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    crashing, other = engine.open(LOW), engine.open(LOW)
    crashing.say(Segment("crash"))
    for utterance in (crashing, other):
        # Its class, and no more: what an error says may quote the text of another client.
        with pytest.raises(EngineStopped, match=r"died: SystemExit$"):
            await anext(utterance)
    assert not engine.ready
    with pytest.raises(EngineStopped, match="died"):
        engine.open(LOW)
    assert "worker died" in caplog.text


async def test_a_model_that_is_gone_ends_its_engine_though_nobody_speaks() -> None:
    model = MortalToneModel()
    async with Engine(lambda: model, EngineConfig(max_streams=4)) as engine:
        waiting = engine.open(LOW)  # with nothing to say
        model.gone(ModelGone("it went away"))
        with pytest.raises(EngineStopped, match=r"died: ModelGone$"):
            await anext(waiting)
        assert engine.state is EngineState.FAILED


@pytest.mark.parametrize("call", ["prefill", "step"])
async def test_a_model_that_is_gone_ends_its_engine_with_the_first_call(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise ModelGone("it went away")

    model = ToneModel()
    monkeypatch.setattr(model, call, gone)
    async with Engine(lambda: model, EngineConfig(max_streams=4)) as engine:
        asking, other = engine.open(LOW), engine.open(LOW)
        asking.say(Segment("abc"))
        for utterance in (asking, other):
            with pytest.raises(EngineStopped, match=r"died: ModelGone$"):
                await anext(utterance)
        assert engine.state is EngineState.FAILED


async def test_steps_that_fail_as_a_whole_end_their_streams_and_three_in_a_row_the_engine(
    engine: Engine,
) -> None:
    async def say(text: str) -> None:
        utterance = engine.open(LOW)
        utterance.say(Segment(text))
        utterance.finish()
        await spoken(utterance)

    for text in ("boom", "boom", "fine", "boom", "boom"):
        if text == "fine":
            await say(text)  # what works in between counts anew
            continue
        with pytest.raises(SpeechError, match="the model failed"):
            await say(text)
        assert engine.ready
    with pytest.raises(EngineStopped, match=r"died: ValueError$"):
        await say("boom")
    assert engine.state is EngineState.FAILED


async def test_a_model_that_cannot_load_says_why() -> None:
    def broken() -> ToneModel:
        raise FileNotFoundError("no weights in /models")

    engine = Engine(broken)
    with pytest.raises(FileNotFoundError, match="no weights"):
        await engine.start()
    assert engine.state is EngineState.FAILED
    with pytest.raises(EngineStopped, match="no weights"):
        engine.open(LOW)
    await engine.stop()


async def test_capacity_is_measured_unless_it_is_given(model: ToneModel) -> None:
    async with Engine(lambda: model) as engine:
        assert 4 <= engine.max_streams <= 512
        assert not model.held


async def test_drain_lets_utterances_finish_and_refuses_new_ones(engine: Engine) -> None:
    utterance = engine.open(LOW)
    utterance.say(Segment("abc"))
    utterance.finish()
    draining = asyncio.ensure_future(engine.drain(grace=30.0))
    await asyncio.sleep(0)
    assert not engine.ready
    with pytest.raises(EngineStopped, match="shutting down"):
        engine.open(LOW)
    assert not draining.done()
    assert len(await spoken(utterance)) == 3
    await draining


async def test_drain_does_not_wait_for_streams_that_are_silent(engine: Engine) -> None:
    engine.open(LOW)  # open, like a client's socket between two turns
    await engine.drain(grace=60.0)


async def test_drain_of_an_engine_without_streams_is_done(engine: Engine) -> None:
    assert engine.state is EngineState.READY
    await engine.drain(grace=60.0)
    assert engine.state is EngineState.DRAINING


async def test_stop_ends_what_the_grace_period_did_not(engine: Engine, model: ToneModel) -> None:
    model.gate.clear()
    utterance = engine.open(LOW)
    utterance.say(Segment("abc"))
    stopping = asyncio.ensure_future(engine.stop(grace=0.0))
    with pytest.raises(EngineStopped, match="shutting down"):
        await anext(utterance)
    model.gate.set()
    await stopping
