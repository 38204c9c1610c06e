"""Whole calls: a provider's socket, a caller on it, and the agent that says back what it understood."""

import asyncio
from functools import cache
from pathlib import Path

import httpx
import pytest

from engine.audio import Law, decode
from engine.speech import Pcm
from tests.hearing import transcribe, word_error_rate
from tests.transports.conftest import Running, run_server
from tests.transports.telephony.conftest import Provider, stream_url
from tests.transports.telephony.phone import PACKET, Phone
from transports.settings import Settings

RATE = 24_000
SENTENCE = "The parrot repeats what it has heard."
LONG = "We should leave before the rain starts, or we will be wet when we come to the old station."
PATIENCE = 30.0
CALLERS: list[tuple[str, Law]] = [("twilio", "mulaw"), ("telnyx", "mulaw"), ("telnyx", "alaw")]
every_caller = pytest.mark.parametrize(("provider", "law"), CALLERS)
each_provider = pytest.mark.parametrize("provider", ["twilio", "telnyx"])


@cache
def spoken(url: str, text: str) -> Pcm:
    """A caller's words, in another voice than the agent's."""
    body = {"text": text, "format": "wav", "sample_rate": RATE, "reference_id": "walter"}
    return decode(httpx.post(f"{url}/v1/tts", json=body, timeout=60).content)[0]


async def voice(server: Running, text: str) -> Pcm:
    return await asyncio.to_thread(spoken, server.url, text)


def phone(phones: Provider, provider: str, law: Law = "mulaw", query: str = "") -> Phone:
    """A call that the provider has announced, and opens the socket of."""
    ask = phones.twilio if provider == "twilio" else phones.telnyx
    return Phone(phones.local(stream_url(ask({"CallSid": "CA1"}, query=query).text)), provider, law)


@every_caller
async def test_what_is_said_is_said_back(phones: Provider, provider: str, law: Law) -> None:
    said = await voice(phones.server, SENTENCE)
    async with asyncio.timeout(PATIENCE), phone(phones, provider, law) as call:
        await call.say(said, RATE)
        await call.quiet(1.5)
        assert word_error_rate(SENTENCE, transcribe(call.heard(), 8000)) <= 0.15
        assert not call.cleared
        await call.hang_up()
        await call.over.wait()
        assert call.socket.close_code == 1000


@each_provider
async def test_who_interrupts_hears_no_more_of_it(phones: Provider, provider: str) -> None:
    long, short = await voice(phones.server, LONG), await voice(phones.server, SENTENCE)
    async with asyncio.timeout(PATIENCE), phone(phones, provider) as call:
        await call.say(long, RATE)
        await call.until(lambda: call.sound() > 1.0)
        await call.say(short, RATE)
        assert call.cleared, "a voice holds the agent at once"
        _, sent = call.cleared[0]
        # Until he has been understood, nothing is sent: what comes then is the reply to it.
        assert call.received.count("media") == sent or len(call.cleared) > 1
        before = call.packets
        await call.until(lambda: call.sound(before) > 0.5)
        await call.quiet(1.5)
        reply = transcribe(call.heard()[before * 160 :], 8000)
        assert word_error_rate(SENTENCE, reply) <= 0.3, "two recognisers have heard it, one after the other"


async def test_a_call_begins_as_its_number_says(phones: Provider) -> None:
    """The query of the webhook's address is how the agent of that number is."""
    query = "?greeting=Good+morning,+this+is+the+old+station.&voice=clara"
    async with asyncio.timeout(PATIENCE), phone(phones, "twilio", query=query) as call:
        await call.quiet(1.5)
        assert (
            word_error_rate("Good morning, this is the old station.", transcribe(call.heard(), 8000)) <= 0.15
        )


@each_provider
async def test_marks_come_back_for_all_that_is_played(phones: Provider, provider: str) -> None:
    said = await voice(phones.server, SENTENCE)
    async with asyncio.timeout(PATIENCE), phone(phones, provider) as call:
        await call.say(said, RATE)
        await call.quiet(1.5)
        packets, marks = call.received.count("media"), call.received.count("mark")
        assert packets // 5 <= marks <= packets // 5 + 1
        assert call.ahead < packets * PACKET / 2, "it is not sent all at once"


# -- at whatever moment -------------------------------------------------------------------------------------


@each_provider
@pytest.mark.parametrize("way", ["stop", "close", "vanish"])
@pytest.mark.parametrize("moment", ["ringing", "speaking", "thinking", "hearing"])
async def test_a_caller_may_go_at_any_moment(phones: Provider, provider: str, way: str, moment: str) -> None:
    """That all is free afterwards the fixture looks to."""
    said = await voice(phones.server, LONG)
    async with asyncio.timeout(PATIENCE), phone(phones, provider) as call:
        if moment == "speaking":
            await call.say(said[: RATE // 2], RATE)
        elif moment == "thinking":
            await call.say(said, RATE)
        elif moment == "hearing":
            await call.say(said, RATE)
            await call.until(lambda: call.sound() > 0.3)
        match way:
            case "stop":
                await call.hang_up()
                await call.over.wait()
            case "close":
                await call.socket.close()
            case "vanish":
                call.socket.transport.abort()


@each_provider
async def test_a_key_stops_the_agent(phones: Provider, provider: str) -> None:
    said = await voice(phones.server, LONG)
    async with asyncio.timeout(PATIENCE), phone(phones, provider) as call:
        await call.say(said, RATE)
        await call.until(lambda: call.sound() > 0.5)
        await call.press("5")
        await call.until(lambda: bool(call.cleared))
        before = call.packets
        await call.until(lambda: call.packets > before + 150)
        rest = set(transcribe(call.heard()[before * 160 :], 8000).lower().strip(".").split())
        assert not rest & {"rain", "starts", "wet", "old", "station"}, "nothing of what was stopped is heard"


async def test_garbage_on_one_call_is_not_heard_on_another(phones: Provider) -> None:
    said = await voice(phones.server, SENTENCE)
    async with asyncio.timeout(PATIENCE), phone(phones, "twilio") as good, phone(phones, "telnyx") as bad:
        await good.say(said[: RATE // 2], RATE)
        await bad.socket.send('{"event": "media", "media": {"payload": "?"}}')
        await bad.over.wait()
        assert bad.socket.close_code == 1008
        await good.say(said[RATE // 2 :], RATE)
        await good.quiet(1.5)
        assert word_error_rate(SENTENCE, transcribe(good.heard(), 8000)) <= 0.15


async def test_callers_talk_to_agents_of_their_own(phones: Provider) -> None:
    sentences = [SENTENCE, "The train to the mountains leaves at noon."]
    voices = [await voice(phones.server, text) for text in sentences]

    async def talk(call: Phone, said: Pcm) -> str:
        await call.say(said, RATE)
        await call.quiet(1.5)
        return transcribe(call.heard(), 8000)

    async with asyncio.timeout(PATIENCE), phone(phones, "twilio") as one, phone(phones, "telnyx") as two:
        heard = await asyncio.gather(talk(one, voices[0]), talk(two, voices[1]))
    for text, words in zip(sentences, heard, strict=True):
        assert word_error_rate(text, words) <= 0.15


async def test_a_server_that_ends_ends_its_calls(tmp_path: Path) -> None:
    settings = Settings(port=0, data=tmp_path, grace_seconds=5.0)
    for server in run_server(settings):
        said = await voice(server, LONG)
        announced = Provider(server).post("/v1/telephony/telnyx", b"", {})
        async with asyncio.timeout(PATIENCE), Phone(stream_url(announced.text), "telnyx") as call:
            await call.say(said[: RATE // 2], RATE)
            server.interrupt()
            await call.over.wait()
            assert call.socket.close_code == 1000
        assert server.services.calls.open == 0
