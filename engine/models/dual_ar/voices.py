"""The voices of a model that clones: recordings with what is said in them, and the codes they become."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.audio import DecodeError, Resampler, decode
from engine.errors import SpeechError
from engine.models.dual_ar.prompt import ReferenceCodes
from engine.speech import Pcm, Reference, Voice

NO_VOICE = "default"
"""The voice without a recording: the model makes one up for each stream."""

TRANSCRIPTS = (".txt", ".lab")
"""Endings of the file that holds what is said in the recording of the same name."""

LONGEST = 120.0
"""Seconds of recordings that a voice is learned from: more says little more, and takes memory to encode (some
4 GB for so many) and room in every prompt.
"""

Codes = npt.NDArray[np.int64]

_log = logging.getLogger(__name__)


class VoiceFolderError(ValueError):
    """A folder of voices that cannot be used, with what would be right."""


def read_voices(folder: Path) -> dict[str, tuple[Reference, ...]]:
    """The voices of a folder: each sub-folder is one, named by its id.

    In it lie recordings of any format that FFmpeg knows, each beside a ``.txt`` or ``.lab`` of the same name with
    the words that are spoken in it. Raises :class:`VoiceFolderError`.
    """
    if not folder.is_dir():
        raise VoiceFolderError(f"{folder} is no folder; it should hold one sub-folder for each voice")
    voices = {place.name: _references(place) for place in sorted(folder.iterdir()) if place.is_dir()}
    if NO_VOICE in voices:
        raise VoiceFolderError(
            f"{folder / NO_VOICE}: the id {NO_VOICE!r} is taken by the voice without recording"
        )
    return voices


def _references(place: Path) -> tuple[Reference, ...]:
    references = []
    for recording in sorted(place.iterdir()):
        if recording.suffix in TRANSCRIPTS or recording.name.startswith("."):
            continue
        texts = [text for ending in TRANSCRIPTS if (text := recording.with_suffix(ending)).is_file()]
        if not texts:
            raise VoiceFolderError(f"{recording}: there is no {recording.stem}.txt with what is said in it")
        try:
            pcm, rate = decode(recording)
        except DecodeError as error:
            raise VoiceFolderError(f"{recording}: {error}") from error
        references.append(Reference(pcm, rate, texts[0].read_text(encoding="utf-8").strip()))
    if not references:
        raise VoiceFolderError(f"{place} holds no recording")
    return tuple(references)


def list_voices(cloned: Iterable[str]) -> tuple[Voice, ...]:
    """The voice without a recording, and those of the given ids."""
    made_up = Voice(NO_VOICE, "Default", "A voice that the model makes up, another one for each stream", "")
    return (made_up, *(Voice(voice, voice, "Cloned from recordings", "") for voice in cloned))


class Voices:
    """All voices of a model. Recordings are encoded on a thread of their own, when they are first wanted.

    ``make_encode`` is called on that thread, once, when there is something to encode: it loads the encoder and
    returns what turns samples at ``sample_rate`` Hz into codes ``(codebooks, frames)``.
    """

    def __init__(
        self,
        references: Mapping[str, Sequence[Reference]],
        make_encode: Callable[[], Callable[[Pcm], Codes]],
        sample_rate: int,
    ) -> None:
        self._references = {voice: tuple(recordings) for voice, recordings in references.items()}
        self._sample_rate = sample_rate
        self._make_encode = make_encode
        self._encode: Callable[[Pcm], Codes] | None = None
        self._codes: dict[str, Future[tuple[tuple[str, Codes], ...]]] = {}
        self._thread = ThreadPoolExecutor(1, "parrotfish-cloning")

    @property
    def known(self) -> tuple[Voice, ...]:
        """What there is to choose from; the voice without a recording comes first."""
        return list_voices(self._references)

    def want(self, voice: str) -> "Future[tuple[tuple[str, Codes], ...]]":
        """The texts and codes of a voice's recordings, as soon as they are encoded.

        Raises :class:`SpeechError` if there is no such voice.
        """
        if voice == NO_VOICE:
            nothing: Future[tuple[tuple[str, Codes], ...]] = Future()
            nothing.set_result(())
            return nothing
        if (codes := self._codes.get(voice)) is None or (codes.done() and codes.exception()):
            references = self._references.get(voice)
            if references is None:
                raise SpeechError(f"the voice {voice!r} is not known any more")
            self._codes[voice] = codes = self._thread.submit(self._encode_all, voice, references)
        return codes

    def learn(self, voice: str, references: Sequence[Reference]) -> None:
        """Encode the recordings of a new voice and keep the codes. Waits for it; from any thread.

        Raises :class:`SpeechError` if the first is longer than :data:`LONGEST`; those beyond it are left out.
        """
        fitting = _fitting(references)
        if len(fitting) < len(references):
            _log.info("voice %r: %d of %d recordings are enough", voice, len(fitting), len(references))
        codes = self._thread.submit(self._encode_all, voice, fitting)
        codes.result()
        self._codes[voice] = codes

    def forget(self, voice: str) -> None:
        """Drop a voice that was learned; from any thread."""
        if voice not in self._references:
            self._codes.pop(voice, None)

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _encode_all(self, voice: str, references: Sequence[Reference]) -> tuple[tuple[str, Codes], ...]:
        if self._encode is None:
            self._encode = self._make_encode()
        encoded = []
        for reference in references:
            resampler = Resampler(reference.sample_rate, self._sample_rate)
            pcm = np.concatenate([resampler.push(reference.pcm), resampler.drain()])
            encoded.append((reference.text, self._encode(pcm)))
        frames = sum(codes.shape[1] for _, codes in encoded)
        _log.info("voice %r: %d recordings, %d frames", voice, len(encoded), frames)
        return tuple(encoded)


def _fitting(references: Sequence[Reference]) -> tuple[Reference, ...]:
    """The first of them, for :data:`LONGEST` seconds at most."""
    ends = np.cumsum([len(reference.pcm) / reference.sample_rate for reference in references])
    count = int(np.searchsorted(ends, LONGEST, side="right"))
    if not count:
        raise SpeechError(
            f"the recording is {ends[0]:.0f} s long; this model takes up to {LONGEST:.0f} s of a voice, "
            "and 10 to 30 are enough"
        )
    return tuple(references[:count])


def speakers(voices: Sequence[tuple[tuple[str, Codes], ...]]) -> list[ReferenceCodes]:
    """The recordings of several voices as references: speaker i is the i-th voice."""
    return [
        ReferenceCodes(speaker, text, codes)
        for speaker, recordings in enumerate(voices)
        for text, codes in recordings
    ]
