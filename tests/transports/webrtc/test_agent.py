"""Conversations with an agent over WebRTC."""

import asyncio

import numpy as np
import pytest

from tests.hearing import transcribe, word_error_rate
from tests.transports.conftest import Running
from tests.transports.webrtc.client import RATE, client
from tests.transports.webrtc.conftest import said

SAID = "We should leave before the rain begins."
STORY = "Once upon a time there was a parrot who lived by the sea and told stories to everybody who came by. "


async def test_a_parrot_says_back_what_it_understood(rtc: Running) -> None:
    async with client(rtc.url, voice=said(SAID)) as peer:
        await peer.connect(agent=True)
        peer.say("start", greeting="")
        assert (await peer.until("ready"))["mind"] == "parrot"
        assert word_error_rate(SAID, (await peer.until("turn_ended"))["text"]) == 0.0
        at = len(peer.pcm)
        ended = await peer.until("reply_ended")
        await peer.until("latencies")
        await peer.until_quiet()
        heard = transcribe(peer.pcm[at:], RATE)
    assert word_error_rate(SAID, ended["text"]) == 0.0
    assert word_error_rate(SAID, heard) == 0.0, heard
    lit = [word["text"] for told in peer.messages if told["type"] == "spoken_words" for word in told["words"]]
    assert lit == ended["text"].split()


async def test_who_interrupts_hears_no_more_of_it(rtc: Running) -> None:
    voice = np.concatenate((np.zeros(3 * RATE, np.float32), said("Stop, please, I have another question.")))
    async with client(rtc.url, voice=voice) as peer:
        await peer.connect(agent=True)
        peer.say("start", greeting=STORY * 5)
        interrupted = await peer.until("interrupted")
        at = len(peer.pcm)
        assert STORY.startswith(interrupted["text"][:20])
        assert len(interrupted["text"]) < len(STORY * 2)
        await peer.until("reply_text")
        between = peer.pcm[at + round(0.4 * RATE) :]
        told = [message["type"] for message in peer.messages]
    assert "held" in told[: told.index("interrupted")]
    assert not between.size or np.abs(between).max() < 0.01


async def test_without_a_channel_the_conversation_begins_at_once(rtc: Running) -> None:
    async with client(rtc.url, voice=said(SAID), channel=False) as peer:
        assert (await peer.post(await peer.offer(), agent=True)).status_code == 201
        await peer.until_heard(1.0)
        await peer.until_quiet()
        heard = transcribe(peer.pcm, RATE)
    assert word_error_rate(SAID, heard) == 0.0, heard


async def test_what_a_client_asks_of_its_agent_is_done(rtc: Running) -> None:
    async with client(rtc.url, voice=np.zeros(RATE, np.float32)) as peer:
        await peer.connect(agent=True)
        peer.say("start")
        await peer.until("ready")
        peer.say("dance")
        assert "expected one of say, interrupt" in (await peer.until("error"))["message"]
        peer.say("say", text="")
        assert "text: got ''" in (await peer.until("error", count=2))["message"]
        peer.say("say", text="The music stopped.")
        assert (await peer.until("reply_ended"))["text"] == "The music stopped."
        peer.say("user_text", text="Her answer was short.")
        assert (await peer.until("reply_ended", count=2))["text"] == "Her answer was short."
        peer.say("leave")
        assert (await peer.until("ended"))["error"] is None
        await asyncio.to_thread(rtc.until, lambda: not len(rtc.services.peers), "the peer to be let go")


async def test_all_that_the_agents_socket_takes_is_taken_from_the_channel(rtc: Running) -> None:
    async with client(rtc.url, voice=np.zeros(RATE, np.float32)) as peer:
        await peer.connect(agent=True)
        peer.say("start", greeting=STORY)
        await peer.until("spoken_words")
        peer.say("keepalive")
        peer.say("played", seconds=0.1)
        peer.say("digit", digit="x")
        assert "digit: got 'x'; expected one of" in (await peer.until("error"))["message"]
        for key in "42#":
            peer.say("digit", digit=key)
        await peer.until("interrupted")
        assert (await peer.until("turn_ended"))["text"] == "[keypad: 42#]"
        assert [told["type"] for told in peer.messages].count("error") == 1


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ({"type": "text", "text": "hello"}, "type: got 'text'; expected start"),
        ({"type": "start", "pause": 9}, "pause: got 9"),
        ({"type": "start", "request": {"reference_id": "nobody"}}, "reference_id: got 'nobody'"),
    ],
)
async def test_a_conversation_that_cannot_begin_is_refused_and_ends(
    rtc: Running, start: dict[str, object], reason: str
) -> None:
    async with client(rtc.url, voice=np.zeros(RATE, np.float32)) as peer:
        await peer.connect(agent=True)
        peer.say(str(start.pop("type")), **start)
        assert reason in (await peer.until("error"))["message"]
        await asyncio.to_thread(rtc.until, lambda: not len(rtc.services.peers), "the peer to be let go")


async def test_an_agent_needs_both_directions(rtc: Running) -> None:
    async with client(rtc.url) as peer:
        response = await peer.post(await peer.offer(), agent=True)
        assert response.status_code == 400
        assert response.json()["message"].startswith("agent: ")


async def test_a_caller_who_vanishes_ends_the_conversation(rtc: Running) -> None:
    async with client(rtc.url, voice=said(SAID)) as peer:
        await peer.connect(agent=True)
        peer.say("start", greeting=STORY * 5)
        await peer.until_heard(0.5)
        await peer.vanish()
        await asyncio.to_thread(rtc.until, lambda: not rtc.services.agents.open, "no conversation")
