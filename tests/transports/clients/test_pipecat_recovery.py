"""Pipecat sends one start for a whole call: what goes wrong in one turn must not silence the turns after it."""

from collections.abc import Iterator

import pytest
from pipecat.frames.frames import TTSSpeakFrame

from engine import EngineConfig
from tests.tones import ToneModel
from tests.transports.clients.bot import RATE, running_bot
from tests.transports.conftest import Running, run_server
from tests.transports.fish.live_client import LiveClient
from transports.settings import Settings


@pytest.fixture
def small() -> Iterator[Running]:
    """A server with room for one, whose every character takes a tenth of a second."""
    for running in run_server(Settings(port=0, engine=EngineConfig(max_streams=1)), ToneModel):
        yield running
        running.until_idle()


async def test_a_turn_that_fails_does_not_silence_the_next(small: Running) -> None:
    async with running_bot(small) as bot:
        await bot.say("hello")
        await bot.queue(TTSSpeakFrame("unspeakable"))
        await bot.until(lambda: bot.errors)
        await bot.until(lambda: bot.connections == 2)
        audio = await bot.say("next turn")
        assert abs(len(audio) / RATE - 0.9) < 0.1


async def test_a_call_that_found_the_server_full_speaks_when_there_is_room(small: Running) -> None:
    async with LiveClient(small.live) as other:
        await other.start(format="pcm")
        await other.send("text", text="a" * 300)  # half a minute, of which the server is ten seconds ahead
        await other.send("flush")
        await other.bytes_of(1.0, 44100)
        async with running_bot(small) as bot:
            await bot.until(lambda: bot.errors)
            await other.send("cancel")
            audio = await bot.say("now it is my turn")
            assert abs(len(audio) / RATE - 1.7) < 0.1
