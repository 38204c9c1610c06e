"""What somebody at a terminal sees while speech is made."""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape

from engine.audio import OutputFormat

_WAV_HEADER = 44


class Progress:
    """Seconds of speech so far and the time to first audio, on stderr; nothing unless that is a terminal."""

    def __init__(self, name: str, output: OutputFormat, *, quiet: bool) -> None:
        self._name = name
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._shown = self._console.is_terminal and not quiet
        self._quiet = quiet
        self._status = self._console.status("loading the voice")
        self._length = _Length(output)
        self._asked_at: float | None = None
        self._first_audio: float | None = None

    def __enter__(self) -> Self:
        if self._shown:
            self._status.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status.stop()

    def text_sent(self) -> None:
        """Text was given to the voice; the first time starts the clock."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()
            self._status.update("waiting for the first audio")

    def audio_written(self, data: bytes) -> None:
        """The next bytes of the audio were written."""
        self._length.add(data)
        if self._first_audio is None:
            self._first_audio = self._elapsed()
        self._status.update(self._summary())

    def notes(self, messages: Iterable[str]) -> None:
        """What could not be done as asked; not only for terminals."""
        if not self._quiet:
            for message in messages:
                self._console.print(f"[yellow]note:[/] {escape(message)}")

    def finished(self) -> None:
        """All was said."""
        self._status.stop()
        if self._shown:
            self._console.print(
                f"[green]{escape(self._name)}[/]: {self._summary()}, done in {self._elapsed():.1f} s"
            )

    def _summary(self) -> str:
        return f"{self._length.seconds:.1f} s of speech, first audio after {self._first_audio or 0.0:.2f} s"

    def _elapsed(self) -> float:
        return 0.0 if self._asked_at is None else time.monotonic() - self._asked_at


class _Length:
    """How long the audio in the bytes of a stream is, without decoding it."""

    def __init__(self, output: OutputFormat) -> None:
        self._output = output
        self._bytes = 0
        self._ogg_samples = 0

    def add(self, data: bytes) -> None:
        self._bytes += len(data)
        if self._output.container == "opus":
            # The granule position of an Ogg page: how many samples at 48 kHz end with it (RFC 3533, RFC 7845).
            granule = data[(page := data.rfind(b"OggS")) + 6 : page + 14]
            if page >= 0 and len(granule) == 8:
                self._ogg_samples = int.from_bytes(granule, "little")

    @property
    def seconds(self) -> float:
        match self._output.container:
            case "opus":
                return self._ogg_samples / 48_000
            case "mp3":
                return self._bytes * 8 / (self._output.bitrate or 1)
            case "wav":
                return max(self._bytes - _WAV_HEADER, 0) / (2 * self._output.sample_rate)
            case "pcm":
                return self._bytes / (2 * self._output.sample_rate)
            case "mulaw" | "alaw":
                return self._bytes / self._output.sample_rate
            case other:
                raise ValueError(f"container is {other!r}; it must be one that the Fish Audio API has")
