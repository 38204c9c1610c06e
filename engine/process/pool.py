"""Several workers, each a process, as one runner: streams are spread over them, voices are taught to all."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from engine.errors import EngineStopped, SpeechError
from engine.numbers import WorkerNumbers
from engine.process.config import ProcessConfig
from engine.process.messages import Played, Taken
from engine.process.placing import Load, choose, processors, shared, shares
from engine.process.spec import ModelSpec
from engine.process.spool import Recordings, Spool
from engine.process.worker import Limits, ProcessWorker
from engine.runner import Deliver
from engine.speech import ModelInfo, Reference, Segment, StreamId, StreamOptions
from engine.worker import Delivery

log = logging.getLogger(__name__)

REMEMBERED = 64
"""Voices of which a pool remembers which workers spoke them: about as many as a cache of prompts holds."""

ALL_DOWN = "all workers have crashed; they are being started again"


class Pool:
    """A runner of models in processes, one for each of ``specs``, which describe the same model.

    ``max_streams`` may speak at once, of all of them; None is what the models say. If they say nothing, the first
    worker is measured while the others are not there yet, and all share what the processors can do.

    ``down`` is called with the reason when the last worker has gone down, ``up`` when one has come up after that.
    """

    def __init__(
        self,
        specs: Sequence[ModelSpec],
        *,
        max_streams: int | None,
        max_ahead: float,
        max_untaken: float,
        config: ProcessConfig,
        deliver: Deliver,
        down: Callable[[str], None],
        up: Callable[[], None],
    ) -> None:
        given = shares(max_streams, len(specs)) if max_streams is not None else [None] * len(specs)
        self._limits = [Limits(share, max_ahead, max_untaken) for share in given]
        self._specs, self._config = specs, config
        self._deliver, self._on_down, self._on_up = deliver, down, up
        self._workers: list[ProcessWorker] = []
        self._streams: dict[StreamId, ProcessWorker] = {}
        self._recordings: OrderedDict[str, Recordings] = (
            OrderedDict()
        )  # of what is learned, the latest used last
        self._suspects: OrderedDict[str, None] = OrderedDict()  # voices at which a worker has crashed
        self._spoke: OrderedDict[str, set[int]] = OrderedDict()  # voices, and the workers that have read them
        self._clones = False
        self._started = False
        self._was_up = True
        self._to_learn: list[
            asyncio.Event
        ] = []  # for each worker: there is something that it has not learned
        self._tasks: list[asyncio.Task[None]] = []
        self._housework: set[asyncio.Task[None]] = set()
        self._spool: Spool

    async def start(self) -> ModelInfo:
        """Start all workers, the first alone if it has to be measured."""
        self._spool = await asyncio.to_thread(Spool)
        self._workers = [
            ProcessWorker(
                number,
                spec,
                limits,
                self._config,
                self._delivered,
                self._changed,
            )
            for number, (spec, limits) in enumerate(zip(self._specs, self._limits, strict=True), 1)
        ]
        try:
            info = await self._begin()
        except BaseException:
            await self._end()
            raise
        self._clones = info.clones
        self._to_learn = [asyncio.Event() for _ in self._workers]
        self._tasks = [
            asyncio.create_task(work(worker))
            for worker in self._workers
            for work in (ProcessWorker.live, self._teach)
        ]
        self._started = True
        return info

    async def _begin(self) -> ModelInfo:
        first, *others = self._workers
        if first.limits.max_streams is None:
            info = await first.begin()
            if info.max_streams is None:
                share = shared(first.max_streams, len(self._workers), processors())
                for worker in self._workers:
                    worker.limit(share)
        else:
            others = self._workers
        infos = await _all([worker.begin() for worker in others])
        return infos[0] if others is self._workers else info

    async def stop(self) -> None:
        """End all of them, at the same time."""
        await self._end()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        await asyncio.gather(*self._housework)
        await asyncio.to_thread(self._spool.close)

    @property
    def max_streams(self) -> int:
        """How many streams may speak at once, of all workers, also of those that are down just now."""
        return sum(worker.max_streams for worker in self._workers)

    @property
    def has_room(self) -> bool:
        """Whether any worker would let a stream in now."""
        return any(worker.up and worker.refusal is None for worker in self._workers)

    def numbers(self) -> list[WorkerNumbers]:
        """Those of each worker."""
        return [worker.numbers() for worker in self._workers]

    def open(self, stream: StreamId, options: StreamOptions) -> None:
        """Admit a stream to the worker that suits it best."""
        up = [worker for worker in self._workers if worker.up]
        if not up:
            raise EngineStopped(ALL_DOWN)
        learned = [voice for voice in options.voices if voice in self._recordings]
        able = [worker for worker in up if all(voice in worker.voices for voice in learned)]
        if not able:
            raise EngineStopped(f"a worker that was started again still learns {', '.join(learned)}")
        loads = [
            Load(worker.speaking, worker.open_streams, worker.max_streams, self._is_warm(worker, options))
            for worker in able
        ]
        worker = able[choose(loads)]
        worker.open(stream, options)
        self._streams[stream] = worker
        for voice in learned:
            self._recordings.move_to_end(voice)
        if self._clones:
            self._remember(worker, options)

    def say(self, stream: StreamId, segment: Segment) -> None:
        """Queue a segment of an open stream."""
        if worker := self._streams.get(stream):
            worker.say(stream, segment)

    def taken(self, stream: StreamId, seconds: float) -> None:
        """Pass on that audio was picked up."""
        if worker := self._streams.get(stream):
            worker.tell(Taken(stream, seconds))

    def played(self, stream: StreamId, ahead: float) -> None:
        """Pass on what the listener has left."""
        if worker := self._streams.get(stream):
            worker.tell(Played(stream, ahead))

    def close(self, stream: StreamId) -> None:
        """Free a stream's slot now; its worker does before its next step."""
        if worker := self._streams.pop(stream, None):
            worker.close(stream)

    def knows(self, voice: str) -> bool:
        """Whether a worker that is up has learned the voice."""
        return any(voice in worker.voices for worker in self._workers)

    async def learn(self, voice: str, references: Sequence[Reference]) -> None:
        """Teach a voice to the worker that has least to do, then to the others, in the background.

        A worker that is started again is taught once more. Recordings at which workers crash twice are refused.
        """
        recordings = self._recordings.get(voice)
        if recordings is None:
            try:
                recordings = await asyncio.to_thread(self._spool.keep, references)
            except OSError as error:
                log.error("recordings cannot be kept: %s", error)
                raise EngineStopped("there is no room for the recordings") from None
        try:
            await self._first_lesson(voice, recordings)
        except BaseException:
            self.forget(voice)
            self._drop(recordings)
            raise
        self._recordings[voice] = recordings
        for event in self._to_learn:
            event.set()

    async def _first_lesson(self, voice: str, recordings: Recordings) -> None:
        up = [worker for worker in self._workers if worker.up]
        if not up:
            raise EngineStopped(ALL_DOWN)
        worker = min(up, key=lambda worker: worker.speaking)
        try:
            await worker.learn(voice, recordings)
        except EngineStopped as error:
            if voice in self._suspects:  # who tries once more would crash the next one, too
                raise SpeechError("the model crashes on these recordings") from error
            self._suspects[voice] = None
            while len(self._suspects) > REMEMBERED:
                self._suspects.popitem(last=False)
            raise

    def forget(self, voice: str) -> None:
        """Have all workers let go of a voice."""
        for worker in self._workers:
            worker.forget(voice)
        if (recordings := self._recordings.pop(voice, None)) is not None:
            self._drop(recordings)

    def _drop(self, recordings: Recordings) -> None:
        task = asyncio.create_task(asyncio.to_thread(self._spool.drop, recordings))
        self._housework.add(task)
        task.add_done_callback(self._housework.discard)

    async def _teach(self, worker: ProcessWorker) -> None:
        """Teach a worker what others know and it does not: the voices used last first, one at a time."""
        event = self._to_learn[worker.number - 1]
        while True:
            await event.wait()
            missing = [
                voice
                for voice in reversed(self._recordings)
                if voice not in worker.voices and voice not in worker.avoided
            ]
            if not missing or not worker.up:
                event.clear()
                continue
            voice = missing[0]
            try:
                await worker.learn(voice, self._recordings[voice])
            except EngineStopped:
                continue  # it is down, and has noted at which voice
            except SpeechError as error:
                worker.avoided.add(voice)
                log.error("worker %d cannot learn the voice %s: %s", worker.number, voice, error)

    def _is_warm(self, worker: ProcessWorker, options: StreamOptions) -> bool:
        return any(worker.number in self._spoke.get(voice, ()) for voice in options.voices)

    def _remember(self, worker: ProcessWorker, options: StreamOptions) -> None:
        for voice in options.voices:
            self._spoke.setdefault(voice, set()).add(worker.number)
            self._spoke.move_to_end(voice)
        while len(self._spoke) > REMEMBERED:
            self._spoke.popitem(last=False)

    def _delivered(self, deliveries: Sequence[Delivery]) -> None:
        self._deliver([delivery for delivery in deliveries if delivery.stream in self._streams])

    def _changed(self) -> None:
        """A worker has come up or gone down."""
        if not self._started:
            return
        for worker in self._workers:
            if not worker.up:
                for workers in self._spoke.values():  # what it had read is gone
                    workers.discard(worker.number)
        for event in self._to_learn:
            event.set()
        is_up = any(worker.up for worker in self._workers)
        if is_up != self._was_up:
            self._was_up = is_up
            if is_up:
                self._on_up()
            else:
                self._on_down(ALL_DOWN)


async def _all(work: Sequence[Coroutine[Any, Any, ModelInfo]]) -> list[ModelInfo]:
    """The results of all; the first that fails ends the others."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
