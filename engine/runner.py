"""What an engine asks of what runs its models, and the simplest of it: a thread in this process."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from engine.models.base import SpeechModel
from engine.numbers import WorkerNumbers
from engine.posting import post
from engine.speech import ModelInfo, Reference, Segment, StreamId, StreamOptions
from engine.worker import Delivery, Worker

Deliver = Callable[[Sequence[Delivery]], None]
"""Told on the event loop what became of streams."""


class Runner(Protocol):
    """Runs one or more models that speak alike. Every call belongs to the event loop, and none of them blocks it.

    Streams, once opened, are told about by ``deliver``, which a runner is given when it is made, until they are
    closed or have had an error.
    """

    async def start(self) -> ModelInfo:
        """Load and warm the models. Raises whatever kept one from loading; nothing is then left of them."""
        ...

    async def stop(self) -> None:
        """End them. No stream is open any more."""
        ...

    @property
    def max_streams(self) -> int:
        """How many streams may speak at once."""
        ...

    @property
    def has_room(self) -> bool:
        """Whether a stream would be let in now."""
        ...

    def numbers(self) -> list[WorkerNumbers]:
        """What each worker does and has done."""
        ...

    def open(self, stream: StreamId, options: StreamOptions) -> None:
        """Admit a stream. Raises :class:`engine.Overloaded` or :class:`engine.EngineStopped`."""
        ...

    def say(self, stream: StreamId, segment: Segment) -> None:
        """Queue a segment of an open stream; ignored if the stream is closed by now."""
        ...

    def taken(self, stream: StreamId, seconds: float) -> None:
        """The consumer picked up ``seconds`` of a stream's audio."""
        ...

    def played(self, stream: StreamId, ahead: float) -> None:
        """The stream's listener has ``ahead`` seconds left of what was taken."""
        ...

    def close(self, stream: StreamId) -> None:
        """Free a stream's slot now. Idempotent."""
        ...

    def knows(self, voice: str) -> bool:
        """Whether a voice that was learned can be spoken with now."""
        ...

    async def learn(self, voice: str, references: Sequence[Reference]) -> None:
        """Teach a voice. Raises :class:`engine.SpeechError` or :class:`engine.EngineStopped`."""
        ...

    def forget(self, voice: str) -> None:
        """Let go of a voice that no stream has."""
        ...


class ThreadRunner:
    """A model on a thread of this process: a :class:`Worker`, seen from the event loop.

    ``died`` is called with the reason if the thread ends by itself.
    """

    def __init__(
        self,
        make_model: Callable[[], SpeechModel],
        *,
        max_streams: int | None,
        max_ahead: float,
        max_untaken: float,
        deliver: Deliver,
        died: Callable[[str], None],
    ) -> None:
        self._worker = worker = Worker(
            make_model,
            max_streams=max_streams,
            max_ahead=max_ahead,
            max_untaken=max_untaken,
            deliver=lambda deliveries: post(self._loop, deliver, deliveries),
            died=lambda error: post(self._loop, died, f"the engine's worker died: {type(error).__name__}"),
        )
        self.open = worker.open
        self.say = worker.say
        self.taken = worker.taken
        self.played = worker.played
        self.close = worker.close
        self.forget = worker.forget
        self._loop: asyncio.AbstractEventLoop

    async def start(self) -> ModelInfo:
        """Load and warm the model on its thread."""
        self._loop = asyncio.get_running_loop()
        loaded: asyncio.Future[ModelInfo] = self._loop.create_future()

        def report(result: ModelInfo | BaseException) -> None:
            if isinstance(result, BaseException):
                post(self._loop, loaded.set_exception, result)
            else:
                post(self._loop, loaded.set_result, result)

        self._worker.start(report)
        return await loaded

    async def stop(self) -> None:
        """End the thread after the step it is in."""
        self._worker.stop()
        await asyncio.to_thread(self._worker.join)

    @property
    def max_streams(self) -> int:
        """How many streams may speak at once."""
        return self._worker.max_streams

    @property
    def has_room(self) -> bool:
        """Whether a stream would be let in now."""
        return self._worker.has_room

    def numbers(self) -> list[WorkerNumbers]:
        """Those of the thread."""
        return [self._worker.numbers()]

    def knows(self, voice: str) -> bool:
        """As long as the model lives, what it has learned is there."""
        return True

    async def learn(self, voice: str, references: Sequence[Reference]) -> None:
        """Teach the model a voice, on another thread."""
        await asyncio.to_thread(self._worker.learn, voice, references)
