"""What a recogniser is, and what is heard with one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.speech import Pcm

HEARING_RATE = 16_000
"""The rate of all audio that recognisers are given, in Hz."""


@dataclass(frozen=True, slots=True)
class HeardSegment:
    """Words that were spoken together. Times are in seconds of the audio."""

    start: float
    end: float
    text: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """All that was heard in ``seconds`` of audio, in order."""

    segments: tuple[HeardSegment, ...]
    seconds: float

    @property
    def text(self) -> str:
        """The words of all segments."""
        return joined(segment.text for segment in self.segments)


@dataclass(frozen=True, slots=True)
class RecogniserInfo:
    """What a recogniser can do.

    It knows these ``languages`` (ISO 639-1; none named: any may be asked for). It is given up to ``max_seconds``
    at a time, and at least ``min_seconds`` if there are so many: one that always looks at a window of a fixed
    length, or that is far away, does better with several phrases at once. ``parallel`` pieces at a time keep it
    busy.
    """

    name: str
    languages: tuple[str, ...]
    max_seconds: float
    min_seconds: float = 0.0
    parallel: int = 1


class Recogniser(Protocol):
    """Turns audio into words. Loaded when it is made; every method may be called from any thread."""

    @property
    def info(self) -> RecogniserInfo:
        """What it can do."""
        ...

    def transcribe(self, pcm: Pcm, language: str | None) -> Sequence[HeardSegment]:
        """What is said in mono samples at :data:`HEARING_RATE`, with times from their beginning.

        ``language`` is one of ``info.languages``, or None for it to find out. Blocks until it has heard. Raises
        :class:`RecogniserFailed`.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


def language_of(info: RecogniserInfo, wanted: str | None) -> str | None:
    """The recogniser's name of a language such as "en", "en-US" or "EN"; None for one that it shall find out.

    Raises :class:`UnknownLanguage`.
    """
    if not wanted or wanted.lower() == "auto":
        return None
    name = wanted.lower().replace("_", "-")
    for candidate in (name, name.partition("-")[0]):
        if candidate in info.languages or (not info.languages and candidate.isalpha()):
            return candidate
    raise UnknownLanguage(wanted, info.name, info.languages)


class HearingError(Exception):
    """Audio was not heard. The text is for whoever sent it."""


class UnknownLanguage(HearingError):
    """A language that the recogniser does not have; ``known`` are those that it has."""

    def __init__(self, language: str, recogniser: str, known: tuple[str, ...]) -> None:
        those = f"one that {recogniser} knows: {', '.join(known)}" if known else "a code such as en"
        super().__init__(f"got {language[:40]!r}; expected {those}")
        self.known = known


class Unhearable(HearingError):
    """What was sent is no audio."""


class TooMuchAudio(HearingError):
    """Longer than is taken at a time."""


class HearingOverloaded(HearingError):
    """No more can be heard at the moment; after ``retry_after`` seconds it may be tried again."""

    def __init__(self, retry_after: float = 5.0) -> None:
        super().__init__("as much speech is being recognised as this server can")
        self.retry_after = retry_after


class HearingStopped(HearingOverloaded):
    """The server is being stopped."""

    def __init__(self) -> None:
        HearingError.__init__(self, "the server is being stopped")
        self.retry_after = 1.0


class HearingOff(HearingError):
    """This server has no recogniser."""

    def __init__(self) -> None:
        super().__init__("this server recognises no speech: it was started with --asr none")


class RecogniserFailed(HearingError):
    """The recogniser could not do it: no fault of the audio.

    ``said`` is what another program has to say of it: it may quote the audio, and is in no log; ``brief`` is the
    rest.
    """

    def __init__(self, brief: str, said: str = "") -> None:
        super().__init__(f"{brief}: {said}" if said else brief)
        self.brief = brief


# Scripts that set no spaces: Thai and Lao; Chinese and Japanese; their punctuation and wide forms.
_UNSPACED = (("\u0e00", "\u0eff"), ("\u2e80", "\uabff"), ("\uff00", "\uffef"))


def joined(texts: Iterable[str]) -> str:
    """Texts with a space between them, but for scripts that are written without."""
    whole = ""
    for text in filter(None, map(str.strip, texts)):
        if whole and not (_unspaced(whole[-1]) or _unspaced(text[0])):
            whole += " "
        whole += text
    return whole


def _unspaced(character: str) -> bool:
    return any(first <= character <= last for first, last in _UNSPACED)
