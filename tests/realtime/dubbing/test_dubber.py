import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engine import Engine, EngineConfig, EngineStopped, StreamOptions
from engine.audio import decode, output_format
from engine.models.hibari import HibariModel
from realtime import Encoders, Speaker, SpeechRequest
from realtime.dubbing import (
    Caption,
    Dubber,
    Ended,
    Limits,
    LineReport,
    ListenerTooSlow,
    LiveDub,
    Started,
    Unspeakable,
    dub,
)
from tests.realtime.dubbing.dubbed import words_wrong

WAV = output_format("wav", 24_000)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as threads:
        yield threads


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with Engine(HibariModel, EngineConfig(max_streams=4)) as engine:
        yield engine
        assert engine.open_streams == 0


async def ask(caption: Caption) -> SpeechRequest:
    if caption.voice == "nobody":
        raise Unspeakable("voice: got 'nobody'; expected one that there is")
    if caption.voice == "bankrupt":
        raise PermissionError("credit is out")
    return SpeechRequest(StreamOptions(voices=(caption.voice or "heart",)), WAV)


def dubber(engine: Engine, pool: ThreadPoolExecutor, limits: Limits | None = None) -> Dubber:
    encoders = Encoders(pool, pool)
    return Dubber(lambda: Speaker(engine, encoders), pool, engine.info, ask, WAV, limits=limits)


async def dubbed(
    engine, pool, *captions: Caption, seconds: float = 0.0
) -> tuple[np.ndarray, list[LineReport]]:
    data, reports = b"", []
    async with dubber(engine, pool) as one:
        async for made in dub(one, captions, seconds):
            data += made.data
            reports += [event.report for event in made.events if isinstance(event, Ended)]
    return decode(data)[0], sorted(reports, key=lambda report: report.caption.start)


async def test_two_voices_at_a_time_are_both_heard_and_one_after_the_other_understood(engine, pool):
    captions = (
        Caption("1", 0.5, 3, "The ship came home in the evening."),
        Caption("2", 1.0, 4, "Nobody was waiting at the harbour.", "walter"),
        Caption("3", 5.0, 8, "The sea had been calm all day."),
    )
    pcm, reports = await dubbed(engine, pool, *captions, seconds=10)
    assert pcm.size == 10 * 24_000
    assert [report.start for report in reports] == [0.5, 1.0, 5.0]
    assert reports[0].end > reports[1].start
    assert not pcm[: round(0.49 * 24_000)].any()
    assert words_wrong(captions[2].text, pcm, 24_000, 5.0, reports[2].end) == 0


async def test_what_cannot_be_spoken_is_reported_and_the_rest_is_heard(engine, pool):
    captions = (
        Caption("1", 0, 1, "Hello there.", "nobody"),
        Caption("2", 1, 2, "[music]"),
        Caption("3", 2, 3, "   "),
        Caption("4", 3, 5, "Good morning to you."),
    )
    _, (first, second, third, fourth) = await dubbed(engine, pool, *captions)
    assert (first.outcome, first.reason.partition(":")[0]) == ("missed", "voice")
    assert second.outcome == third.outcome == "silent"
    assert (fourth.outcome, fourth.start) == ("spoken", 3)


async def test_more_lines_than_the_engine_has_room_for_and_all_at_once(engine, pool):
    others = [engine.open(StreamOptions(voices=("heart",))) for _ in range(13)]
    captions = [Caption(str(n), 1.0, 3.0, "Good morning.", "abcdefghij"[n]) for n in range(10)]

    async def by_number(_: Caption) -> SpeechRequest:
        return SpeechRequest(StreamOptions(voices=("heart",)), WAV)

    one = Dubber(lambda: Speaker(engine, Encoders(pool, pool)), pool, engine.info, by_number, WAV)
    async with one:
        events = [event async for made in dub(one, captions) for event in made.events]
    assert [event.at for event in events if isinstance(event, Started)][:8] == [1.0] * 8
    outcomes = [event.report.outcome for event in events if isinstance(event, Ended)]
    assert outcomes == ["spoken"] * 10
    for other in others:
        other.cancel()


async def test_whatever_else_goes_wrong_ends_the_dub(engine, pool):
    with pytest.raises(PermissionError):
        await dubbed(engine, pool, Caption("1", 0, 1, "Hello there.", "bankrupt"))


async def test_an_engine_that_stops_ends_the_dub(pool):
    async with Engine(HibariModel, EngineConfig(max_streams=4)) as engine:
        one = dubber(engine, pool)
        async with one:
            await engine.stop()
            with pytest.raises(EngineStopped):
                async for _ in dub(one, [Caption("1", 0, 1, "Hello there.")]):
                    pass


async def test_a_live_feed_is_heard_at_the_captions_times(engine, pool):
    async with dubber(engine, pool) as one:
        live = LiveDub(one, clock=100.0, delay=0.6)
        assert live.clock == pytest.approx(100.0, abs=0.1)
        live.put(Caption("1", 100.0, 101.0, "Good morning."))
        live.put(Caption("2", 100.5, 101.0, "Never to be heard."))
        live.remove("2")
        live.stop()
        made = [made async for made in live]
    (started,) = [event for one in made for event in one.events if isinstance(event, Started)]
    assert started.report.drift == pytest.approx(0, abs=1e-6)
    assert started.at == pytest.approx(0.6, abs=0.05)
    pcm, rate = decode(b"".join(one.data for one in made))
    assert not pcm[: round((started.at - 0.02) * rate)].any()
    assert words_wrong("Good morning.", pcm, rate, started.at, started.at + 1) == 0


async def test_a_listener_who_stands_still_is_given_up(engine, pool):
    async with dubber(engine, pool) as one:
        feed = aiter(LiveDub(one, max_behind=3.0))
        await anext(feed)
        await asyncio.sleep(3.2)
        with pytest.raises(ListenerTooSlow):
            await anext(feed)


async def test_who_leaves_midway_leaves_nothing_behind(engine, pool):
    async with dubber(engine, pool) as one:
        for n in range(8):
            one.put(Caption(str(n), n, n + 1, "A rather long line that takes a while to speak. " * 5))
        await asyncio.sleep(0)
    assert engine.open_streams == 0
