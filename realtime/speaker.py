"""The thin driver between a session and the engine; every transport speaks through it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from engine import Engine, EngineError, Frame, Utterance, WordTime
from engine.audio import AudioStream
from realtime.request import SpeechRequest
from realtime.session import Cancel, Drain, EndSpeech, Finished, Log, Open, Say, Session

# Frames that are ready together are encoded together, up to this many seconds: fewer hops between threads.
GULP_SECONDS = 0.5
# A writer who can wait is asked to while this many characters have not been spoken.
LITTLE_TEXT = 65_536


@dataclass(frozen=True, slots=True)
class Audio:
    """The next bytes of the container stream (perhaps none yet), and the words that begin in its speech.

    ``silence`` follows: nothing more is under way, so a transport that holds bytes back should let them go.
    """

    data: bytes
    words: tuple[WordTime, ...] = ()
    silence: bool = False


Event = Audio | Log | Finished


class Speaker:
    """Speaks for one client: commands go in as method calls, events come out by async iteration.

    The iteration, of which there must be one, ends after :meth:`disconnect`. Encoding runs on ``encoders``;
    nothing here blocks the event loop.
    """

    def __init__(self, engine: Engine, encoders: Executor, *, max_pending_text: int) -> None:
        self._engine = engine
        self._encoders = encoders
        self._loop = asyncio.get_running_loop()
        self._session = Session(max_pending=max_pending_text)
        self._events: deque[Log | Finished] = deque()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._utterance: Utterance | None = None
        self._request: SpeechRequest
        self._audio: AudioStream | None = None
        self._drain = False
        self._closed = False

    def start(self, request: SpeechRequest) -> None:
        """Begin an utterance."""
        self._session.start(request, self._loop.time())
        self._act()

    def text(self, text: str) -> None:
        """More text of the utterance."""
        self._session.text(text, self._loop.time())
        self._act()

    def flush(self) -> None:
        """Speak all text that is there; the utterance goes on."""
        self._session.flush(self._loop.time())
        self._act()

    def stop(self) -> None:
        """No more text: speak what is there, then finish."""
        self._session.stop(self._loop.time())
        self._act()

    async def room(self) -> None:
        """Wait until little of the text is waiting: for writers that are faster than any speech."""
        await self._room.wait()

    def warn(self, message: str) -> None:
        """Tell the client something; its utterance goes on."""
        self._events.append(Log(message))
        self._wake.set()

    def reject(self, reason: str) -> None:
        """End the client's utterance because of something that cannot be understood."""
        self._session.reject(reason)
        self._act()

    def disconnect(self) -> None:
        """The client is gone: free everything, end the iteration. Idempotent."""
        self._session.disconnect()
        self._closed = True
        self._act()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while True:
            if self._events:
                return self._events.popleft()
            if self._closed:
                raise StopAsyncIteration
            if self._utterance is not None and (event := await self._speak(self._utterance)):
                return event
            if self._events or self._closed or self._has_audio_work():
                continue
            self._wake.clear()
            await self._wake.wait()

    def _has_audio_work(self) -> bool:
        return self._utterance is not None and (self._utterance.ready or self._drain)

    async def _speak(self, utterance: Utterance) -> Audio | None:
        """The next audio of the utterance, None if there is none yet or it has ended meanwhile."""
        try:
            frames = self._gulp(utterance)
        except EngineError as error:
            self._session.failed(error)
            self._act()
            return None
        if frames:
            pcm = np.concatenate([frame.pcm for frame in frames])
            data = await self._encode(lambda audio: audio.write(pcm))
            if utterance is not self._utterance:
                return None
            seconds = len(pcm) / self._engine.info.sample_rate
            self._session.spoke(seconds, sum(frame.last for frame in frames), self._loop.time())
            self._act()
            return Audio(data, tuple(word for frame in frames for word in frame.words))
        if self._drain:
            self._drain = False
            data = await self._encode(lambda audio: audio.flush())
            return Audio(data, silence=True) if utterance is self._utterance else None
        if utterance.done:
            data = await self._encode(lambda audio: audio.finish())
            if utterance is not self._utterance:
                return None
            self._utterance = self._audio = None
            self._session.ended()
            self._act()
            return Audio(data, silence=True)
        return None

    @staticmethod
    def _gulp(utterance: Utterance) -> list[Frame]:
        """The frames that are ready, up to a gulp; with none left, raises what ended the utterance early."""
        frames: list[Frame] = []
        seconds = 0.0
        while seconds < GULP_SECONDS and utterance.ready and (frame := utterance.take()):
            frames.append(frame)
            seconds += len(frame.pcm) / utterance.sample_rate
        if not frames:
            utterance.take()
        return frames

    async def _encode(self, work: Callable[[AudioStream], bytes]) -> bytes:
        """Run ``work`` on the container stream in the encoders' thread; the first call opens the stream."""
        audio, request, info = self._audio, self._request, self._engine.info

        def run() -> tuple[AudioStream, bytes]:
            stream = audio or AudioStream(
                info.sample_rate,
                request.output,
                gain_db=request.volume_db,
                normalize=request.normalize_loudness,
                expected_loudness=info.loudness,
            )
            return stream, work(stream)

        utterance = self._utterance
        stream, data = await self._loop.run_in_executor(self._encoders, run)
        if utterance is self._utterance:
            self._audio = stream
        return data

    def _act(self) -> None:
        """Carry out what the session decided, and see to it that it is asked again in time."""
        while actions := self._session.actions():
            for action in actions:
                match action:
                    case Open(request):
                        self._open(request)
                    case Say(segment) if self._utterance:
                        self._drain = False
                        self._utterance.say(segment)
                    case EndSpeech() if self._utterance:
                        self._utterance.finish()
                    case Drain():
                        self._drain = True
                    case Cancel():
                        self._cancel()
                    case Log() | Finished():
                        self._events.append(action)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._session.due is not None:
            self._timer = self._loop.call_at(self._session.due, self._poll)
        if self._session.pending < LITTLE_TEXT:
            self._room.set()
        else:
            self._room.clear()
        self._wake.set()

    def _poll(self) -> None:
        self._session.poll(self._loop.time())
        self._act()

    def _open(self, request: SpeechRequest) -> None:
        self._drain = False
        self._audio = None
        self._request = request
        try:
            self._utterance = self._engine.open(request.options, self._wake)
        except EngineError as error:
            self._session.failed(error)

    def _cancel(self) -> None:
        if self._utterance is not None:
            self._utterance.cancel()
        self._utterance = self._audio = None
        self._drain = False
