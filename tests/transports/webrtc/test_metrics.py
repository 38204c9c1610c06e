"""What a peer is told is counted like what others are."""

import asyncio

from tests.transports.conftest import Running
from tests.transports.metrics.page import Page
from tests.transports.webrtc.client import client


async def test_an_utterance_of_a_peer_is_counted_by_its_wire(rtc: Running) -> None:
    before = await asyncio.to_thread(Page.of, rtc.url)
    async with client(rtc.url) as peer:
        await peer.connect()
        during = await asyncio.to_thread(Page.of, rtc.url)
        assert during.value("parrotfish_connections", kind="webrtc") == 1
        peer.say("start", request={"text": "The music stopped."})
        peer.say("stop")
        assert (await peer.until("finish"))["reason"] == "stop"
        peer.say("start", request={"text": "This is never heard to its end. " * 5}, events=["alignment"])
        await peer.until("alignment")
        peer.say("cancel")
        await peer.until("cancelled")
    rtc.until(lambda: not len(rtc.services.peers), "no peers")
    after = await asyncio.to_thread(Page.of, rtc.url)
    ended = {
        outcome: after.since(before, "parrotfish_utterances_total", transport="webrtc", outcome=outcome)
        for outcome in ("stop", "cancelled", "error", "gone")
    }
    assert ended == {"stop": 1, "cancelled": 1, "error": 0, "gone": 0}
    assert after.since(before, "parrotfish_onset_seconds_count", transport="webrtc") == 2
    assert after.value("parrotfish_streams", transport="webrtc") == 0
    assert after.value("parrotfish_connections", kind="webrtc") == 0
