"""The thin driver between a session and the engine; every transport speaks through it."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from time import monotonic
from typing import NamedTuple

import numpy as np

from engine import Engine, EngineError, Frame, SpeechError
from engine import Utterance as EngineUtterance
from engine.audio import AudioStream
from realtime.observer import NOBODY, Observer, Outcome
from realtime.request import SpeechRequest
from realtime.session import DEFAULT_CONTEXT, Session, Task
from realtime.utterance import (
    Cancel,
    Cancelled,
    ChunkInfo,
    Drain,
    EndSpeech,
    Finished,
    Flushed,
    Log,
    Open,
    Played,
    Say,
    SpokenWord,
)
from realtime.watch import Watch

# Frames that are ready together are encoded together, up to this many seconds: fewer hops between threads.
GULP_SECONDS = 0.5
# A writer who can wait is asked to while this many characters have not been spoken.
LITTLE_TEXT = 65_536
# Who reads what a client says is asked to wait while so many messages for it have not been taken ...
FEW_OUTPUTS = 100
# ... for if so many wait, it does not read what it has provoked, and is cut off.
MAX_OUTPUTS = 1000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Audio:
    """The next bytes of the container stream (perhaps none yet), and the words that begin in its speech.

    ``chunk`` says which part of the text is being spoken, ``seconds`` how much speech the bytes stand for,
    without what the encoder holds back. ``silence`` follows: nothing more is under way, so a transport that holds
    bytes back should let them go. Who gives the bytes to a wire calls :meth:`sent` then.
    """

    data: bytes
    seconds: float = 0.0
    words: tuple[SpokenWord, ...] = ()
    chunk: ChunkInfo | None = None
    silence: bool = False
    watch: Watch | None = field(default=None, repr=False, compare=False)

    def sent(self) -> None:
        """These bytes have left."""
        if self.watch is not None:
            self.watch.sent(monotonic())


Event = Audio | Log | Flushed | Cancelled | Finished


class Output(NamedTuple):
    """An event of one context, and the request of the utterance that it is about.

    A context may have begun its next utterance by the time the last event of the one before is taken.
    """

    context: str
    event: Event
    request: SpeechRequest | None


class Encoders(NamedTuple):
    """The threads on which audio is encoded: downloads have their own, lest they keep listeners waiting."""

    live: Executor
    download: Executor


class _Stream:
    """What one context has open: an utterance of the engine, and the container that its audio goes into."""

    def __init__(self, request: SpeechRequest, utterance: EngineUtterance, watch: Watch) -> None:
        self.request = request
        self.utterance = utterance
        self.watch = watch
        self.audio: AudioStream | None = None  # made in the encoders' thread
        self.drain: Drain | None = None

    @property
    def busy(self) -> bool:
        """Whether there is audio to be made now."""
        return self.utterance.ready or self.drain is not None


class Speaker:
    """Speaks for one client: commands go in as method calls, outputs come out by async iteration.

    The iteration, of which there must be one, ends after :meth:`disconnect`. Contexts take turns. Encoding runs
    on ``encoders``; nothing here blocks the event loop. The ``observer`` is told how it goes.
    """

    def __init__(
        self,
        engine: Engine,
        encoders: Encoders,
        session: Session | None = None,
        observer: Observer = NOBODY,
    ) -> None:
        self._engine = engine
        self._encoders = encoders
        self._observer = observer
        self._text_came: float | None = None  # before the utterance that is being started
        self._loop = asyncio.get_running_loop()
        self._session = session or Session()
        self._outputs: deque[Output] = deque()
        self._streams: dict[str, _Stream] = {}
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._settled = asyncio.Event()
        self._heeded = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._heedless = False

    @property
    def heedless(self) -> bool:
        """Whether the client was cut off because it did not take what it had provoked."""
        return self._heedless

    def start(
        self, request: SpeechRequest, context: str = DEFAULT_CONTEXT, *, text_came: float | None = None
    ) -> None:
        """Begin an utterance, the text of which may have come before (``time.monotonic``)."""
        self._session.start(request, self._loop.time(), context)
        self._text_came = text_came
        self._act()
        self._text_came = None

    def text(self, text: str, context: str = DEFAULT_CONTEXT, *, last: bool = False) -> None:
        """More text of the utterance; the ``last`` of it ends it without a stop."""
        if (stream := self._streams.get(context)) is not None and text:
            stream.watch.text(monotonic())
        self._session.text(text, self._loop.time(), context, last=last)
        self._act()

    def takes_text(self, context: str = DEFAULT_CONTEXT) -> bool:
        """Whether text of the context would be spoken now."""
        return self._session.takes_text(context)

    def flush(self, context: str = DEFAULT_CONTEXT) -> None:
        """Speak all text that is there; the utterance goes on."""
        self._session.flush(self._loop.time(), context)
        self._act()

    def stop(self, context: str = DEFAULT_CONTEXT) -> None:
        """No more text: speak what is there, then finish."""
        self._session.stop(self._loop.time(), context)
        self._act()

    def cancel(self, context: str = DEFAULT_CONTEXT) -> None:
        """Stop speaking at once; nothing of the utterance leaves after :class:`Cancelled`."""
        self._session.cancel(self._loop.time(), context)
        self._act()

    def played(self, seconds: float, context: str = DEFAULT_CONTEXT) -> None:
        """The listener has played so many seconds of the utterance."""
        self._session.played(seconds, self._loop.time(), context)
        self._act()

    def warn(self, message: str, context: str = DEFAULT_CONTEXT) -> None:
        """Tell the client something; its utterance goes on."""
        self._session.warn(message, context)
        self._act()

    def reject(self, reason: str, context: str = DEFAULT_CONTEXT, *, start: bool = False) -> None:
        """End the client's utterance because of something that cannot be done, such as to ``start`` it."""
        self._session.reject(reason, context, start=start)
        self._act()

    def tell(self, event: Log | Cancelled, context: str = DEFAULT_CONTEXT) -> None:
        """Tell the client something of what never came to be an utterance."""
        self._outputs.append(Output(context, event, None))
        self._act()

    def disconnect(self) -> None:
        """The client is gone: free everything, end the iteration. Idempotent."""
        self._session.disconnect()
        self._closed = True
        self._settled.set()
        self._heeded.set()
        self._act()

    async def settled(self) -> None:
        """Wait until everything that was to be told has been taken."""
        if self._outputs and not self._closed:
            self._settled.clear()
            await self._settled.wait()

    async def heeded(self) -> None:
        """Wait until little of what was to be told has not been taken: for readers of what a client says."""
        if len(self._outputs) > FEW_OUTPUTS and not self._closed:
            self._heeded.clear()
            await self._heeded.wait()

    async def room(self) -> None:
        """Wait until little of the text is waiting: for writers that are faster than any speech."""
        await self._room.wait()

    def __aiter__(self) -> AsyncIterator[Output]:
        return self

    async def __anext__(self) -> Output:
        while True:
            if self._closed:
                raise StopAsyncIteration
            if self._outputs:
                output = self._outputs.popleft()
                if not self._outputs:
                    self._settled.set()
                if len(self._outputs) <= FEW_OUTPUTS:
                    self._heeded.set()
                return output
            for context, stream in list(self._streams.items()):
                if audio := await self._speak(context, stream):
                    self._take_turns(context, stream)
                    return Output(context, audio, stream.request)
                if self._outputs or self._closed:
                    break
            if self._outputs or self._closed or any(stream.busy for stream in self._streams.values()):
                continue
            self._wake.clear()
            await self._wake.wait()

    def _take_turns(self, context: str, stream: _Stream) -> None:
        """Who has spoken goes to the end of the line."""
        if self._streams.get(context) is stream:
            self._streams[context] = self._streams.pop(context)

    async def _speak(self, context: str, stream: _Stream) -> Audio | None:
        """The next audio of a stream, None if there is none yet or it has ended meanwhile."""
        if self._streams.get(context) is not stream:
            return None
        try:
            return await self._next_audio(context, stream)
        except EngineError as error:
            if self._streams.get(context) is stream:
                self._session.failed(context, error)
                self._act()
            return None

    async def _next_audio(self, context: str, stream: _Stream) -> Audio | None:
        """The same; raises what ends the utterance early."""
        if frames := self._gulp(stream.utterance):
            pcm, watch, began = np.concatenate([frame.pcm for frame in frames]), stream.watch, monotonic()
            for timing in stream.utterance.take_timings():
                watch.begun(timing)

            def write(audio: AudioStream) -> bytes:
                watch.onset.push(pcm)
                return audio.write(pcm)

            data = await self._encode(stream, write)
            if self._streams.get(context) is not stream:
                return None
            seconds = len(pcm) / stream.utterance.sample_rate
            watch.made(seconds, last=frames[-1].last, began=began, now=monotonic())
            words = [word for frame in frames for word in frame.words]
            chunk, written = self._session.spoke(
                context, seconds, words, self._loop.time(), last=frames[-1].last
            )
            self._act()
            return Audio(data, seconds, written, chunk, watch=watch)
        if stream.drain is not None:
            drain, stream.drain = stream.drain, None
            data = await self._encode(stream, lambda audio: audio.flush())
            if self._streams.get(context) is not stream:
                return None
            self._outputs += [Output(context, Flushed(), stream.request)] * drain.flushes
            return Audio(data, silence=True, watch=stream.watch)
        if stream.utterance.done:
            data = await self._encode(stream, lambda audio: audio.finish())
            if self._streams.get(context) is not stream:
                return None
            del self._streams[context]
            stream.watch.ended("stop", monotonic())
            self._session.ended(context)
            self._act()
            return Audio(data, silence=True, watch=stream.watch)
        return None

    @staticmethod
    def _gulp(utterance: EngineUtterance) -> list[Frame]:
        """The frames of one segment that are ready; with none left, raises what ended the utterance early."""
        frames: list[Frame] = []
        seconds = 0.0
        while seconds < GULP_SECONDS and (not frames or (utterance.ready and not frames[-1].last)):
            if (frame := utterance.take()) is None:
                break
            frames.append(frame)
            seconds += len(frame.pcm) / utterance.sample_rate
        return frames

    async def _encode(self, stream: _Stream, work: Callable[[AudioStream], bytes]) -> bytes:
        """Run ``work`` on the container stream in the encoders' thread; the first call opens the container."""
        info = self._engine.info

        def run() -> bytes:
            if stream.audio is None:
                stream.audio = AudioStream(
                    info.sample_rate,
                    stream.request.output,
                    gain_db=stream.request.volume_db,
                    normalize=stream.request.normalize_loudness,
                    expected_loudness=info.loudness,
                )
            return work(stream.audio)

        encoders = self._encoders.live if stream.request.options.paced else self._encoders.download
        try:
            return await self._loop.run_in_executor(encoders, run)
        except Exception as error:
            log.exception("encoding failed")
            raise SpeechError(
                f"the audio could not be written as {stream.request.output.container}"
            ) from error

    def _act(self) -> None:
        """Carry out what the session decided, and see to it that it is asked again in time."""
        while tasks := self._session.tasks():
            for number, (context, action, request) in enumerate(tasks):
                stream = self._streams.get(context)
                match action:
                    case Open(asked):
                        self._open(context, asked)
                    case Say(segment) if stream:
                        if stream.drain is not None:  # speech goes on: it will push the rest out
                            self._outputs += [Output(context, Flushed(), request)] * stream.drain.flushes
                            stream.drain = None
                        stream.watch.said(len(segment.text), monotonic())
                        stream.utterance.say(segment)
                    case EndSpeech() if stream:
                        stream.utterance.finish()
                    case Drain() if stream:
                        stream.drain = action
                    case Played(ahead) if stream:
                        stream.utterance.played(ahead)
                        stream.watch.played(ahead, monotonic())
                    case Cancel() if stream:
                        stream.utterance.cancel()
                        stream.watch.ended(_outcome(tasks[number:], context), monotonic())
                        del self._streams[context]
                    case Flushed() if stream and stream.drain is not None:
                        stream.drain = Drain(stream.drain.flushes + 1)  # not before the encoder's tail
                    case Log() | Flushed() | Cancelled() | Finished():
                        self._outputs.append(Output(context, action, request))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due := self._session.due) is not None:
            self._timer = self._loop.call_at(due, self._poll)
        if self._session.pending < LITTLE_TEXT:
            self._room.set()
        else:
            self._room.clear()
        if len(self._outputs) > MAX_OUTPUTS and not self._closed:
            log.warning("a client is cut off: it has not taken %d messages", len(self._outputs))
            self._heedless = True
            self.disconnect()
        self._wake.set()

    def _poll(self) -> None:
        self._session.poll(self._loop.time())
        self._act()

    def _open(self, context: str, request: SpeechRequest) -> None:
        try:
            info = self._engine.info
        except EngineError as error:
            self._session.failed(context, error)
            return
        watch = Watch(
            self._observer,
            context=context,
            model=info.name,
            paced=request.options.paced,
            sample_rate=info.sample_rate,
            now=monotonic(),
            text=self._text_came,
        )
        try:
            utterance = self._engine.open(request.options, self._wake)
        except EngineError as error:
            watch.refused(error, monotonic())
            self._session.failed(context, error)
        else:
            watch.admitted(monotonic())
            self._streams[context] = _Stream(request, utterance, watch)


def _outcome(tasks: Sequence[Task], context: str) -> Outcome:
    """How an utterance ended that was dropped with the first of these."""
    for task in tasks:
        if task.context == context and isinstance(task.action, Finished):
            return "error"
        if task.context == context and isinstance(task.action, Cancelled):
            return "cancelled"
    return "gone"
