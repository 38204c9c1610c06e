"""The engine's asyncio face: utterances that are told segments and give back frames."""

import asyncio
import contextlib
import itertools
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self

from engine.errors import EngineStopped, Overloaded, SpeechError, UnknownVoice
from engine.models.base import SpeechModel
from engine.numbers import SegmentTiming, WorkerNumbers
from engine.origin import current
from engine.process import ModelSpec, Pool, ProcessConfig
from engine.runner import Runner, ThreadRunner
from engine.speech import Frame, ModelInfo, Reference, Segment, StreamId, StreamOptions
from engine.worker import Delivery

Models = Callable[[], SpeechModel] | Sequence[ModelSpec]
"""What makes the model of an engine, on a thread of this process; or what describes it, once for each process."""

# A language model that writes falls silent for moments; one that is silent for longer has no more to say.
QUIET_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Limits of an engine.

    ``max_streams`` may speak at a time; None is as many as half of this machine can speak in real time, measured
    at the start. ``max_ahead``: seconds by which a paced stream may be ahead of its listener. ``max_untaken``:
    seconds of audio kept for a consumer that does not pick it up. ``max_learned`` voices are remembered beside
    those of streams under way, the latest used; ``max_learning`` may wait to be learned at a time. ``processes``
    is how workers that are processes are looked after.
    """

    max_streams: int | None = None
    max_ahead: float = 10.0
    max_untaken: float = 2.0
    max_learned: int = 256
    max_learning: int = 16
    processes: ProcessConfig = field(default_factory=ProcessConfig)


class EngineState(StrEnum):
    """Where an engine is in its life."""

    LOADING = "loading"
    READY = "ready"
    RESTARTING = "restarting"
    DRAINING = "draining"
    FAILED = "failed"


class Engine:
    """Speaks many utterances at once with one model, which lives on a thread of its own or in processes.

    All methods belong to the event loop on which :meth:`start` ran, and none of them blocks it.
    """

    def __init__(self, models: Models, config: EngineConfig | None = None) -> None:
        self.config = config or EngineConfig()
        self._runner = self._make_runner(models)
        self._ids = itertools.count(1)
        self._utterances: dict[StreamId, Utterance] = {}
        self._busy: set[StreamId] = set()  # utterances with something said that nobody has taken yet
        self._changed = asyncio.Event()  # set whenever one of the two above is another
        self._learned: OrderedDict[str, None] = OrderedDict()  # voices, the latest used last
        self._in_use: Counter[str] = Counter()  # streams that have each voice
        self._learning: dict[str, asyncio.Task[SpeechError | EngineStopped | None]] = {}
        self._lesson = asyncio.Lock()  # one at a time: speaking comes first
        self._info: ModelInfo | None = None
        self._refusal = "the model is still loading"  # why nothing is taken, while the state is not READY
        self.state = EngineState.LOADING

    def _make_runner(self, models: Models) -> Runner:
        config = self.config
        if callable(models):
            return ThreadRunner(
                models,
                max_streams=config.max_streams,
                max_ahead=config.max_ahead,
                max_untaken=config.max_untaken,
                deliver=self._deliver,
                died=self._fail,
            )
        return Pool(
            models,
            max_streams=config.max_streams,
            max_ahead=config.max_ahead,
            max_untaken=config.max_untaken,
            config=config.processes,
            deliver=self._deliver,
            down=self._down,
            up=self._up,
        )

    async def start(self) -> None:
        """Load and warm the model. Raises whatever kept the model from loading."""
        try:
            self._info = await self._runner.start()
        except Exception as error:
            self.state, self._refusal = EngineState.FAILED, f"the model could not be loaded: {error}"
            raise
        self.state = EngineState.READY

    async def drain(self, grace: float) -> None:
        """Refuse new utterances and wait up to ``grace`` seconds until those under way have fallen silent.

        An utterance that is open but has had nothing to say for :data:`QUIET_SECONDS` is not waited for.
        """
        if self.state in (EngineState.READY, EngineState.RESTARTING):
            self.state, self._refusal = EngineState.DRAINING, "the server is shutting down"
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                while self._utterances:
                    self._changed.clear()
                    async with asyncio.timeout(None if self._busy else QUIET_SECONDS):
                        await self._changed.wait()

    async def stop(self, grace: float = 0.0) -> None:
        """:meth:`drain`, then end what is left with :class:`EngineStopped`, and the workers with it."""
        await self.drain(grace)
        if self._info is None:
            return
        self._fail("the server is shutting down")
        await asyncio.gather(*self._learning.values())
        await self._runner.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def ready(self) -> bool:
        """Whether :meth:`open` would be listened to at all."""
        return self.state is EngineState.READY

    @property
    def info(self) -> ModelInfo:
        """Facts about the loaded model. Raises :class:`EngineStopped` before it is."""
        if self._info is None:
            raise EngineStopped("the model is still loading")
        return self._info

    @property
    def max_streams(self) -> int:
        """How many utterances may speak at once."""
        return self._runner.max_streams

    @property
    def open_streams(self) -> int:
        """How many utterances are open now."""
        return len(self._utterances)

    @property
    def has_room(self) -> bool:
        """Whether another utterance would be let in now."""
        return self._runner.has_room

    @property
    def speaking_streams(self) -> int:
        """How many of them have something to say that nobody has taken yet."""
        return len(self._busy)

    def numbers(self) -> list[WorkerNumbers]:
        """What each worker does and has done; none before one is loaded."""
        return [] if self._info is None else self._runner.numbers()

    def open(self, options: StreamOptions, arrived: asyncio.Event | None = None) -> "Utterance":
        """Admit a new utterance, which sets ``arrived`` whenever it has something new to tell.

        Raises :class:`UnknownVoice`, :class:`engine.Overloaded` or :class:`EngineStopped`.
        """
        if not self.ready:
            raise EngineStopped(self._refusal)
        for voice in options.voices:
            if not self.knows(voice):
                raise UnknownVoice(voice, self.info.voice_ids)
        stream = StreamId(next(self._ids))
        if options.origin is None:
            options = replace(options, origin=current())
        self._runner.open(stream, options)
        utterance = Utterance(
            stream,
            options.voices,
            self._runner,
            self.info.sample_rate,
            self._note,
            arrived or asyncio.Event(),
        )
        self._utterances[stream] = utterance
        self._in_use.update(options.voices)
        for voice in self._learned.keys() & options.voices:
            self._learned.move_to_end(voice)
        return utterance

    def knows(self, voice: str) -> bool:
        """Whether :meth:`open` takes a voice now: one of the model's own, or one that is learned."""
        return voice in self.info.voice_ids or (voice in self._learned and self._runner.knows(voice))

    async def learn(self, voice: str, references: Sequence[Reference]) -> None:
        """Have the model learn a voice from recordings, so that :meth:`open` takes it from now on.

        An id stands for the same recordings for ever: of a known one, nothing is learned again. It may be
        forgotten when more than ``config.max_learned`` voices have been used since, but never while a stream
        has it.
        Raises :class:`SpeechError` if the recordings cannot be used, :class:`Overloaded`, or
        :class:`EngineStopped`.
        """
        if not self.ready:
            raise EngineStopped(self._refusal)
        if voice in self.info.voice_ids:
            raise SpeechError(
                f"{voice!r} is a voice of the model itself; choose another id for the recordings"
            )
        if not references:
            raise SpeechError(f"there is no recording of {voice!r}; a voice needs one at least")
        if voice in self._learned and self._runner.knows(voice):
            self._learned.move_to_end(voice)
            return
        task = self._learning.get(voice)
        if task is None:
            if len(self._learning) >= self.config.max_learning:
                raise Overloaded(f"{len(self._learning)} voices are being learned, as many as may wait")
            self._learning[voice] = task = asyncio.create_task(self._learn(voice, references))
        # Whoever gives up leaves the lesson to the others; each gets an exception of its own.
        failure = await asyncio.shield(task)
        if failure is not None:
            raise type(failure)(str(failure))

    async def _learn(self, voice: str, references: Sequence[Reference]) -> SpeechError | EngineStopped | None:
        """What kept the voice from being learned, if anything did."""
        failure: SpeechError | EngineStopped | None = None
        try:
            async with self._lesson:
                if self.ready:
                    await self._runner.learn(voice, references)
        except (SpeechError, EngineStopped) as error:
            failure = error
        finally:
            del self._learning[voice]
        if failure is not None:
            return failure
        if not self.ready:
            return EngineStopped(self._refusal)
        self._learned.pop(voice, None)  # it may have been learned again, where a worker had crashed
        surplus = max(0, len(self._learned) + 1 - self.config.max_learned)
        for idle in [other for other in self._learned if not self._in_use[other]][:surplus]:
            del self._learned[idle]
            self._runner.forget(idle)
        self._learned[voice] = None
        return None

    def _deliver(self, deliveries: Sequence[Delivery]) -> None:
        for stream, outcome, timing in deliveries:
            if utterance := self._utterances.get(stream):
                utterance._receive(outcome, timing)

    def _down(self, reason: str) -> None:
        """Nothing can be spoken just now."""
        if self.ready:
            self.state, self._refusal = EngineState.RESTARTING, reason

    def _up(self) -> None:
        """It can again."""
        if self.state is EngineState.RESTARTING:
            self.state = EngineState.READY

    def _fail(self, reason: str) -> None:
        """End every utterance, each with an error of its own: a raised one holds on to where it was raised."""
        if self.state in (EngineState.READY, EngineState.RESTARTING):
            self.state = EngineState.FAILED
        self._refusal = reason
        for utterance in list(self._utterances.values()):
            utterance._receive(EngineStopped(reason))

    def _note(self, utterance: "Utterance") -> None:
        """Keep account of an utterance that began or ceased to have something to say, or closed."""
        if utterance.closed and self._utterances.pop(utterance.id, None) is not None:
            self._in_use -= Counter(utterance.voices)
        if utterance.spoken or utterance.closed:
            self._busy.discard(utterance.id)
        else:
            self._busy.add(utterance.id)
        self._changed.set()


class Utterance:
    """One stream of speech: segments go in with :meth:`say`, frames come out by async iteration.

    Iteration ends after :meth:`finish` once everything said has been spoken, or after :meth:`cancel`; it
    raises the :class:`SpeechError` or :class:`EngineStopped` that ended the stream early, after the frames
    that were ready before it. Word times of the frames count from the first sample of the utterance.

    A consumer that waits for other things too polls :meth:`take` and :attr:`done` when ``arrived`` is set.
    """

    def __init__(
        self,
        stream: StreamId,
        voices: tuple[str, ...],
        runner: Runner,
        sample_rate: int,
        note: Callable[["Utterance"], None],
        arrived: asyncio.Event,
    ) -> None:
        self.id = stream
        self.voices = voices
        self._runner = runner
        self.sample_rate = sample_rate
        self._note = note
        self._frames: deque[Frame] = deque()
        self._timings: list[SegmentTiming] = []
        self._arrived = arrived
        self._unspoken = 0  # segments said whose last frame has not arrived
        self._segment_start = 0.0  # seconds of the utterance before the segment that is arriving
        self._seconds = 0.0
        self._finished = False
        self._closed = False
        self._error: SpeechError | EngineStopped | None = None

    def say(self, segment: Segment) -> None:
        """Speak ``segment`` after all that was said before. Raises RuntimeError after :meth:`finish`."""
        if self._finished:
            raise RuntimeError("say() after finish()")
        if not self._closed:
            self._unspoken += 1
            self._runner.say(self.id, segment)
            self._note(self)

    def played(self, ahead: float) -> None:
        """The listener is known to have ``ahead`` seconds left of what was taken; without this, time decides."""
        self._runner.played(self.id, ahead)

    def finish(self) -> None:
        """Nothing more will be said. Idempotent."""
        self._finished = True
        self._arrived.set()

    def cancel(self) -> None:
        """Drop what is not yet taken, free the slot, end the iteration. Idempotent, effective at once."""
        self._finished = True
        self._frames.clear()
        self._close()

    @property
    def closed(self) -> bool:
        """Whether the stream's slot has been given back; frames may be left to take."""
        return self._closed

    @property
    def spoken(self) -> bool:
        """Whether every segment said so far has arrived and been taken."""
        return self._unspoken == 0 and not self._frames

    @property
    def ready(self) -> bool:
        """Whether a frame can be taken."""
        return bool(self._frames)

    def take(self) -> Frame | None:
        """The next frame if there is one. Raises what ended the stream early."""
        if self._frames:
            frame = self._frames.popleft()
            self._runner.taken(self.id, len(frame.pcm) / self.sample_rate)
            if self.spoken:
                self._note(self)
            return frame
        if self._error is not None:
            raise self._error
        return None

    def take_timings(self) -> list[SegmentTiming]:
        """The timings of the segments of which there is sound since the last ones, in order."""
        timings, self._timings = self._timings, []
        return timings

    @property
    def done(self) -> bool:
        """Whether no frame will come any more: cancelled, or finished and spoken to the end."""
        if not self._closed and self._finished and not self._frames and self._unspoken == 0:
            self._close()
        return self._closed and not self._frames and self._error is None

    def __aiter__(self) -> AsyncIterator[Frame]:
        return self

    async def __anext__(self) -> Frame:
        while (frame := self.take()) is None:
            if self.done:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return frame

    def _receive(
        self, outcome: Frame | SpeechError | EngineStopped, timing: SegmentTiming | None = None
    ) -> None:
        if self._closed:
            return
        if timing is not None:
            self._timings.append(timing)
        if isinstance(outcome, Frame):
            words = tuple(
                replace(word, start=word.start + self._segment_start, end=word.end + self._segment_start)
                for word in outcome.words
            )
            self._frames.append(replace(outcome, words=words))
            self._seconds += len(outcome.pcm) / self.sample_rate
            if outcome.last:
                self._unspoken -= 1
                self._segment_start = self._seconds
            self._arrived.set()
        else:
            self._error = outcome
            self._close()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._runner.close(self.id)
            self._note(self)
        self._arrived.set()
