"""What is heard around a hold, told to the sample."""

import asyncio

import numpy as np
import pytest

from realtime.line import PACKET_SECONDS
from realtime.mouth import EndHeard, Mouth, MouthEvent, WordsHeard
from realtime.speaker import Audio, Output
from tests.realtime.fast import fast
from tests.realtime.lines import MemoryLine
from tests.realtime.speaking import request, speakers

TEXT = "The parrot repeats what it has heard. Nobody knows why it does so, but it does."


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000])
@fast(5)
async def test_after_a_hold_no_sample_is_missing_and_nothing_else_comes_in_between(rate: int) -> None:
    line = MemoryLine(rate)
    words, over = asyncio.Event(), asyncio.Event()
    said: list[bytes] = []

    def told(event: MouthEvent) -> None:
        match event:
            case WordsHeard():
                words.set()
            case EndHeard():
                over.set()
            case _:
                pass

    def spoken(output: Output) -> None:
        if isinstance(output.event, Audio):
            said.append(output.event.data)

    async with speakers() as make, Mouth(make(), line, told, spoken) as mouth:
        mouth.start(request(line.format.output), "1")
        mouth.text(TEXT, "1")
        mouth.stop("1")
        for after in (0.0, 0.013, 0.02, 0.031, 0.2):
            words.clear()
            await words.wait()
            await asyncio.sleep(after)
            mouth.hold()
            await asyncio.sleep(0.3)
            mouth.resume()
        await over.wait()
    assert line.calls.count("clear") == 5

    whole = np.frombuffer(b"".join(said), "<i2")
    packet = round(rate * PACKET_SECONDS)
    whole = np.pad(whole, (0, -whole.size % packet))
    at = 0  # how much was heard, in whole packets
    for number, playing in enumerate(line.playing):
        got = np.frombuffer(playing.packet, "<i2")
        if number in line.clears:  # by now as much may have been heard twice as the clear was late
            at = next(
                back for back in range(at, -1, -packet) if np.array_equal(whole[back : back + packet], got)
            )
        assert np.array_equal(whole[at : at + packet], got), f"at {at / rate:.3f} s"
        at += packet if round(playing.seconds * rate) == packet else 0  # unless it was broken off
    assert at == whole.size
