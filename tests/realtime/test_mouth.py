"""Utterances on a line, spoken by the bundled voice, on a clock that runs faster than the wall's."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from realtime.line import PACKET_SECONDS, LinePlayed
from realtime.mouth import Began, EndHeard, Mouth, MouthEvent, WordsHeard
from tests.hearing import transcribe, word_error_rate
from tests.realtime.fast import fast
from tests.realtime.lines import MemoryLine, voiced
from tests.realtime.speaking import request, speakers

TEXT = "The parrot repeats what it has heard. Nobody knows why it does so, but it does."


class Told:
    """What a mouth tells, and someone who waits for it."""

    def __init__(self) -> None:
        self.events: list[MouthEvent] = []
        self._news = asyncio.Event()

    def __call__(self, event: MouthEvent) -> None:
        self.events.append(event)
        self._news.set()

    def words(self, context: str) -> list[str]:
        events = [event for event in self.events if isinstance(event, WordsHeard)]
        return [word.text for event in events if event.context == context for word in event.words]

    async def until(self, context: str, *kinds: type[MouthEvent], words: int = 0) -> MouthEvent:
        while True:
            for event in self.events:
                if (
                    event.context == context
                    and isinstance(event, kinds)
                    and len(self.words(context)) >= words
                ):
                    return event
            self._news.clear()
            await self._news.wait()


@asynccontextmanager
async def mouths(line: MemoryLine, told: Told) -> AsyncIterator[Mouth]:
    async with speakers() as make, Mouth(make(), line, told) as mouth:
        yield mouth


def speak(mouth: Mouth, line: MemoryLine, text: str, context: str) -> None:
    mouth.start(request(line.format.output), context)
    mouth.text(text, context)
    mouth.stop(context)


@fast(5)
async def test_an_utterance_is_heard_to_its_end_without_a_gap() -> None:
    line, told = MemoryLine(lead=2.0), Told()
    async with mouths(line, told) as mouth:
        speak(mouth, line, TEXT, "1")
        assert await told.until("1", EndHeard) == EndHeard("1")
    assert told.events[0] == Began("1")
    assert told.words("1") == TEXT.split()
    assert word_error_rate(TEXT, transcribe(line.heard(), line.rate)) <= 0.1
    whole = sum(playing.seconds for playing in line.playing)
    assert line.playing[-1].start + PACKET_SECONDS - line.playing[0].start == pytest.approx(whole, abs=0.001)
    assert line.calls == ["send"] * len(line.playing)


@fast(5)
async def test_words_are_told_when_they_are_heard() -> None:
    line, told = MemoryLine(), Told()
    async with mouths(line, told) as mouth:
        speak(mouth, line, TEXT, "1")
        await told.until("1", WordsHeard, words=7)
        now = asyncio.get_running_loop().time()
        (last,) = [word for event in told.events if isinstance(event, WordsHeard) for word in event.words][
            6:7
        ]
        assert (last.text, TEXT[last.start_char : last.end_char]) == ("heard.", "heard.")
        middle = line.playing[0].start + (last.start + last.end) / 2
        assert middle - 0.1 <= now
    assert len(told.words("1")) < len(TEXT.split())


@fast(5)
async def test_after_a_hold_the_listener_hears_the_rest() -> None:
    line, told = MemoryLine(), Told()
    async with mouths(line, told) as mouth:
        speak(mouth, line, TEXT, "1")
        for words in (3, 6, 9):
            await told.until("1", WordsHeard, words=words)
            mouth.hold()
            silent = asyncio.get_running_loop().time()
            await asyncio.sleep(1.0)
            assert line.calls[-1] == "clear"
            assert not np.any(line.heard(silent + 2 * PACKET_SECONDS))
            mouth.resume()
        assert await told.until("1", EndHeard) == EndHeard("1")
    assert told.words("1") == TEXT.split()
    assert line.calls.count("clear") == 3
    sound = np.concatenate([np.frombuffer(packet, "<i2") for packet in line.packets()])
    assert word_error_rate(TEXT, transcribe(sound.astype(np.float32) / 32768, line.rate)) <= 0.1


@fast(5)
async def test_nothing_of_a_dropped_utterance_is_sent_and_the_next_begins_at_once() -> None:
    line, told = MemoryLine(), Told()
    async with mouths(line, told) as mouth:
        speak(mouth, line, TEXT, "1")
        speak(mouth, line, "Something else.", "2")
        await told.until("1", WordsHeard, words=4)
        mouth.drop("1")
        words = told.words("1")
        await told.until("2", EndHeard)
    assert told.words("1") == words
    assert EndHeard("1") not in told.events
    assert line.calls.count("clear") == 1
    after = line.calls.index("clear")
    heard = np.concatenate([np.frombuffer(playing.packet, "<i2") for playing in line.playing])
    sent_after = (len(line.calls) - after - 1) * round(line.rate * PACKET_SECONDS)
    text = transcribe(heard[-sent_after:].astype(np.float32) / 32768, line.rate)
    assert word_error_rate("Something else.", text) == 0.0


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.05, 0.3])
@fast(5)
async def test_a_drop_at_any_moment_leaves_nothing_behind(moment: float) -> None:
    line, told = MemoryLine(), Told()
    async with mouths(line, told) as mouth:
        speak(mouth, line, TEXT, "1")
        await asyncio.sleep(moment)
        mouth.drop("1")
        sent = line.calls.count("send")
        await asyncio.sleep(1.0)
        assert line.calls.count("send") == sent
        assert line.calls.count("clear") == bool(sent)


@fast(5)
async def test_what_is_held_before_it_began_waits() -> None:
    line, told = MemoryLine(), Told()
    async with mouths(line, told) as mouth:
        mouth.hold()
        speak(mouth, line, "Something else.", "1")
        await asyncio.sleep(1.0)
        assert line.calls == []
        mouth.resume()
        await told.until("1", EndHeard)
    assert told.words("1") == ["Something", "else."]


@fast(5)
async def test_an_utterance_that_cannot_be_spoken_ends_with_the_reason() -> None:
    from tests.tones import ToneModel

    line, told = MemoryLine(8000), Told()
    async with speakers(ToneModel) as make, Mouth(make(), line, told) as mouth:
        mouth.start(request(line.format.output, "low"), "1")
        mouth.text("Fine. ", "1")
        mouth.flush("1")
        mouth.text("unspeakable", "1")
        mouth.stop("1")
        ended = await told.until("1", EndHeard)
        mouth.start(request(line.format.output, "low"), "2")
        mouth.text("Well.", "2")
        mouth.stop("2")
        assert await told.until("2", EndHeard) == EndHeard("2")
    assert ended == EndHeard("1", "cannot speak 'unspeakable'")
    assert told.words("1") == ["Fine."]
    assert sum(end - start for start, end in voiced(line.heard(), 8000)) == pytest.approx(1.0, abs=0.05)


@fast(5)
async def test_reports_of_the_line_delay_what_counts_as_heard() -> None:
    line, told = MemoryLine(), Told()
    async with mouths(line, told) as mouth:
        speak(mouth, line, "Well.", "0")
        await told.until("0", EndHeard)
        speak(mouth, line, TEXT, "1")
        before = len(line.playing) * PACKET_SECONDS
        await told.until("1", WordsHeard, words=4)
        known, now = len(told.words("1")), asyncio.get_running_loop().time()
        mouth.played(LinePlayed(before + 0.1))  # of more than a second that was sent by now
        mouth.played(LinePlayed(1000.0, clears=1))  # about a clear that was not
        await told.until("1", WordsHeard, words=known + 1)
        assert asyncio.get_running_loop().time() - now >= 0.9


@fast(5)
async def test_an_end_that_comes_while_the_program_has_no_processor_is_told() -> None:
    class Late(Mouth):
        """Runs on only when what was being heard has long been heard."""

        async def _sleep(self, *when: float) -> None:
            time.sleep(0.03)  # noqa: ASYNC251 - the event loop is what stands still
            await super()._sleep(*when)

    line, told = MemoryLine(), Told()
    async with speakers() as make, Late(make(), line, told) as mouth:
        speak(mouth, line, "Well.", "1")
        assert await told.until("1", EndHeard) == EndHeard("1")
        assert told.words("1") == ["Well."]


@fast(5)
async def test_a_line_that_fails_ends_the_mouth() -> None:
    class Broken(MemoryLine):
        async def send(self, packet: bytes) -> None:
            raise OSError("the wire is cut")

    async def speaking() -> None:
        async with mouths(line := Broken(), Told()) as mouth:
            speak(mouth, line, TEXT, "1")
            await asyncio.sleep(60)

    with pytest.raises(ExceptionGroup) as failed:
        await speaking()
    assert failed.group_contains(OSError, match="the wire is cut")
