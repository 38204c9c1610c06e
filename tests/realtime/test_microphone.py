"""A caller's audio on its way to an ear."""

import asyncio

import numpy as np
import pytest

from realtime.ears import Ears, Final, VoiceStopped
from realtime.microphone import Microphone
from tests.engine.models.speaking import RATE, speak
from tests.hearing import resample
from tests.realtime.ears.recognisers import Counting
from tests.realtime.fast import fast

RATE_8K = 8000


@fast(4)
async def test_silence_is_filled_in_where_a_line_sends_nothing_and_no_more_than_ends_a_turn() -> None:
    ears = Ears(Counting)
    await ears.start()
    voice = resample(speak("What time is it?").pcm, RATE, RATE_8K)
    async with ears.listen(RATE_8K, pause=0.3) as ear:
        microphone = Microphone(RATE_8K, kept=8.0)
        feeding = asyncio.create_task(microphone.feed(ear))
        await microphone.put(voice)
        events = []
        async for event in ear:
            events.append(type(event))
            if isinstance(event, Final):
                break
        assert VoiceStopped in events
        await asyncio.sleep(10.0)
        assert len(voice) / RATE_8K + 1.9 <= ear.seconds <= len(voice) / RATE_8K + 4.0
        feeding.cancel()
    await ears.close()


@fast(4)
async def test_the_last_of_what_was_said_is_kept_for_a_judge_at_the_rate_of_hearing() -> None:
    ears = Ears(Counting)
    await ears.start()
    async with ears.listen(RATE_8K) as ear:
        microphone = Microphone(RATE_8K, kept=1.0)
        feeding = asyncio.create_task(microphone.feed(ear))
        for level in np.repeat([0.1, 0.2, 0.3], 25):
            await microphone.put(np.full(320, level, np.float32))
            await asyncio.sleep(0.01)
        kept = microphone.joined(microphone.lately())
        assert 1.0 <= len(kept) / 16_000 <= 1.5
        assert kept[-8000] == pytest.approx(0.3, abs=0.01)
        microphone.forget()
        assert microphone.lately() == []
        assert len(microphone.joined([])) == 0
        feeding.cancel()
    await ears.close()


@fast(4)
async def test_who_puts_in_more_than_the_ear_takes_waits() -> None:
    microphone = Microphone(RATE_8K, kept=1.0)
    for _ in range(5):
        await asyncio.wait_for(microphone.put(np.zeros(RATE_8K, np.float32)), 10.0)
    putting = asyncio.create_task(microphone.put(np.zeros(RATE_8K, np.float32)))
    await asyncio.sleep(0.5)
    assert not putting.done()
    ears = Ears(Counting)
    await ears.start()
    async with ears.listen(RATE_8K) as ear:
        feeding = asyncio.create_task(microphone.feed(ear))
        await putting
        feeding.cancel()
    await ears.close()
