"""The driver of a dub: has its lines spoken ahead of time, and makes one continuous stream of audio of them."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import numpy as np

from engine import EngineError, EngineStopped, ModelInfo, Overloaded
from engine.audio import AudioStream, OutputFormat
from engine.speech import Pcm
from realtime.dubbing.captions import Caption, Limits, LineReport
from realtime.dubbing.fitting import Measured
from realtime.dubbing.planner import Begin, Ended, Forget, Note, Planner, Shorten, Speak
from realtime.dubbing.sound import Mixer, arrange, measure
from realtime.request import Latency, SpeechRequest
from realtime.speaker import Audio, Speaker
from realtime.utterance import Finished

MAX_LINE_SECONDS = 120.0
"""No line may be longer, whatever the voice makes of it."""

# By how much the audio goes on where the lines before one must be heard before it can be spoken.
_CRAWL_SECONDS = 0.05


class Unspeakable(Exception):
    """One caption cannot be spoken; its text says why."""


@dataclass(frozen=True, slots=True)
class Started:
    """A line begins ``at`` so many seconds of audio; the report is what is planned."""

    at: float
    report: LineReport


@dataclass(frozen=True, slots=True)
class Made:
    """The next bytes of the container, up to ``until`` seconds of audio, and what happened in it."""

    data: bytes
    until: float
    events: tuple[Started | Ended | Note, ...]


class Dubber:
    """Speaks captions on their timeline. To be used in an ``async with``, which ends all that is under way.

    ``speaker`` makes a speaker for one line. ``ask`` says how a caption is to be spoken: it may take its time,
    and raise :class:`Unspeakable`; whatever else it raises ends the dub. ``same`` is as for the planner. Audio is
    made by :meth:`advance`, one call after the other, on the ``encoder`` threads, level as ``volume_db`` and
    ``normalize_loudness`` say.
    """

    def __init__(
        self,
        speaker: Callable[[], Speaker],
        encoder: Executor,
        info: ModelInfo,
        ask: Callable[[Caption], Awaitable[SpeechRequest]],
        output: OutputFormat,
        *,
        limits: Limits | None = None,
        same: Callable[[str], str] = str,
        offset: float = 0.0,
        volume_db: float = 0.0,
        normalize_loudness: bool = True,
    ) -> None:
        self.planner = Planner(limits, same=same, offset=offset)
        self._make_speaker = speaker
        self._encoder = encoder
        self._info = info
        self._ask = ask
        self._loop = asyncio.get_running_loop()
        self._lines: dict[int, asyncio.Task[None]] = {}  # those that are being spoken
        self._ending: set[asyncio.Task[None]] = set()
        self._speech: dict[int, tuple[Pcm, Measured]] = {}
        self._plan: list[Begin | Shorten] = []
        self._events: list[Started | Ended | Note] = []
        self._changed = asyncio.Event()
        self._failure: Exception | None = None
        self._mixer = Mixer(info.sample_rate)
        self._output = output
        self._level = volume_db, normalize_loudness
        self._audio: AudioStream | None = None  # made in the encoder's thread

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = {*self._lines.values(), *self._ending}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def put(self, caption: Caption) -> None:
        """A new caption, or a new version of one."""
        self.planner.put(caption)
        self._act()

    def remove(self, id_: str) -> None:
        """A caption is void."""
        self.planner.remove(id_)
        self._act()

    async def spoken(self, until: float) -> float:
        """Wait until no speech is missing for the audio up to ``until`` seconds; returns up to when that holds.

        That is sooner where more lines come at a time than may be spoken ahead.
        """
        while (missing := self.planner.missing(until)) is not None and self._failure is None:
            if not self.planner.speaking:
                return max(missing, self.planner.now + _CRAWL_SECONDS)
            self._changed.clear()
            await self._changed.wait()
        return until

    async def advance(self, until: float) -> Made:
        """Make the audio up to ``until`` seconds, with the lines that begin in it. Raises what ended the dub."""
        if self._failure is not None:
            raise self._failure
        self.planner.advance(until)
        self._act()
        plan, self._plan = self._plan, []
        events, self._events = self._events, []
        speech = {step.key: self._speech.pop(step.key) for step in plan if isinstance(step, Begin)}
        data = await self._loop.run_in_executor(self._encoder, self._make, plan, speech, until)
        return Made(data, until, tuple(events))

    async def finish(self) -> bytes:
        """The end of the container."""
        return await self._loop.run_in_executor(self._encoder, self._finish)

    # -- on the encoder's threads -------------------------------------------------------------------

    def _make(
        self, plan: list[Begin | Shorten], speech: dict[int, tuple[Pcm, Measured]], until: float
    ) -> bytes:
        for step in plan:
            match step:
                case Begin(key, at, fitted):
                    pcm, measured = speech[key]
                    self._mixer.add(key, at, arrange(pcm, self._info.sample_rate, measured, fitted))
                case Shorten(key, at):
                    self._mixer.shorten(key, at)
        return self._stream().write(self._mixer.render(until))

    def _finish(self) -> bytes:
        return self._stream().finish()

    def _stream(self) -> AudioStream:
        if self._audio is None:
            volume_db, normalize = self._level
            self._audio = AudioStream(
                self._info.sample_rate,
                self._output,
                gain_db=volume_db,
                normalize=normalize,
                expected_loudness=self._info.loudness,
            )
        return self._audio

    # -- lines --------------------------------------------------------------------------------------

    def _act(self) -> None:
        """Carry out what the planner decided."""
        for action in self.planner.actions():
            match action:
                case Speak(key, caption):
                    self._lines[key] = task = asyncio.create_task(self._say(key, caption))
                    task.add_done_callback(self._said)
                case Forget(key):
                    self._speech.pop(key, None)
                    if (line := self._lines.pop(key, None)) is not None:
                        line.cancel()
                        self._ending.add(line)
                case Begin(_, at, _, report):
                    self._plan.append(action)
                    self._events.append(Started(at, report))
                case Shorten():
                    self._plan.append(action)
                case Ended() | Note():
                    self._events.append(action)
        self._changed.set()

    def _said(self, task: asyncio.Task[None]) -> None:
        self._ending.discard(task)
        if not task.cancelled() and isinstance(error := task.exception(), Exception):
            self._failure = self._failure or error
        self._changed.set()

    async def _say(self, key: int, caption: Caption) -> None:
        """Speak a line, and have it measured."""
        try:
            request = await self._ask(caption)
            pcm, ends = await self._speak(caption.text, request)
            speech = await self._loop.run_in_executor(
                self._encoder, measure, pcm, self._info.sample_rate, ends
            )
        except EngineStopped:
            raise
        except (Unspeakable, EngineError) as error:
            self.planner.failed(key, str(error))
        else:
            self._speech[key] = speech
            self.planner.measured(key, speech[1])
        self._lines.pop(key, None)
        self._act()

    async def _speak(self, text: str, request: SpeechRequest) -> tuple[Pcm, list[float]]:
        """The speech of a text, and where its words end, in seconds.

        Raises EngineError or :class:`Unspeakable`.
        """
        rate = self._info.sample_rate
        request = replace(
            request,
            options=replace(request.options, paced=False),
            output=OutputFormat("pcm", rate),
            latency=Latency.NORMAL,  # all of its text is there
            volume_db=0.0,
            normalize_loudness=False,  # the whole is level, not each line
        )
        while True:
            try:
                return await self._speak_once(text, request, rate)
            except Overloaded as full:
                await asyncio.sleep(full.retry_after)  # a line that comes too late is given up by the planner

    async def _speak_once(self, text: str, request: SpeechRequest, rate: int) -> tuple[Pcm, list[float]]:
        speaker = self._make_speaker()
        data = bytearray()
        ends: list[float] = []
        try:
            speaker.start(request)
            speaker.text(text)
            speaker.stop()
            async for _, event, _ in speaker:
                match event:
                    case Audio(more, words=words):
                        data += more
                        ends += [word.end for word in words]
                    case Finished(None):
                        break
                    case Finished(reason, cause):
                        raise cause or Unspeakable(reason)
                    case _:
                        pass
                if len(data) > 2 * rate * MAX_LINE_SECONDS:
                    raise Unspeakable(f"it takes more than {MAX_LINE_SECONDS:g} s to speak it")
        finally:
            speaker.disconnect()
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32767), ends
