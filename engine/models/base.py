"""What the engine asks of a model that speaks."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from engine.errors import ModelGone, SpeechError
from engine.speech import Frame, ModelInfo, Reference, Segment, StreamId, StreamOptions


class SpeechModel(Protocol):
    """A model that speaks many streams at once, one frame at a time.

    All calls come from one thread, which may be another one than the thread that made the object, but for
    :meth:`learn` and :meth:`forget`, which come from others while the model speaks. A model keeps what it needs
    of a stream (what it said before, what is left to say) under the stream's id, from the first :meth:`prefill`
    until :meth:`release`. It need not be fair or in time: the scheduler is.
    """

    @property
    def info(self) -> ModelInfo:
        """Fixed facts; valid as soon as the object exists."""
        ...

    def warm(self) -> None:
        """Do once whatever would make the first stream slower than the second."""
        ...

    def prefill(self, stream: StreamId, segment: Segment, options: StreamOptions) -> None:
        """Admit the next segment of a stream. Only called when the stream has no unspoken segment.

        ``options.speed`` is within ``info.speeds``: the engine sees to the rest.
        Raises :class:`SpeechError` if the segment cannot be spoken; the stream is then released.
        """
        ...

    def step(self, streams: Sequence[StreamId]) -> Sequence[Frame | SpeechError]:
        """Advance each stream by one frame; results stand in the order of ``streams``.

        Each stream has a segment that was prefilled and whose last frame has not been returned. A stream that
        fails gets its error in its place and leaves the others alone.
        """
        ...

    def release(self, stream: StreamId) -> None:
        """Forget the stream. Never fails, also for a stream that was never prefilled."""
        ...

    def learn(self, voice: str, references: Sequence[Reference]) -> None:
        """Be able to speak with a voice of which there are recordings, one at least. May take seconds.

        A model that does not ``info.clones`` speaks with its own timbre, moved toward that of the recordings.
        Raises :class:`SpeechError` if they cannot be used; nothing is then left of them.
        """
        ...

    def forget(self, voice: str) -> None:
        """Let go of a voice that was learned; no stream has it. Never fails, also for an unknown one."""
        ...

    def close(self) -> None:
        """End the threads that the model has started, if any. The last call of all."""
        ...


@runtime_checkable
class Mortal(Protocol):
    """A model whose computing is done by something that may end while the model is there.

    From then on its calls raise :class:`ModelGone`.
    """

    def watch(self, gone: Callable[[ModelGone], None]) -> None:
        """Have this called when it has ended, on any thread; at once if it has. Called once."""
        ...
