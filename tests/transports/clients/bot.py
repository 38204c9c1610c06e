"""A Pipecat bot that can only speak: its own worker, runner, transport and interruptions around one service."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    OutputAudioRawFrame,
    StartFrame,
    TTSSpeakFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.fish.tts import FishAudioTTSService
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams
from pipecat.workers.runner import WorkerRunner

from tests.transports.conftest import Running

RATE = 24_000
PATIENCE = 30.0


class Caller(FrameProcessor):
    """Stands where Pipecat's aggregators do, and interrupts as they do."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class Loudspeaker(BaseOutputTransport):
    """Takes the bot's speech at once, and keeps it."""

    def __init__(self, bot: "Bot") -> None:
        super().__init__(TransportParams(audio_out_enabled=True))
        self._bot = bot

    async def start(self, frame: StartFrame) -> None:
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        assert (frame.sample_rate, frame.num_channels) == (RATE, 1)
        self._bot.heard += frame.audio
        await self._bot.notify()
        return True


class Witness(BaseObserver):
    """Sees each frame once that goes to the listener, and every error."""

    def __init__(self, bot: "Bot") -> None:
        super().__init__(observe_every_push=False)
        self._bot = bot

    async def on_push_frame(self, data: FramePushed) -> None:
        if data.direction is FrameDirection.DOWNSTREAM or isinstance(data.frame, ErrorFrame):
            self._bot.frames.append(data.frame)
            await self._bot.notify()


class Bot:
    """What was said to the bot, and what came out of it."""

    def __init__(self, url: str, **options: Any) -> None:
        self.heard = bytearray()
        self.frames: list[Frame] = []
        self.connections = 0
        self._changed = asyncio.Condition()
        self._caller = Caller()
        # Speech counts as over after this silence; 3 s unless told, which is long for a test.
        options.setdefault("stop_frame_timeout_s", 1.2)
        self.service = FishAudioTTSService(api_key="any", **options)
        self.service._base_url = url  # there is no other way to name a server
        self.service.add_event_handler("on_connected", self._on_connected)
        self.worker = PipelineWorker(
            Pipeline([self._caller, self.service, Loudspeaker(self)]),
            params=PipelineParams(audio_out_sample_rate=RATE, enable_metrics=True, enable_usage_metrics=True),
            observers=[Witness(self)],
            idle_timeout_secs=None,
            enable_rtvi=False,
        )
        self.started = asyncio.Event()
        self.worker.add_event_handler("on_pipeline_started", self._on_started)

    async def _on_connected(self, _: FishAudioTTSService) -> None:
        self.connections += 1
        await self.notify()

    async def _on_started(self, *_: Any) -> None:
        self.started.set()

    async def notify(self) -> None:
        """Something changed: look again, whoever waits for it."""
        async with self._changed:
            self._changed.notify_all()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for something that frames, audio or connections can make true."""
        async with asyncio.timeout(PATIENCE), self._changed:
            await self._changed.wait_for(condition)

    def count(self, kind: type[Frame]) -> int:
        """How many such frames were seen so far."""
        return sum(isinstance(frame, kind) for frame in self.frames)

    @property
    def errors(self) -> list[str]:
        return [frame.error for frame in self.frames if isinstance(frame, ErrorFrame)]

    async def queue(self, *frames: Frame) -> None:
        await self.worker.queue_frames(frames)

    async def say(self, text: str) -> npt.NDArray[np.float32]:
        """A turn whose text is known; returns its audio when the bot is silent again."""
        return await self._turn([TTSSpeakFrame(text)])

    async def answer(self, tokens: Iterable[str], pause: float = 0.0) -> npt.NDArray[np.float32]:
        """A turn that a language model writes, with ``pause`` seconds after each token."""
        frames = [LLMFullResponseStartFrame(), *map(LLMTextFrame, tokens), LLMFullResponseEndFrame()]
        return await self._turn(frames, pause)

    async def _turn(self, frames: list[Frame], pause: float = 0.0) -> npt.NDArray[np.float32]:
        start, stops = len(self.heard), self.count(BotStoppedSpeakingFrame)
        for frame in frames:
            await self.queue(frame)
            await asyncio.sleep(pause)
        await self.until(lambda: self.count(BotStoppedSpeakingFrame) > stops)
        return self.audio(start)

    async def interrupt(self) -> None:
        """As when the user begins to speak."""
        await self._caller.broadcast_interruption()

    def audio(self, start: int = 0) -> npt.NDArray[np.float32]:
        """What was heard from byte ``start`` on."""
        return np.frombuffer(bytes(self.heard[start:]), "<i2").astype(np.float32) / 32768


@asynccontextmanager
async def running_bot(server: Running, **options: Any) -> AsyncIterator[Bot]:
    """A bot while its pipeline runs. It must end by itself when told to."""
    bot = Bot(server.live, **options)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(bot.worker)
    running = asyncio.create_task(runner.run())
    try:
        await asyncio.wait_for(bot.started.wait(), PATIENCE)
        yield bot
        await bot.queue(EndFrame())
        await asyncio.wait_for(asyncio.shield(running), PATIENCE)
    finally:
        if not running.done():
            await runner.cancel()
            await asyncio.wait([running], timeout=PATIENCE)
