"""One worker that is a process: started, told what to speak, started again when it has crashed."""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from engine import origin
from engine.admission import refusal
from engine.errors import EngineStopped, ModelUnavailable, SpeechError
from engine.logs import texts_shown
from engine.numbers import WorkerNumbers, WorkerTally
from engine.process.child import Child, beat_seconds
from engine.process.config import Backoff, ProcessConfig
from engine.process.messages import (
    Beat,
    Begin,
    Close,
    Forget,
    Learn,
    Learned,
    Logged,
    Open,
    Outcome,
    Outcomes,
    Ready,
    Say,
    Unloadable,
)
from engine.process.spec import ModelSpec
from engine.process.spool import Recordings
from engine.runner import Deliver
from engine.speech import ModelInfo, Segment, StreamId, StreamOptions
from engine.worker import Delivery

log = logging.getLogger(__name__)

CRASHED = "the worker that spoke this has crashed; what was heard of it is all"


def _nothing() -> WorkerNumbers:
    """Of a worker that has done nothing yet."""
    none = WorkerTally()
    counts = none.steps.read(), none.batch.read(), none.prefill.read(), none.release.read()
    return WorkerNumbers(0, 0, 0, 0, 0, 0.0, 0.0, *counts)


@dataclass(frozen=True, slots=True)
class Limits:
    """Those of a worker's scheduler; ``max_streams`` None is what the model says, or can be measured."""

    max_streams: int | None
    max_ahead: float
    max_untaken: float


@dataclass(slots=True)
class _Run:
    """One life of the worker: what ends with the process."""

    child: Child
    loaded: asyncio.Future[Ready]
    since: float = 0.0  # when it was loaded, by the event loop's clock
    numbers: WorkerNumbers = field(default_factory=_nothing)
    streams: dict[StreamId, int] = field(default_factory=dict)  # and segments of each that are to be spoken
    voices: set[str] = field(default_factory=set)
    lessons: dict[int, asyncio.Future[SpeechError | EngineStopped | None]] = field(default_factory=dict)


class ProcessWorker:
    """Worker ``number`` of a pool. All calls belong to the event loop.

    ``deliver`` is told what becomes of streams, ``changed`` is called when the worker has come up or gone down.
    """

    def __init__(
        self,
        number: int,
        spec: ModelSpec,
        limits: Limits,
        config: ProcessConfig,
        deliver: Deliver,
        changed: Callable[[], None],
    ) -> None:
        self.number = number
        self.limits = limits
        self._spec, self._config = spec, config
        self._deliver, self._changed = deliver, changed
        self._backoff = Backoff(config)
        self._run: _Run | None = None
        self._up = False
        self._lesson = 0
        self._stopping = False
        self.restarts = 0
        self.avoided: set[str] = set()
        """Voices at which it has crashed: they are not learned again unasked."""

    # Its life.

    async def begin(self) -> ModelInfo:
        """Start the process and load the model.

        Raises :class:`ModelUnavailable`, or RuntimeError with whatever else kept it from being loaded.
        """
        run: _Run | None = None
        child = Child(self._config, lambda message: self._take(run, message), lambda: self._lost(run))
        self._run = run = _Run(child, asyncio.get_running_loop().create_future())
        engine, libraries = logging.getLogger("engine"), logging.getLogger()
        try:
            await child.start(
                Begin(
                    self._spec.packed(),
                    self.limits.max_streams,
                    self.limits.max_ahead,
                    self.limits.max_untaken,
                    beat_seconds(self._config),
                    engine.getEffectiveLevel(),
                    libraries.getEffectiveLevel(),
                    texts_shown(),
                ),
                self._spec.environment,
            )
            ready = await run.loaded
        except BaseException:
            run.loaded.cancel()
            child.kill("it could not be loaded")
            raise
        run.since = asyncio.get_running_loop().time()
        self.limits = replace(self.limits, max_streams=ready.max_streams)
        self._up = True
        child.watch()
        self._changed()
        return ready.info

    def limit(self, max_streams: int) -> None:
        """Let in no more than so many streams, in this life and the next."""
        self.limits = replace(self.limits, max_streams=max_streams)

    async def live(self) -> None:
        """Start it again whenever it has ended, until this is cancelled. It has begun."""
        loop = asyncio.get_running_loop()
        while True:
            assert self._run is not None
            run = self._run
            how = await asyncio.shield(run.child.gone)
            delay = self._backoff.delay(loop.time() - run.since if run.since else 0.0)
            log.error("worker %d is gone: %s; it is started again in %g s", self.number, how, delay)
            await asyncio.sleep(delay)
            self.restarts += 1
            try:
                await self.begin()
            except (ModelUnavailable, RuntimeError, OSError) as error:
                log.error("worker %d could not be loaded: %s", self.number, str(error))
                await asyncio.shield(self._run.child.gone)

    async def stop(self) -> None:
        """End the process, if there is one. :meth:`live` has been cancelled."""
        self._stopping = True
        if self._run is not None:
            await self._run.child.stop()

    @property
    def up(self) -> bool:
        """Whether it speaks."""
        return self._up

    # Streams.

    @property
    def max_streams(self) -> int:
        """How many may speak at once; 0 before it was first loaded."""
        return self.limits.max_streams or 0

    @property
    def speaking(self) -> int:
        """How many streams have something to say."""
        return sum(map(bool, self._run.streams.values())) if self._run is not None else 0

    @property
    def open_streams(self) -> int:
        """How many streams are open."""
        return len(self._run.streams) if self._run is not None else 0

    @property
    def refusal(self) -> str | None:
        """Why it takes no further stream; None if it does."""
        return refusal(self.speaking, self.open_streams, self.max_streams)

    def numbers(self) -> WorkerNumbers:
        """What it does, and has done in this life."""
        return replace(
            self._run.numbers if self._run is not None else _nothing(),
            worker=self.number,
            open=self.open_streams,
            speaking=self.speaking,
            max_streams=self.max_streams,
            alive=self._up,
            restarts=self.restarts,
            pid=self._run.child.pid if self._run is not None and self._up else 0,
        )

    def open(self, stream: StreamId, options: StreamOptions) -> None:
        """Begin a stream, which was let in. Raises TypeError or ValueError for options that cannot be sent."""
        run = self._running
        run.child.send(Open(stream, options))
        run.streams[stream] = 0

    def say(self, stream: StreamId, segment: Segment) -> None:
        """One more segment of a stream; ignored if it is closed by now."""
        run = self._run
        if run is not None and stream in run.streams:
            run.child.send(Say(stream, segment))
            run.streams[stream] += 1

    def tell(self, message: object) -> None:
        """What a stream's consumer does."""
        if self._run is not None:
            self._run.child.send(message)

    def close(self, stream: StreamId) -> None:
        """End a stream. Idempotent."""
        if self._run is not None and self._run.streams.pop(stream, None) is not None:
            self._run.child.send(Close(stream))

    # Voices.

    @property
    def voices(self) -> Collection[str]:
        """Those that it has learned."""
        return self._run.voices if self._run is not None and self._up else ()

    async def learn(self, voice: str, recordings: Recordings) -> None:
        """Teach it a voice. Raises :class:`SpeechError`, or :class:`EngineStopped` if it is not up."""
        run = self._running
        self._lesson += 1
        number = self._lesson
        run.lessons[number] = done = asyncio.get_running_loop().create_future()
        try:
            run.child.send(Learn(number, voice, recordings))
            failure = await done
        finally:
            run.lessons.pop(number, None)
        if isinstance(failure, EngineStopped):
            self.avoided.add(voice)
        if failure is not None:
            raise failure
        run.voices.add(voice)

    def forget(self, voice: str) -> None:
        """Let go of a voice, learned or being learned."""
        self.avoided.discard(voice)
        if self._run is not None and self._up:
            self._run.voices.discard(voice)
            self._run.child.send(Forget(voice))

    @property
    def _running(self) -> _Run:
        if self._run is None or not self._up:
            raise EngineStopped(f"worker {self.number} is being started again")
        return self._run

    # What comes from the process.

    def _take(self, run: _Run | None, message: object) -> None:
        assert run is not None
        match message:
            case Outcomes(of):
                self._deliver([_delivery(run, outcome) for outcome in of])
            case Beat(_, numbers):
                run.numbers = numbers
            case Learned(lesson, failure):
                if (done := run.lessons.get(lesson)) is not None and not done.done():
                    done.set_result(None if failure is None else failure.error())
            case Logged():
                _log(message)
            case Ready():
                if not run.loaded.done():
                    run.loaded.set_result(message)
            case Unloadable(reason, told):
                if not run.loaded.done():
                    error = ModelUnavailable(reason) if told else RuntimeError(reason)
                    run.loaded.set_exception(error)

    def _lost(self, run: _Run | None) -> None:
        """The process is no more: neither are its streams."""
        assert run is not None
        self._up = False
        if not run.loaded.done():
            run.loaded.set_exception(
                RuntimeError(
                    f"worker {self.number} ended while it loaded the model; its own output may say why"
                )
            )
        streams, run.streams = list(run.streams), {}
        for done in run.lessons.values():
            if not done.done():
                done.set_result(EngineStopped("a worker crashed while it learned these recordings"))
        if streams:
            self._deliver([Delivery(stream, EngineStopped(CRASHED)) for stream in streams])
        if not self._stopping:
            self._changed()


def _delivery(run: _Run, outcome: Outcome) -> Delivery:
    """What came of a stream, of which account is kept."""
    stream, frame = outcome.stream, outcome.frame
    if frame is not None:
        if frame.last and run.streams.get(stream):
            run.streams[stream] -= 1
        return Delivery(stream, frame, outcome.timing)
    assert outcome.failure is not None
    run.streams.pop(stream, None)  # the worker has closed it
    return Delivery(stream, outcome.failure.error())


def _log(line: Logged) -> None:
    """Log here what a worker has logged, if its logger is heard here."""
    logger = logging.getLogger(line.logger)
    if logger.isEnabledFor(line.level):
        more = {"traceback": line.traceback} if line.traceback else None
        record = logger.makeRecord(line.logger, line.level, "", 0, "%s", (line.text,), None, extra=more)
        with origin.within(line.origin):
            logger.handle(record)
