"""The speaker between a session and a real engine that speaks tones."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import pytest_asyncio

from engine import Engine, EngineConfig, Overloaded, Segment, SpeechError, StreamOptions
from engine.audio import AudioStream, output_format
from realtime import (
    Audio,
    Cancelled,
    Encoders,
    Event,
    Finished,
    Flushed,
    Log,
    Session,
    Speaker,
    SpeechRequest,
)
from realtime.speaker import FEW_OUTPUTS, LITTLE_TEXT, MAX_OUTPUTS
from tests.tones import FRAME, RATE, ToneModel


@pytest.fixture
def model() -> ToneModel:
    return ToneModel()


@pytest_asyncio.fixture
async def engine(model: ToneModel) -> AsyncIterator[Engine]:
    async with Engine(lambda: model, EngineConfig(max_streams=2)) as engine:
        yield engine
        model.gate.set()


@pytest_asyncio.fixture
async def speaker(engine: Engine) -> AsyncIterator[Speaker]:
    with ThreadPoolExecutor(2) as encoder:
        speaker = Speaker(engine, Encoders(encoder, encoder), Session(max_pending=10_000))
        yield speaker
        speaker.disconnect()


def request(*voices: str) -> SpeechRequest:
    return SpeechRequest(
        StreamOptions(voices or ("low",), paced=False),
        output_format("pcm", 8000),
        min_chunk_length=0,
        normalize_loudness=False,
        normalize=False,
    )


async def until_finished(speaker: Speaker) -> list[Event]:
    events: list[Event] = []
    async for _, event, _ in speaker:
        events.append(event)
        if isinstance(event, Finished):
            return events
    raise AssertionError("ended without finish")


def samples(events: list[Event]) -> np.ndarray:  # type: ignore[type-arg]
    data = b"".join(event.data for event in events if isinstance(event, Audio))
    return np.frombuffer(data, "<i2")


async def test_text_becomes_the_bytes_of_its_speech(speaker: Speaker, engine: Engine) -> None:
    speaker.start(request())
    speaker.text("Hello the")
    speaker.text("re.")
    speaker.stop()
    events = await until_finished(speaker)
    assert events[-1] == Finished()
    assert len(samples(events)) == len("Hello there.") * FRAME
    assert engine.open_streams == 0


async def test_words_come_with_the_audio_in_which_they_begin(speaker: Speaker) -> None:
    speaker.start(request())
    speaker.text("One two. Three")
    speaker.stop()
    events = await until_finished(speaker)
    words = [word for event in events if isinstance(event, Audio) for word in event.words]
    assert [word.text for word in words] == ["One", "two.", "Three"]
    assert [round(word.start, 3) for word in words] == [0.0, 0.4, 0.8]


async def test_silence_is_announced_after_a_flush(speaker: Speaker) -> None:
    speaker.start(request())
    speaker.text("One")
    speaker.flush()
    async for _, event, _ in speaker:
        if isinstance(event, Audio) and event.silence:
            break
    speaker.text("two")
    speaker.stop()
    assert len(samples(await until_finished(speaker))) == 3 * FRAME


async def test_speakers_switch_voice_within_one_stream(speaker: Speaker) -> None:
    speaker.start(request("low", "high"))
    speaker.text("<|speaker:0|>aaaaaaaa<|speaker:1|>bbbbbbbb")
    speaker.stop()
    pcm = samples(await until_finished(speaker))
    halves = [np.abs(np.fft.rfft(part)).argmax() * RATE / len(part) for part in np.split(pcm, 2)]
    assert halves == pytest.approx([250, 1000], abs=3)


async def test_a_failure_is_told_after_what_was_spoken(speaker: Speaker) -> None:
    speaker.start(request())
    speaker.text("Fine. ")
    speaker.flush()
    speaker.text("unspeakable")
    speaker.stop()
    events = await until_finished(speaker)
    assert len(samples(events)) == len("Fine.") * FRAME
    assert events[-2] == Log("cannot speak 'unspeakable'")
    assert isinstance(events[-1], Finished)
    assert isinstance(events[-1].cause, SpeechError)


async def test_a_full_engine_is_told_as_such(speaker: Speaker, engine: Engine) -> None:
    others = [engine.open(StreamOptions(("low",))) for _ in range(2)]
    for other in others:
        other.say(Segment("a" * 100))
    speaker.start(request())
    finished = (await until_finished(speaker))[-1]
    assert isinstance(finished, Finished)
    assert isinstance(finished.cause, Overloaded)
    for other in others:
        other.cancel()
    speaker.start(request())
    speaker.text("Now.")
    speaker.stop()
    assert (await until_finished(speaker))[-1] == Finished()


async def test_disconnect_ends_the_iteration_and_frees_the_engine(
    speaker: Speaker, engine: Engine, model: ToneModel
) -> None:
    model.gate.clear()
    speaker.start(request())
    speaker.text("A long story.")
    speaker.stop()
    waiting = asyncio.ensure_future(anext(speaker, None))
    await asyncio.to_thread(model.blocked.wait)
    speaker.disconnect()
    assert engine.open_streams == 0
    model.gate.set()
    assert await waiting is None


async def test_nothing_of_a_broken_off_utterance_leaves_after_its_finish(speaker: Speaker) -> None:
    for _ in range(20):
        speaker.start(request("low"))
        speaker.text("An old and long story about nothing at all.")
        speaker.flush()
        await anext(speaker)
        speaker.reject("enough")
        events = await until_finished(speaker)
        assert [type(event) for event in events[-2:]] == [Log, Finished]
        speaker.start(request("high"))
        speaker.text("bbbb")
        speaker.stop()
        pcm = samples(await until_finished(speaker))
        assert len(pcm) == 4 * FRAME
        assert np.abs(np.fft.rfft(pcm)).argmax() * RATE / len(pcm) == pytest.approx(1000, abs=3)


async def test_a_writer_who_pauses_is_heard_without_a_flush(speaker: Speaker) -> None:
    speaker.start(request())
    speaker.text("It costs $3.14.")
    _, event, _ = await anext(speaker)
    assert isinstance(event, Audio)
    assert event.data


async def test_no_speech_is_still_a_stream(speaker: Speaker) -> None:
    speaker.start(request())
    speaker.text("  ")
    speaker.stop()
    events = await until_finished(speaker)
    assert events[-1] == Finished()
    assert len(samples(events)) > 0


async def test_room_is_what_a_fast_writer_waits_for(engine: Engine) -> None:
    with ThreadPoolExecutor(1) as encoder:
        speaker = Speaker(engine, Encoders(encoder, encoder))
        speaker.start(request())
        await speaker.room()
        speaker.text("a. " * LITTLE_TEXT)
        room = asyncio.ensure_future(speaker.room())
        await asyncio.sleep(0)
        assert not room.done()
        speaker.disconnect()
        await room


async def test_heeded_is_what_a_reader_of_a_client_waits_for(speaker: Speaker) -> None:
    for _ in range(FEW_OUTPUTS):
        speaker.warn("nonsense")
    await speaker.heeded()
    speaker.warn("nonsense")
    heeded = asyncio.ensure_future(speaker.heeded())
    await asyncio.sleep(0)
    assert not heeded.done()
    await anext(speaker)
    await heeded
    speaker.warn("nonsense")
    heeded = asyncio.ensure_future(speaker.heeded())
    await asyncio.sleep(0)
    assert not heeded.done()
    speaker.disconnect()
    await heeded


async def test_cancel_leaves_nothing_behind(speaker: Speaker, engine: Engine) -> None:
    for _ in range(20):
        speaker.start(request("low"))
        speaker.text("An old and long story about nothing at all.")
        speaker.flush()
        await anext(speaker)
        speaker.cancel()
        assert engine.open_streams == 0
        async for _, event, _ in speaker:
            if isinstance(event, Cancelled):
                break
        speaker.start(request("high"))
        speaker.text("bbbb")
        speaker.stop()
        pcm = samples(await until_finished(speaker))
        assert len(pcm) == 4 * FRAME
        assert np.abs(np.fft.rfft(pcm)).argmax() * RATE / len(pcm) == pytest.approx(1000, abs=3)


async def test_flushed_comes_behind_the_audio_of_its_text(speaker: Speaker) -> None:
    speaker.start(request())
    speaker.text("One")
    speaker.flush()
    events: list[Event] = []
    async for _, event, _ in speaker:
        events.append(event)
        if isinstance(event, Flushed):
            break
    assert len(samples(events)) == 3 * FRAME


async def test_contexts_speak_side_by_side(speaker: Speaker) -> None:
    for context, voice in (("a", "low"), ("b", "high")):
        speaker.start(request(voice), context)
        speaker.text("A story that takes its time to tell, and then some more of it.", context)
        speaker.stop(context)
    heard: dict[str, list[Event]] = {"a": [], "b": []}
    finished = 0
    async for context, event, _ in speaker:
        heard[context].append(event)
        finished += isinstance(event, Finished)
        if finished == 2:
            break
    for context, pitch in (("a", 250), ("b", 1000)):
        pcm = samples(heard[context])
        assert np.abs(np.fft.rfft(pcm)).argmax() * RATE / len(pcm) == pytest.approx(pitch, abs=3)


async def test_a_failing_encoder_ends_its_utterance_and_no_other(
    speaker: Speaker, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaker.start(request())
    with monkeypatch.context() as patch:
        patch.setattr(AudioStream, "write", lambda *_: 1 / 0)
        speaker.text("Hello there.")
        speaker.flush()
        finished = (await until_finished(speaker))[-1]
    assert isinstance(finished, Finished)
    assert isinstance(finished.cause, SpeechError)
    assert engine.open_streams == 0
    speaker.start(request())
    speaker.text("Again.")
    speaker.stop()
    assert (await until_finished(speaker))[-1] == Finished()


async def test_a_client_that_does_not_read_what_it_provokes_is_cut_off(speaker: Speaker) -> None:
    for _ in range(MAX_OUTPUTS + 1):
        speaker.warn("nonsense")
    assert await anext(speaker, None) is None
    assert speaker.heedless


async def test_a_second_flush_is_not_told_before_what_the_encoder_holds_back(speaker: Speaker) -> None:
    speaker.start(request())
    speaker.text("One.")
    speaker.flush()
    events: list[Event] = []
    async for _, event, _ in speaker:
        events.append(event)
        if sum(event.seconds for event in events if isinstance(event, Audio)) > 0.39:
            break
    speaker.flush()
    async for _, event, _ in speaker:
        events.append(event)
        if events.count(Flushed()) == 2:
            break
    before = events[: events.index(Flushed())]
    assert any(isinstance(event, Audio) and event.silence for event in before)
