"""The asyncio driver of one live stream: audio is pushed by one task, events are read by another."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Literal, Self

from engine.audio import Resampler
from engine.origin import current
from engine.speech import Pcm
from realtime.ears.listening import Listening, ListeningEvent
from realtime.ears.phrases import hear
from realtime.ears.recogniser import HEARING_RATE, Recogniser
from realtime.ears.workers import Urgency, Workers
from realtime.observer import NOBODY, Observer, Recognised

_FURTHEST_BEHIND = 30.0  # seconds of speech that may wait for the recogniser before no more is taken
_UNREAD_EVENTS = 256


class Ear:
    """Hears one stream of ``sample_rate`` Hz. To be used in an ``async with``, which ends what is under way.

    Phrases are recognised one after the other, so that however much is pushed, there is never more than one job
    of this stream; whoever pushes faster than can be heard waits in :meth:`push`.
    """

    def __init__(
        self,
        listening: Listening,
        sample_rate: int,
        language: str | None,
        recogniser: Recogniser,
        workers: Workers,
        light: Executor,
        observer: Observer = NOBODY,
    ) -> None:
        self._listening = listening
        self._sample_rate = sample_rate
        self._language = language
        self._recogniser = recogniser
        self._workers = workers
        self._light = light
        self._observer = observer
        self._resampler: Resampler | None = None
        self._lock = asyncio.Lock()  # pushes change the stream's state in a thread
        self._events: asyncio.Queue[ListeningEvent | Exception | None] = asyncio.Queue(_UNREAD_EVENTS)
        self._work = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._ending = False
        self._stopped: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._recognise())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def __aiter__(self) -> AsyncIterator[ListeningEvent]:
        """Events as they happen; the last one comes after :meth:`end`. Raises :class:`HearingError`."""
        while (event := await self._events.get()) is not None:
            if isinstance(event, Exception):
                raise event
            yield event

    @property
    def seconds(self) -> float:
        """How much was heard by now."""
        return self._listening.seconds

    def stop(self, reason: Exception) -> None:
        """Take no more; whoever reads the events gets the reason after all that was said by now."""
        self._stopped = reason
        self._work.set()

    async def push(self, pcm: Pcm) -> None:
        """Hear the next mono samples."""
        if not self._ending:
            await self._change(partial(self._take, pcm))
        while self._listening.waiting_seconds > _FURTHEST_BEHIND:
            self._caught_up.clear()
            await self._caught_up.wait()

    async def finalize(self) -> None:
        """Take what is open for finished, as if a pause had come."""
        await self._change(self._listening.finalize)

    async def end(self) -> None:
        """No more audio will come: the events run out when all of it has been told."""
        await self._change(self._drain)
        self._ending = True
        self._work.set()

    async def _change(self, change: Callable[[], list[ListeningEvent]]) -> None:
        async with self._lock:
            told = await asyncio.get_running_loop().run_in_executor(self._light, change)
            for event in told:
                await self._events.put(event)
        self._work.set()

    def _take(self, pcm: Pcm) -> list[ListeningEvent]:
        if self._resampler is None:
            self._resampler = Resampler(self._sample_rate, HEARING_RATE)
        return self._listening.push(self._resampler.push(pcm))

    def _drain(self) -> list[ListeningEvent]:
        told = self._listening.push(self._resampler.drain()) if self._resampler else []
        return told + self._listening.finalize()

    async def _recognise(self) -> None:
        try:
            while True:
                self._work.clear()
                if self._stopped is not None and not self._ending:
                    await self.end()
                async with self._lock:
                    job = self._listening.job()
                if job is None:
                    if self._stopped is not None:
                        raise self._stopped
                    if self._ending:
                        break
                    await self._work.wait()
                    continue
                began = monotonic()
                heard = await self._workers.run(
                    partial(hear, self._recogniser, job.phrase, self._language),
                    Urgency.FINAL if job.urgent else Urgency.PARTIAL,
                )
                seconds = job.phrase.end - job.phrase.start
                kind: Literal["final", "partial"] = "final" if job.urgent else "partial"
                self._observer.note(Recognised(current(), monotonic(), kind, began, seconds))
                async with self._lock:
                    for event in self._listening.heard(heard):
                        await self._events.put(event)
                self._caught_up.set()
            await self._events.put(None)
        except Exception as error:  # for whoever reads the events
            await self._events.put(error)
