"""The phrases of a file."""

from collections.abc import Iterator
from os import PathLike

from engine.audio import AudioReader, DecodeError, TooLong
from realtime.ears.phrases import Phrase, Phrases
from realtime.ears.recogniser import HEARING_RATE, RecogniserInfo, TooMuchAudio, Unhearable

_SILENCE = 30.0


class FilePhrases(Iterator[Phrase | None]):
    """Iterates over the phrases of bytes, or of a file at a path, as its recogniser wants them.

    None stands for 30 s without one, so that no step takes long. No more than ``max_seconds`` are decoded, a
    phrase at a time; ``seconds`` is how much was by now. Raises :class:`Unhearable`, :class:`TooMuchAudio`, or
    OSError if there is no such file.
    """

    def __init__(
        self, source: bytes | str | PathLike[str], info: RecogniserInfo, max_seconds: float | None = None
    ) -> None:
        self.seconds = 0.0
        self._source = source
        self._max_seconds = max_seconds
        self._phrases = Phrases(max_seconds=info.max_seconds, min_seconds=info.min_seconds)
        self._read = self._phrases_read()

    def __next__(self) -> Phrase | None:
        return next(self._read)

    def _phrases_read(self) -> Iterator[Phrase | None]:
        last = 0.0
        try:
            with AudioReader(self._source, HEARING_RATE, self._max_seconds) as reader:
                for piece in reader:
                    self.seconds += piece.size / HEARING_RATE
                    for event in self._phrases.push(piece):
                        if isinstance(event, Phrase):
                            last = self.seconds
                            yield event
                    if self.seconds > last + _SILENCE:
                        last = self.seconds
                        yield None
        except TooLong:
            raise TooMuchAudio(f"longer than the {self._max_seconds:g} s that are taken at a time") from None
        except DecodeError as error:
            raise Unhearable(str(error)) from None
        yield from (event for event in self._phrases.flush() if isinstance(event, Phrase))
