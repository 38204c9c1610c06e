"""Speech recognition for many callers: the asyncio face of one recogniser."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from os import PathLike
from time import monotonic

from engine.origin import current
from realtime.ears.activity import Vad, activity_of
from realtime.ears.ear import Ear
from realtime.ears.file import FilePhrases
from realtime.ears.listening import Listening
from realtime.ears.phrases import Phrase, hear
from realtime.ears.recogniser import (
    HEARING_RATE,
    HeardSegment,
    HearingOff,
    HearingOverloaded,
    HearingStopped,
    Recogniser,
    RecogniserInfo,
    Transcript,
    language_of,
)
from realtime.ears.workers import Workers, step_back
from realtime.observer import NOBODY, Observer, Recognised

_END = object()
_STOP_SECONDS = 5.0  # to tell everybody


@dataclass(frozen=True, slots=True)
class EarsConfig:
    """``max_files`` are transcribed at a time, each of up to ``max_seconds``; more are refused.

    So are more than ``max_streams`` live ones at a time. One of them may be ``max_stream_seconds`` long,
    and is ended when its client says nothing for ``idle_seconds``. ``vad`` tells voice from other sounds in them.
    """

    max_files: int = 16
    max_seconds: float = 3600.0
    max_streams: int = 16
    max_stream_seconds: float = 4 * 3600.0
    idle_seconds: float = 60.0
    vad: Vad = "webrtc"


class Ears:
    """Hears files and live streams for callers on one event loop; started once, closed once.

    Nothing is decoded or recognised on the event loop. Files take turns, phrase by phrase, so that a long one
    does not keep a short one waiting; live streams come first. The ``observer`` is told how long it takes.
    """

    def __init__(
        self,
        make: Callable[[], Recogniser] | None,
        config: EarsConfig | None = None,
        observer: Observer = NOBODY,
    ) -> None:
        self.config = config or EarsConfig()
        self._observer = observer
        self._make = make
        self._recogniser: Recogniser | None = None
        self._workers: Workers | None = None
        self._files = 0
        self._open: set[Ear] = set()
        self._conversing: set[Ear] = set()
        self._draining = self._stopped = False
        self._ended = asyncio.Event()  # something has
        # Finding pauses takes 1 ms for a second of audio, and shall not wait for the recogniser.
        self._light = ThreadPoolExecutor(1, "parrotfish-listening")

    @property
    def info(self) -> RecogniserInfo | None:
        """What the recogniser can do; None before it is loaded, and if there is none."""
        return self._recogniser.info if self._recogniser else None

    @property
    def streams(self) -> int:
        """How many live streams are open."""
        return len(self._open)

    async def start(self) -> None:
        """Load the recogniser. Raises what goes wrong with it, or ImportError for a detector that is not here."""
        if self._make is not None:
            activity_of(self.config.vad)
            # The threads that a recogniser starts for itself are as important as the one that loads it.
            loading = ThreadPoolExecutor(1, "parrotfish-ears", step_back)
            try:
                recogniser = await asyncio.get_running_loop().run_in_executor(loading, self._make)
            finally:
                loading.shutdown(wait=False)
            self._workers = Workers(recogniser.info.parallel, "parrotfish-ears")
            self._recogniser = recogniser

    async def drain(self, seconds: float) -> None:
        """Take no more. Streams end with what was said by now; files, and conversations, have so many seconds."""
        self._draining = True
        for ear in self._open - self._conversing:
            ear.stop(HearingStopped())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._nothing_open()
        self._stopped = True
        for ear in self._open:
            ear.stop(HearingStopped())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._nothing_open()

    async def close(self) -> None:
        """Wait for the phrase under way, and let go of the recogniser. No call may be open."""
        await asyncio.to_thread(self._light.shutdown)
        if self._workers is not None:
            await self._workers.close()
        if self._recogniser is not None:
            await asyncio.to_thread(self._recogniser.close)

    async def transcribe(
        self,
        source: bytes | str | PathLike[str],
        language: str | None = None,
        pay: Callable[[float], Awaitable[None]] | None = None,
    ) -> Transcript:
        """What is said in bytes, or a file at a path, of any container and codec that FFmpeg reads.

        ``language`` is a code such as "en", or None for the recogniser to find out. ``pay`` is called with the
        seconds of audio that are recognised next, and ends it by raising. Cancelled, it stops with the phrase
        under way. Raises :class:`HearingError`.
        """
        recogniser, workers = self._loaded()
        language = language_of(recogniser.info, language)
        if self._files >= self.config.max_files:
            raise HearingOverloaded
        self._files += 1
        began = monotonic()
        try:
            phrases = FilePhrases(source, recogniser.info, self.config.max_seconds)
            segments: list[HeardSegment] = []
            paid = 0.0
            while (phrase := await workers.run(partial(next, phrases, _END))) is not _END:
                if self._stopped:
                    raise HearingStopped
                if pay is not None:
                    await pay(phrases.seconds - paid)
                    paid = phrases.seconds
                if isinstance(phrase, Phrase):
                    segments += await workers.run(partial(hear, recogniser, phrase, language))
            if pay is not None:
                await pay(phrases.seconds - paid)
            self._observer.note(Recognised(current(), monotonic(), "file", began, phrases.seconds))
            return Transcript(tuple(segments), phrases.seconds)
        finally:
            self._files -= 1
            self._ended.set()

    def check_room(self, language: str | None = None) -> None:
        """Raise :class:`HearingError` if no live stream can begin now, or none in a language."""
        recogniser, _ = self._loaded()
        language_of(recogniser.info, language)
        if self.streams >= self.config.max_streams:
            raise HearingOverloaded

    @contextlib.asynccontextmanager
    async def listen(
        self,
        sample_rate: int = HEARING_RATE,
        language: str | None = None,
        *,
        pause: float = 0.5,
        partials: bool = True,
        conversation: bool = False,
    ) -> AsyncIterator[Ear]:
        """Hear a live stream. A phrase ends with a pause of so many seconds. Raises :class:`HearingError`.

        In a ``conversation``, what was said is recognised before it is certain that it was all; it has time to
        come to its end when no more is taken.
        """
        recogniser, workers = self._loaded()
        language = language_of(recogniser.info, language)
        self.check_room()
        listening = Listening(
            max_seconds=recogniser.info.max_seconds,
            pause=pause,
            partials=partials,
            early=conversation,
            activity=activity_of(self.config.vad),
        )
        ear = Ear(listening, sample_rate, language, recogniser, workers, self._light, self._observer)
        self._open.add(ear)
        if conversation:
            self._conversing.add(ear)
        try:
            async with ear:
                yield ear
        finally:
            self._open.remove(ear)
            self._conversing.discard(ear)
            self._ended.set()

    async def _nothing_open(self) -> None:
        while self._files or self._open:
            self._ended.clear()
            await self._ended.wait()

    def _loaded(self) -> tuple[Recogniser, Workers]:
        if self._make is None:
            raise HearingOff
        if self._draining:
            raise HearingStopped
        if self._recogniser is None or self._workers is None:
            raise HearingOverloaded(retry_after=1.0)
        return self._recogniser, self._workers
