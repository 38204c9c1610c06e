"""Many callers of one recogniser."""

import asyncio
import os
import sys
import threading
from collections.abc import Sequence

import numpy as np
import pytest

from engine.audio import AudioStream, output_format
from engine.speech import Pcm
from realtime.ears import (
    Ears,
    EarsConfig,
    Final,
    HeardSegment,
    HearingOff,
    HearingOverloaded,
    RecogniserChoice,
    TooMuchAudio,
    Unhearable,
    UnknownLanguage,
)
from realtime.ears.workers import Urgency, Workers
from tests.engine.models.speaking import RATE, speak
from tests.hearing import word_error_rate
from tests.realtime.ears.recognisers import Counting

TEXT = "The parrot repeats what it has heard."


def wav(*texts: str, silence: float = 0.7) -> bytes:
    stream = AudioStream(RATE, output_format("wav", RATE))
    quiet = np.zeros(round(silence * RATE), np.float32)
    parts = [part for text in texts for part in (quiet, speak(text).pcm)]
    return stream.write(np.concatenate([*parts, quiet])) + stream.finish()


async def opened(recogniser: Counting, **config: float) -> Ears:
    ears = Ears(lambda: recogniser, EarsConfig(**config))  # type: ignore[arg-type]
    await ears.start()
    return ears


async def until(recogniser: Counting) -> None:
    """Until it has been asked once more."""
    assert await asyncio.to_thread(recogniser.begun.acquire, timeout=10)


async def test_a_file_is_heard() -> None:
    ears = Ears(RecogniserChoice().load)
    await ears.start()
    transcript = await ears.transcribe(wav(TEXT, "We should leave before the rain starts."), "en-US")
    assert word_error_rate(TEXT, transcript.segments[0].text) <= 0.15
    assert len(transcript.segments) == 2
    assert transcript.seconds == pytest.approx(
        len(wav(TEXT, "We should leave before the rain starts.")) / 48000, abs=0.01
    )
    await ears.close()


async def test_silence_has_no_words() -> None:
    ears = await opened(recogniser := Counting())
    transcript = await ears.transcribe(wav(silence=70.0))
    assert (transcript.text, transcript.segments) == ("", ())
    assert transcript.seconds == pytest.approx(70.0)
    assert recogniser.given == []
    await ears.close()
    assert recogniser.closed


async def test_what_cannot_be_heard_is_refused_with_the_reason() -> None:
    ears = await opened(Counting(), max_seconds=2.0)
    with pytest.raises(Unhearable, match="no audio file"):
        await ears.transcribe(b"garbage" * 100)
    with pytest.raises(TooMuchAudio, match="2 s"):
        await ears.transcribe(wav(TEXT, TEXT))
    with pytest.raises(UnknownLanguage, match="en, de"):
        await ears.transcribe(wav(TEXT), "xx")
    with pytest.raises(HearingOff):
        await Ears(None).transcribe(wav(TEXT))
    with pytest.raises(HearingOverloaded):
        await Ears(Counting).transcribe(wav(TEXT))  # not started
    await ears.close()


async def test_more_files_than_are_taken_are_refused_until_one_is_done() -> None:
    ears = await opened(recogniser := Counting(held=True), max_files=2)
    first, second = (asyncio.create_task(ears.transcribe(wav(TEXT))) for _ in range(2))
    await until(recogniser)
    with pytest.raises(HearingOverloaded) as refused:
        await ears.transcribe(wav(TEXT))
    assert refused.value.retry_after > 0
    recogniser.leave.release(2)
    await asyncio.gather(first, second)
    recogniser.leave.release()
    assert (await ears.transcribe(wav(TEXT))).text
    await ears.close()


async def test_who_goes_is_not_heard_any_further() -> None:
    ears = await opened(recogniser := Counting(held=True), max_files=1)
    task = asyncio.create_task(ears.transcribe(wav(TEXT, TEXT, TEXT)))
    await until(recogniser)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    recogniser.leave.release(2)
    await ears.transcribe(wav(TEXT))
    assert len(recogniser.given) == 2
    await ears.close()


async def test_files_take_turns() -> None:
    ears = await opened(recogniser := Counting())
    done: list[int] = []

    async def hear(texts: int) -> None:
        await ears.transcribe(wav(*[TEXT] * texts))
        done.append(texts)

    await asyncio.gather(*(hear(texts) for texts in (6, 1, 2)))
    assert done == [1, 2, 6]
    assert len(recogniser.given) == 9
    await ears.close()


async def test_audio_is_paid_for_before_it_is_recognised() -> None:
    ears = await opened(recogniser := Counting())
    paid: list[float] = []

    async def pay(seconds: float) -> None:
        if sum(paid) > 4.0:
            raise PermissionError
        paid.append(seconds)

    whole = await ears.transcribe(wav(TEXT), pay=pay)
    assert sum(paid) == pytest.approx(whole.seconds)
    paid.clear()
    with pytest.raises(PermissionError):
        await ears.transcribe(wav(*[TEXT] * 5), pay=pay)
    assert len(recogniser.given) <= 4
    await ears.close()


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
async def test_a_stream_is_heard_at_any_rate(rate: int) -> None:
    ears = await opened(Counting())
    pcm = np.frombuffer(wav(TEXT, TEXT)[44:], "<i2").astype(np.float32) / 32768
    positions = np.arange(0, len(pcm), RATE / rate)
    pcm = np.interp(positions, np.arange(len(pcm)), pcm).astype(np.float32)
    finals = []
    async with ears.listen(rate, partials=False) as ear:

        async def feed() -> None:
            for at in range(0, len(pcm), 1000):
                await ear.push(pcm[at : at + 1000])
            await ear.end()

        feeding = asyncio.create_task(feed())
        async for event in ear:
            if isinstance(event, Final):
                finals.append(event)
        await feeding
    assert ear.seconds == pytest.approx(len(pcm) / rate, abs=0.01)
    assert finals[0].start == pytest.approx(0.7, abs=0.15)
    assert finals[1].start - finals[0].start == pytest.approx(0.7 + speak(TEXT).seconds(), abs=0.1)
    await ears.close()


async def test_who_pushes_faster_than_can_be_heard_waits() -> None:
    ears = await opened(recogniser := Counting(held=True))
    pcm = np.frombuffer(wav(*[TEXT] * 30)[44:], "<i2").astype(np.float32) / 32768
    async with ears.listen(RATE, partials=False) as ear:

        async def feed() -> None:
            for at in range(0, len(pcm), RATE):
                await ear.push(pcm[at : at + RATE])
            await ear.end()

        feeding = asyncio.create_task(feed())
        await until(recogniser)
        recogniser.leave.release(3)
        for _ in range(3):
            await until(recogniser)
        assert not feeding.done()
        assert ear.seconds < 70
        recogniser.held = False
        recogniser.leave.release(100)
        assert len([event async for event in ear if isinstance(event, Final)]) == 30
        await feeding
    await ears.close()


async def test_a_recogniser_that_fails_ends_the_stream_with_its_error() -> None:
    class Failing(Counting):
        def transcribe(self, pcm, language):  # type: ignore[no-untyped-def]
            raise MemoryError("out of it")

    ears = await opened(Failing())
    async with ears.listen(RATE) as ear:
        await ear.push(speak(TEXT).pcm)
        await ear.end()
        with pytest.raises(MemoryError):
            async for _ in ear:
                pass
    await ears.close()


async def test_what_is_under_way_when_the_server_stops_is_let_finish() -> None:
    ears = await opened(recogniser := Counting(held=True))
    file = asyncio.create_task(ears.transcribe(wav(TEXT)))
    await until(recogniser)
    draining = asyncio.create_task(ears.drain(30))
    await asyncio.sleep(0)
    with pytest.raises(HearingOverloaded, match="stopped"):
        await ears.transcribe(wav(TEXT))
    assert not draining.done()
    recogniser.leave.release()
    assert (await file).text
    await draining
    await ears.close()


async def test_a_file_that_does_not_finish_in_time_is_told_so() -> None:
    ears = await opened(recogniser := Counting(held=True))
    file = asyncio.create_task(ears.transcribe(wav(TEXT, TEXT)))
    await until(recogniser)
    draining = asyncio.create_task(ears.drain(0))
    await asyncio.sleep(0.01)
    recogniser.leave.release()
    with pytest.raises(HearingOverloaded, match="stopped"):
        await file
    await draining
    await ears.close()


async def test_a_stream_ends_with_what_was_said_when_the_server_stops() -> None:
    ears = await opened(Counting())
    finals = []
    async with ears.listen(RATE, partials=False) as ear:

        async def read() -> None:
            async for event in ear:
                finals.extend([event] if isinstance(event, Final) else [])

        await ear.push(speak(TEXT).pcm)
        draining = asyncio.create_task(ears.drain(30))
        with pytest.raises(HearingOverloaded, match="stopped"):
            await read()
        await ear.push(speak(TEXT).pcm)  # is not heard any more
    await draining
    assert len(finals) == 1
    await ears.close()


async def test_streams_have_their_limit_too() -> None:
    ears = await opened(Counting(), max_streams=1)
    async with ears.listen():
        with pytest.raises(HearingOverloaded):
            async with ears.listen():
                pass
    async with ears.listen():
        pass
    await ears.close()


async def test_urgent_work_comes_first_and_who_is_cancelled_is_forgotten() -> None:
    workers = Workers(1, "test")
    hold = threading.Event()
    order: list[str] = []
    blocked = asyncio.create_task(workers.run(hold.wait))
    await asyncio.sleep(0)
    waiting = [asyncio.create_task(workers.run(lambda name=name: order.append(name))) for name in "abc"]  # type: ignore[misc]
    await asyncio.sleep(0)
    partial = asyncio.create_task(workers.run(lambda: order.append("partial"), Urgency.PARTIAL))
    final = asyncio.create_task(workers.run(lambda: order.append("final"), Urgency.FINAL))
    await asyncio.sleep(0)
    waiting[1].cancel()
    hold.set()
    await asyncio.gather(blocked, *waiting, partial, final, return_exceptions=True)
    assert order == ["final", "partial", "a", "c"]
    assert await workers.run(lambda: 5) == 5
    await workers.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows priorities of threads")
async def test_a_recogniser_and_its_threads_step_back_behind_whoever_speaks() -> None:
    def niceness() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    class Nice(Counting):
        """Loads in a thread, which starts one of its own, as those of models do."""

        def __init__(self) -> None:
            super().__init__()
            self.seen: list[int] = []
            own = threading.Thread(target=lambda: self.seen.append(niceness()))
            own.start()
            own.join()

        def transcribe(self, pcm: Pcm, language: str | None) -> Sequence[HeardSegment]:
            self.seen.append(niceness())
            return super().transcribe(pcm, language)

    made: list[Nice] = []
    before = niceness()
    ears = Ears(lambda: made.append(Nice()) or made[0])  # type: ignore[func-returns-value]
    await ears.start()
    await ears.transcribe(wav(TEXT))
    await ears.close()
    assert made[0].seen
    assert min(made[0].seen) > before or before == 19
    assert niceness() == before
