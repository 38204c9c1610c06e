"""The thread that owns a model and turns the scheduler's crank."""

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from engine.audio import Stretcher
from engine.errors import EngineStopped, ModelGone, SpeechError
from engine.models.base import Mortal, SpeechModel
from engine.numbers import Paged, SegmentTiming, WorkerNumbers, WorkerTally
from engine.origin import within
from engine.scheduler import Scheduler, SchedulerConfig
from engine.speech import Frame, ModelInfo, Reference, Segment, StreamId, StreamOptions

log = logging.getLogger(__name__)

CALIBRATION_TEXT = "The parrot sat on the tall mast and told the whole harbour what it had heard."
CALIBRATIONS = 3
GIVE_UP_AFTER = 3  # steps in a row that fail as a whole
LOAD_LIMIT = 0.5  # share of real time that admitted streams may ask of the model; the rest absorbs bursts
MIN_CAPACITY, MAX_CAPACITY = 4, 512


class Delivery(NamedTuple):
    """What became of one stream in a step: its next frame, or the error that ended it.

    The first frame of a segment that has sound comes with the segment's ``timing``.
    """

    stream: StreamId
    outcome: Frame | SpeechError | EngineStopped
    timing: SegmentTiming | None = None


@dataclass(slots=True)
class _Work:
    options: StreamOptions  # with the speed that the model takes; the rest of it is in tempo
    tempo: float
    segments: deque[tuple[Segment, float]]  # and when each was said
    stretcher: Stretcher | None = None  # of the segment that is being spoken
    begun: tuple[float, float, float] | None = None  # until it is heard of: said, prefill, prefilled

    def stretched(self, frame: Frame) -> Frame:
        """The frame at the stream's tempo."""
        if (stretcher := self.stretcher) is None:
            return frame
        pcm = stretcher.push(frame.pcm)
        if frame.last:
            pcm = np.concatenate([pcm, stretcher.drain()])
        words = tuple(
            replace(word, start=word.start / self.tempo, end=word.end / self.tempo) for word in frame.words
        )
        return Frame(pcm, words, frame.last)


class Worker:
    """Runs one model on its own thread.

    Streams are opened, fed and closed from any thread; those calls only touch the scheduler under a lock that
    is never held while the model computes. ``deliver`` is called on the worker's thread with the outcomes of
    each step, ``died`` with the exception if the thread ends by itself.
    """

    def __init__(
        self,
        make_model: Callable[[], SpeechModel],
        *,
        max_streams: int | None,
        max_ahead: float,
        max_untaken: float,
        deliver: Callable[[Sequence[Delivery]], None],
        died: Callable[[BaseException], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._make_model = make_model
        self._limits = (max_streams, max_ahead, max_untaken)
        self._deliver = deliver
        self._died = died
        self._clock = clock
        self._changed = threading.Condition()
        self._scheduler: Scheduler
        self._info: ModelInfo
        self._model: SpeechModel
        self._work: dict[StreamId, _Work] = {}
        self._released: list[tuple[StreamId, float]] = []  # and since when
        self._tally = WorkerTally()
        self._turns = 0
        self._at_work = False
        self._stopping = False
        self._failures = 0
        self._gone: ModelGone | None = None
        self._thread = threading.Thread(target=self._run, name="parrotfish-engine", daemon=True)
        self._loaded: Callable[[ModelInfo | BaseException], None]

    def start(self, loaded: Callable[[ModelInfo | BaseException], None]) -> None:
        """Start the thread. ``loaded`` is called on it once: with the warm model's facts, or what failed."""
        self._loaded = loaded
        self._thread.start()

    def stop(self) -> None:
        """Ask the thread to end after the step it is in."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread to end."""
        if self._thread.ident is not None:
            self._thread.join(timeout)

    @property
    def max_streams(self) -> int:
        """How many streams may speak at once; valid once loaded."""
        return self._scheduler.config.max_streams

    @property
    def has_room(self) -> bool:
        """Whether a stream would be let in now."""
        with self._changed:
            return self._scheduler.refusal is None

    def open(self, stream: StreamId, options: StreamOptions) -> None:
        """Admit a stream or raise :class:`engine.Overloaded`."""
        slowest, fastest = self._info.speeds
        speed = min(max(options.speed, slowest), fastest)
        with self._changed:
            self._scheduler.open(stream, paced=options.paced)
            self._work[stream] = _Work(replace(options, speed=speed), options.speed / speed, deque())

    def say(self, stream: StreamId, segment: Segment) -> None:
        """Queue a segment of an open stream; ignored if the stream is closed by now."""
        with self._changed:
            if work := self._work.get(stream):
                now = self._clock()
                work.segments.append((segment, now))
                self._scheduler.queue(stream, now)
                self._changed.notify()

    def taken(self, stream: StreamId, seconds: float) -> None:
        """The consumer picked up ``seconds`` of a stream's audio."""
        with self._changed:
            self._scheduler.taken(stream, seconds)
            self._changed.notify()

    def played(self, stream: StreamId, ahead: float) -> None:
        """The stream's listener has ``ahead`` seconds left of what was taken: its deadline is corrected."""
        with self._changed:
            self._scheduler.played(stream, ahead, self._clock())
            self._changed.notify()

    def close(self, stream: StreamId) -> None:
        """Free a stream's slot now; the model forgets it before its next step. Idempotent."""
        with self._changed:
            self._drop(stream)
            self._changed.notify()

    @property
    def turn(self) -> int | None:
        """The number of the turn that the thread is at; None while it waits for work. For any thread."""
        return self._turns if self._at_work else None

    def numbers(self) -> WorkerNumbers:
        """What it does and has done; valid once loaded, on any thread."""
        with self._changed:
            scheduler = self._scheduler
            streams, speaking, waiting = len(scheduler), scheduler.speaking, scheduler.waiting
        tally, model = self._tally, self._model
        return WorkerNumbers(
            worker=0,
            open=streams,
            speaking=speaking,
            waiting=waiting,
            max_streams=scheduler.config.max_streams,
            busy=tally.busy,
            audio=tally.audio,
            steps=tally.steps.read(),
            batch=tally.batch.read(),
            prefill=tally.prefill.read(),
            release=tally.release.read(),
            pages=model.pages if isinstance(model, Paged) else None,
        )

    def learn(self, voice: str, references: Sequence[Reference]) -> None:
        """Teach the model a voice, on the caller's thread. Raises :class:`SpeechError`."""
        try:
            self._model.learn(voice, references)
        except SpeechError:
            raise
        except Exception as error:
            log.error("voice %r cannot be learned", voice, exc_info=error)
            raise SpeechError("the model failed on these recordings") from None

    def forget(self, voice: str) -> None:
        """Have the model let go of a voice that no stream has."""
        self._model.forget(voice)

    def _drop(self, stream: StreamId) -> None:
        if self._work.pop(stream, None):
            self._scheduler.close(stream)
            self._released.append((stream, self._clock()))

    def _run(self) -> None:
        try:
            model = self._make_model()
        except BaseException as error:
            self._loaded(error)
            return
        with contextlib.closing(model):
            self._serve(model)

    def _serve(self, model: SpeechModel) -> None:
        try:
            model.warm()
            max_streams, max_ahead, max_untaken = self._limits
            self._info = info = model.info
            limit = max_streams or info.max_streams or self._measure_capacity(model)
            self._scheduler = Scheduler(
                SchedulerConfig(
                    limit, info.max_batch, max_ahead, max_untaken, info.max_prefills, not info.elsewhere
                )
            )
        except BaseException as error:
            self._loaded(error)
            return
        self._model = model
        self._loaded(model.info)
        if isinstance(model, Mortal):
            model.watch(self._model_gone)
        try:
            while self._turn(model):
                pass
        except BaseException as error:
            log.exception("the engine's worker died")
            self._died(error)

    def _model_gone(self, error: ModelGone) -> None:
        """The model cannot compute any more: nobody waits for somebody's next text to find that out."""
        with self._changed:
            self._gone = error
            self._changed.notify()

    def _measure_capacity(self, model: SpeechModel) -> int:
        """How many listeners this machine can keep in real time, from one sentence spoken alone.

        The best of several tries: what else the machine does just now says nothing about later.
        """
        real_time_factor = min(self._speak_alone(model) for _ in range(CALIBRATIONS))
        return min(max(int(LOAD_LIMIT / real_time_factor), MIN_CAPACITY), MAX_CAPACITY)

    def _speak_alone(self, model: SpeechModel) -> float:
        """Seconds of computing for each second of speech."""
        stream, seconds, started = StreamId(0), 0.0, self._clock()
        model.prefill(stream, Segment(CALIBRATION_TEXT), StreamOptions((model.info.default_voice,)))
        last = False
        while not last:
            (frame,) = model.step((stream,))
            if isinstance(frame, SpeechError):
                raise frame
            seconds += len(frame.pcm) / model.info.sample_rate
            last = frame.last
        model.release(stream)
        return max(self._clock() - started, 1e-6) / seconds

    def _turn(self, model: SpeechModel) -> bool:
        """Wait for something to do and do it; False when asked to stop."""
        self._at_work = False
        with self._changed:
            while True:
                if self._stopping:
                    return False
                if self._gone is not None:
                    raise self._gone
                released, self._released = self._released, []
                now = self._clock()
                plan = self._scheduler.plan(now)
                if released or plan.step:
                    break
                self._changed.wait(None if plan.wake_at is None else plan.wake_at - now)
            self._turns += 1
            self._at_work = True
            at_work = {stream: self._work[stream] for stream in plan.step}
            segments = {stream: at_work[stream].segments.popleft() for stream in plan.prefill}
        for stream, since in released:
            model.release(stream)
            self._tally.release.add(self._clock() - since)
        deliveries: list[Delivery] = []
        for stream, (segment, said) in segments.items():
            with within(at_work[stream].options.origin):
                try:
                    self._prefill(model, stream, at_work[stream], segment, said)
                except ModelGone:
                    raise
                except Exception as error:
                    del at_work[stream]
                    deliveries.append(Delivery(stream, _speech_error(error)))
        deliveries += self._step(model, at_work)
        self._record(plan.prefill, deliveries)
        return True

    def _prefill(
        self, model: SpeechModel, stream: StreamId, work: _Work, segment: Segment, said: float
    ) -> None:
        began = self._clock()
        # A pause is as long as was asked for, however fast the speech around it.
        model.prefill(stream, replace(segment, pause=segment.pause * work.tempo), work.options)
        ended = self._clock()
        self._tally.prefill.add(ended - began)
        self._tally.busy += ended - began
        work.begun = said, began, ended
        if abs(work.tempo - 1) > 1e-3:
            work.stretcher = Stretcher(self._info.sample_rate, work.tempo)

    def _step(self, model: SpeechModel, at_work: dict[StreamId, _Work]) -> list[Delivery]:
        if not at_work:
            return []
        streams = tuple(at_work)
        began = self._clock()
        outcomes: list[Frame | SpeechError]
        try:
            outcomes = list(model.step(streams))
        except ModelGone:
            raise
        except Exception as error:  # the whole batch is lost, but only this batch
            self._failures += 1
            if self._failures == GIVE_UP_AFTER:
                raise  # a device that is gone fails every step: an engine that says so can be replaced
            outcomes = []
            for stream in streams:
                with within(at_work[stream].options.origin):
                    outcomes.append(_speech_error(error))
        else:
            self._failures = 0
        now = self._clock()
        self._tally.steps.add(now - began)
        self._tally.batch.add(len(streams))
        if not self._info.elsewhere:  # there, a step is mostly waiting
            self._tally.busy += now - began
        return [
            self._delivery(stream, at_work[stream], outcome, now)
            for stream, outcome in zip(streams, outcomes, strict=True)
        ]

    def _delivery(self, stream: StreamId, work: _Work, outcome: Frame | SpeechError, now: float) -> Delivery:
        if not isinstance(outcome, Frame):
            return Delivery(stream, outcome)
        frame, timing = work.stretched(outcome), None
        if len(frame.pcm):
            self._tally.audio += len(frame.pcm) / self._info.sample_rate
            if work.begun is not None:
                timing, work.begun = SegmentTiming(*work.begun, now), None
        return Delivery(stream, frame, timing)

    def _record(self, prefilled: Sequence[StreamId], deliveries: Sequence[Delivery]) -> None:
        """Tell the scheduler what happened; hand out the outcomes, but none of a stream closed meanwhile."""
        with self._changed:
            now = self._clock()
            for stream in prefilled:
                self._scheduler.prefilled(stream)
            alive = [delivery for delivery in deliveries if delivery.stream in self._work]
            for stream, outcome, _ in alive:
                if isinstance(outcome, Frame):
                    seconds = len(outcome.pcm) / self._info.sample_rate
                    self._scheduler.stepped(stream, seconds, last=outcome.last, now=now)
                else:
                    self._drop(stream)
        if told := [delivery for delivery in alive if not _says_nothing(delivery.outcome)]:
            self._deliver(told)


def _says_nothing(outcome: Frame | SpeechError | EngineStopped) -> bool:
    """Whether it is the frame of a model that has nothing to hand out yet."""
    return isinstance(outcome, Frame) and not (len(outcome.pcm) or outcome.words or outcome.last)


def _speech_error(error: Exception) -> SpeechError:
    """An error of the model as one that may be shown to a client; surprises are logged, not leaked."""
    if isinstance(error, SpeechError):
        return error
    log.error("the model failed", exc_info=error)
    return SpeechError("the model failed on this text")
