"""Speech recognition for many callers: the asyncio face of one recogniser."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from engine.audio import AudioReader, DecodeError, TooLong
from realtime.ears.phrases import Phrase, Phrases
from realtime.ears.recogniser import (
    HEARING_RATE,
    HeardSegment,
    HearingOff,
    HearingOverloaded,
    Recogniser,
    RecogniserInfo,
    TooMuchAudio,
    Transcript,
    Unhearable,
    UnknownLanguage,
)
from realtime.ears.workers import Workers


@dataclass(frozen=True, slots=True)
class EarsConfig:
    """``max_files`` are transcribed at a time, each of up to ``max_seconds``; more are refused."""

    max_files: int = 16
    max_seconds: float = 3600.0


class Ears:
    """Hears files for callers on one event loop; started once, closed once.

    Nothing is decoded or recognised on the event loop. Files take turns, phrase by phrase, so that a long one
    does not keep a short one waiting.
    """

    def __init__(self, make: Callable[[], Recogniser] | None, config: EarsConfig | None = None) -> None:
        self.config = config or EarsConfig()
        self._make = make
        self._recogniser: Recogniser | None = None
        self._workers: Workers | None = None
        self._files = 0

    @property
    def info(self) -> RecogniserInfo | None:
        """What the recogniser can do; None before it is loaded, and if there is none."""
        return self._recogniser.info if self._recogniser else None

    async def start(self) -> None:
        """Load the recogniser. Raises what goes wrong with it."""
        if self._make is not None:
            recogniser = await asyncio.to_thread(self._make)
            self._workers = Workers(recogniser.info.parallel, "parrotfish-ears")
            self._recogniser = recogniser

    async def close(self) -> None:
        """Wait for the phrase under way, and let go of the recogniser. No call may be open."""
        if self._workers is not None:
            await self._workers.close()
        if self._recogniser is not None:
            await asyncio.to_thread(self._recogniser.close)

    def language(self, wanted: str | None) -> str | None:
        """The recogniser's name of a language such as "en", "en-US" or "EN". Raises :class:`UnknownLanguage`."""
        recogniser, _ = self._loaded()
        if not wanted or wanted.lower() == "auto":
            return None
        known = recogniser.info.languages
        name = wanted.lower().replace("_", "-")
        for candidate in (name, name.partition("-")[0]):
            if candidate in known or (not known and candidate.isalpha()):
                return candidate
        raise UnknownLanguage(wanted, recogniser.info.name, known)

    async def transcribe(self, data: bytes, language: str | None = None) -> Transcript:
        """What is said in a file's bytes, of any container and codec that FFmpeg reads.

        ``language`` is a code such as "en", or None for the recogniser to find out. Cancelled, it stops with the
        phrase under way. Raises :class:`HearingError`.
        """
        language = self.language(language)
        recogniser, workers = self._loaded()
        if self._files >= self.config.max_files:
            raise HearingOverloaded
        self._files += 1
        try:
            file = _File(data, recogniser.info, self.config.max_seconds)
            segments: list[HeardSegment] = []
            while (phrase := await workers.run(file.next)) is not None:
                segments += await workers.run(partial(hear, recogniser, phrase, language))
            return Transcript(tuple(segments), file.seconds)
        finally:
            self._files -= 1

    def _loaded(self) -> tuple[Recogniser, Workers]:
        if self._make is None:
            raise HearingOff
        if self._recogniser is None or self._workers is None:
            raise HearingOverloaded(retry_after=1.0)
        return self._recogniser, self._workers


def hear(recogniser: Recogniser, phrase: Phrase, language: str | None) -> list[HeardSegment]:
    """What is said in a phrase, in seconds of the stream that it was cut from. Blocks."""
    return [
        HeardSegment(
            max(phrase.start, phrase.offset + segment.start),
            max(phrase.start, min(phrase.end, phrase.offset + segment.end)),
            segment.text,
        )
        for segment in recogniser.transcribe(phrase.pcm, language)
    ]


class _File:
    """The phrases of a file, one at a time."""

    def __init__(self, data: bytes, info: RecogniserInfo, max_seconds: float) -> None:
        self.seconds = 0.0
        self._phrases = self._read(data, info, max_seconds)

    def next(self) -> Phrase | None:
        """The next one, or None at the end. Blocks."""
        return next(self._phrases, None)

    def _read(self, data: bytes, info: RecogniserInfo, max_seconds: float) -> Iterator[Phrase]:
        phrases = Phrases(max_seconds=info.max_seconds, min_seconds=info.min_seconds)
        try:
            with AudioReader(data, HEARING_RATE, max_seconds) as reader:
                for piece in reader:
                    for event in phrases.push(piece):
                        if isinstance(event, Phrase):
                            yield event
        except TooLong:
            raise TooMuchAudio(f"longer than the {max_seconds:g} s that are taken at a time") from None
        except DecodeError as error:
            raise Unhearable(str(error)) from None
        self.seconds = phrases.seconds
        for event in phrases.flush():
            if isinstance(event, Phrase):
                yield event
