"""Pipecat 1.14's own Fish Audio service, in Pipecat's own pipeline."""

import asyncio
import re
from collections.abc import Iterator

import pytest
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    MetricsFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStartedFrame,
    TTSUpdateSettingsFrame,
)
from pipecat.metrics.metrics import TTFBMetricsData
from pipecat.services.fish.tts import FishAudioTTSService

from engine import EngineConfig
from tests.hearing import transcribe, word_error_rate
from tests.tones import ToneModel
from tests.transports.clients.bot import RATE, running_bot
from tests.transports.conftest import Running, run_server
from transports.settings import Settings

OLD = "The old sailor told us a long story about the storm. " * 20
NEW = "Your table is booked for seven people."


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]{3,}", text.lower()))


async def test_a_turn(server: Running) -> None:
    text = "Good morning, how can I help you today?"
    async with running_bot(server) as bot:
        audio = await bot.say(text)
        assert word_error_rate(text, transcribe(audio, RATE)) <= 0.15
        assert all(len(f.audio) % 2 == 0 for f in bot.frames if isinstance(f, TTSAudioRawFrame))
        metrics = [data for frame in bot.frames if isinstance(frame, MetricsFrame) for data in frame.data]
        assert any(isinstance(data, TTFBMetricsData) and data.value > 0 for data in metrics)
    assert bot.errors == []


async def test_turns_on_one_connection_with_a_rest_between(server: Running) -> None:
    """The rest is the silence after which Pipecat takes a turn to be over."""
    async with running_bot(server) as bot:
        for text in ("How are you today?", "I can hear the birds.", "Please call me again tomorrow."):
            assert word_error_rate(text, transcribe(await bot.say(text), RATE)) <= 0.25
        assert bot.connections == 1
        assert server.engine.open_streams <= 1
    assert bot.errors == []


async def test_a_language_model_writes_the_turn(server: Running) -> None:
    """Tokens become sentences in Pipecat, and sentences one speech here."""
    text = "Sure, I can do that. The next train leaves at ten. Shall I book a seat for you?"
    async with running_bot(server) as bot:
        audio = await bot.answer(re.findall(r"\s*\S+", text), pause=0.05)
        assert word_error_rate(text, transcribe(audio, RATE)) <= 0.15
        assert bot.connections == 1
    assert bot.errors == []


async def test_a_turn_without_words(server: Running) -> None:
    """Two such turns without audio, and Pipecat takes the service for broken."""
    async with running_bot(server) as bot:
        for text in ("🙂", "..."):
            assert len(await bot.answer([text])) < RATE
        assert word_error_rate(NEW, transcribe(await bot.say(NEW), RATE)) <= 0.15
    assert bot.errors == []


async def test_new_settings_in_mid_call(server: Running) -> None:
    """Pipecat connects anew for them."""
    async with running_bot(server) as bot:
        usual = await bot.say(NEW)
        voice = server.engine.info.voice_ids[1]
        delta = FishAudioTTSService.Settings(voice=voice, prosody_speed=1.4, prosody_volume=-3)
        await bot.queue(TTSUpdateSettingsFrame(delta=delta))
        fast = await bot.say(NEW)
        assert word_error_rate(NEW, transcribe(fast, RATE)) <= 0.3
        assert len(fast) < 0.9 * len(usual)
        assert bot.connections == 2
        assert server.engine.open_streams <= 1
    assert bot.errors == []


async def test_an_interruption_in_mid_speech(server: Running) -> None:
    """The next turn speaks its own text only, on a new connection; the old one holds nothing any more."""
    async with running_bot(server) as bot:
        await bot.queue(TTSSpeakFrame(OLD))
        await bot.until(lambda: len(bot.heard) > RATE)
        assert server.engine.open_streams == 1
        await bot.interrupt()
        await bot.until(lambda: bot.connections == 2 and bot.count(BotStoppedSpeakingFrame))
        heard = transcribe(await bot.say(NEW), RATE)
        assert word_error_rate(NEW, heard) <= 0.15
        assert not words(OLD) & words(heard)
        assert server.engine.open_streams <= 1
    assert bot.errors == []


async def test_interruptions_one_after_the_other(server: Running) -> None:
    async with running_bot(server) as bot:
        for number in range(1, 6):
            enough = len(bot.heard) + RATE // 4

            def is_heard(enough: int = enough) -> bool:
                return len(bot.heard) > enough

            def is_back(number: int = number) -> bool:
                return bot.connections == number + 1 and bot.count(BotStoppedSpeakingFrame) == number

            await bot.queue(TTSSpeakFrame(OLD))
            await bot.until(is_heard)
            await bot.interrupt()
            await bot.until(is_back)
        assert word_error_rate(NEW, transcribe(await bot.say(NEW), RATE)) <= 0.15
        assert server.engine.open_streams <= 1
    assert bot.errors == []


@pytest.fixture
def tones() -> Iterator[tuple[Running, ToneModel]]:
    """A server whose every character takes a tenth of a second, and which can be held up."""
    model = ToneModel()
    for running in run_server(Settings(port=0, engine=EngineConfig(max_streams=4)), lambda: model):
        yield running, model
        model.gate.set()
        running.until_idle()


async def test_an_interruption_before_the_first_sound(tones: tuple[Running, ToneModel]) -> None:
    server, model = tones
    async with running_bot(server) as bot:
        model.gate.clear()
        await bot.queue(TTSSpeakFrame("old " * 50))
        await bot.until(lambda: bot.count(TTSStartedFrame))
        assert await asyncio.to_thread(model.blocked.wait, 10)
        await bot.interrupt()
        await bot.until(lambda: bot.connections == 2)
        model.gate.set()
        audio = await bot.say("brand new")
        assert abs(len(bot.audio()) / RATE - 0.9) < 0.1
        assert len(audio) == len(bot.audio())
        assert len(model.held) == 0
    assert bot.errors == []
