"""Networks that lose, double, delay and shuffle what is sent over them."""

import asyncio

import pytest

from tests.hearing import transcribe, word_error_rate
from tests.transports.conftest import Running
from tests.transports.fish.sentences import HELD
from tests.transports.webrtc.client import RATE, client
from tests.transports.webrtc.conftest import said

# What is lost is lost, and on a busy machine more comes too late; out of order there would be no words at all.
_HARMED = 0.3
TEXT = " ".join(HELD[number] for number in (1, 3, 7, 10))


@pytest.mark.parametrize(("loss", "copies", "jitter"), [(0.05, 0.05, 0.04), (0.1, 0.02, 0.06)])
async def test_both_sides_understand_each_other_over_a_bad_network(
    rtc: Running, loss: float, copies: float, jitter: float
) -> None:
    async with client(rtc.url, voice=said(TEXT)) as peer:
        await peer.connect()
        peer.spoil(loss=loss, copies=copies, jitter=jitter)
        peer.say("start", request={"text": TEXT}, events=["alignment"])
        peer.say("stop")
        assert (await peer.until("finish", 60))["reason"] == "stop"
        assert peer.voice is not None
        await asyncio.wait_for(peer.voice.said.wait(), 60)
        await peer.until_understood(TEXT, _HARMED)
        heard = transcribe(peer.pcm, RATE)
        aligned = [told["segments"] for told in peer.messages if told["type"] == "alignment"]
    assert word_error_rate(TEXT, heard) <= _HARMED, heard
    # What goes over the channel is repeated until it has come, and comes in order.
    assert [word["text"] for told in aligned for word in told] == TEXT.split()


async def test_a_network_that_is_gone_for_a_moment_ends_nothing(rtc: Running) -> None:
    async with client(rtc.url) as peer:
        await peer.connect()
        peer.say("start", request={"text": TEXT})
        peer.say("stop")
        await peer.until_heard(0.5)
        peer.spoil(loss=1.0)
        await asyncio.sleep(1.0)
        peer.spoil()
        assert (await peer.until("finish"))["reason"] == "stop"
