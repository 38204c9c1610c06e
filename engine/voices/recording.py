"""A recording that a stranger sends, made fit for a model: decoded, trimmed, levelled, at one rate."""

from dataclasses import dataclass

import numpy as np

from engine.audio import AudioReader, DecodeError, Leveler, Resampler, TooLong, loudness
from engine.speech import Pcm, Reference
from engine.voices.noise import without_noise

RATE = 44_100
"""The rate of what is prepared, in Hz: that of the codec that clones."""

LOUDNESS = -20.0
"""What it measures by ITU-R BS.1770, in LUFS, unless its peaks forbid."""

LONGEST = 600.0
"""Seconds of a recording."""

SHORTEST = 1.0
"""Seconds that must be left of it without the silence around."""

_SILENT = -60.0  # LUFS, about the noise of a bare microphone
_KEPT_SECONDS = 0.08  # of the silence before and after, lest a soft sound be cut off
_HOP_SECONDS = 0.01
_CLICK_HOPS = 5  # what sounds in less than half of so many hops is a click
_DEEPEST_DB, _HIGHEST_DB = 40.0, 20.0  # speech begins between these two below its level ...
_ABOVE_NOISE_DB = 8.0  # ... where it stands out so far of what sounds in its pauses

_UNKNOWN_SIZE = 0x7FFF0000  # bytes


class BadRecording(ValueError):
    """A recording that cannot be used; the text tells its sender why."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Speech without silence around it: mono, at :data:`RATE` Hz, at :data:`LOUDNESS` LUFS."""

    pcm: Pcm

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return RATE

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.pcm) / RATE

    def reference(self, text: str) -> Reference:
        """What a model learns a voice from, with the words that are spoken in it."""
        return Reference(self.pcm, RATE, text)


def prepare(
    data: bytes, *, longest: float = LONGEST, shortest: float = SHORTEST, enhance: bool = False
) -> Recording:
    """A recording of any container and codec that FFmpeg reads, told by content. Lengths are in seconds.

    No more than ``longest`` is decoded, whatever the file claims or unpacks to. ``enhance`` takes steady noise
    away. Each second takes about 4 ms, with that 20 ms, and 0.4 MB: not for an event loop.
    Raises :class:`BadRecording`.
    """
    pcm = _decoded(data, longest)
    spoken = _speech(pcm)
    speech = pcm[spoken]
    level = loudness(speech, RATE)
    if level < _SILENT:
        raise BadRecording("the recording is silent; it should hold somebody's speech")
    if len(speech) < shortest * RATE:
        raise BadRecording(
            f"the recording holds {len(speech) / RATE:.1f} s of sound; "
            f"it should be at least {shortest:g} s of speech"
        )
    if enhance:
        speech = without_noise(pcm)[spoken]
        level = loudness(speech, RATE)
    return Recording(_levelled(speech, LOUDNESS - level))


def _decoded(data: bytes, longest: float) -> Pcm:
    parts: list[Pcm] = []
    try:
        with AudioReader(data, max_seconds=longest) as reader:
            claimed = max(reader.claimed_seconds or 0.0, _claimed_by_riff(data))
            if claimed > longest:
                raise TooLong(f"the file says {claimed:,.0f} s")
            resampler = Resampler(reader.sample_rate, RATE)
            parts = [resampler.push(piece) for piece in reader]
            parts.append(resampler.drain())
    except TooLong as error:
        raise BadRecording(f"the recording is too long ({error}); up to {longest:g} s are taken") from error
    except DecodeError as error:
        raise BadRecording(f"the recording cannot be read: {error}") from error
    return np.concatenate(parts)


def _claimed_by_riff(data: bytes) -> float:
    """Seconds that a WAV header claims; FFmpeg believes the file's size instead. 0 if it claims nothing.

    Who writes WAV as a stream does not know its length, and claims 2 GiB or 4 GiB, or a little less.
    """
    if data[:4] != b"RIFF" or data[8:16] != b"WAVEfmt ":
        return 0.0
    bytes_per_second = int.from_bytes(data[28:32], "little")
    start = data.find(b"data", 36, 4096)
    size = int.from_bytes(data[start + 4 : start + 8], "little") if start > 0 else 0
    return size / bytes_per_second if bytes_per_second and size < _UNKNOWN_SIZE else 0.0


def _speech(pcm: Pcm) -> slice:
    """From where sound begins to where it ends, with a little of the silence around; clicks do not count."""
    hop = round(_HOP_SECONDS * RATE)
    hops = pcm[: len(pcm) // hop * hop].reshape(-1, hop)
    if len(hops) < _CLICK_HOPS:
        return slice(0, 0)
    power = np.einsum("ij,ij->i", hops, hops) / hop
    smooth = np.pad(power, _CLICK_HOPS // 2)
    decibels = 10 * np.log10(
        np.maximum(np.median(np.lib.stride_tricks.sliding_window_view(smooth, _CLICK_HOPS), axis=1), 1e-10)
    )
    noise, level = np.percentile(decibels, [5, 95])
    threshold = min(max(noise + _ABOVE_NOISE_DB, level - _DEEPEST_DB), level - _HIGHEST_DB)
    sounding = np.flatnonzero(decibels > threshold)
    if not len(sounding):
        return slice(0, 0)
    kept = round(_KEPT_SECONDS * RATE)
    return slice(max(sounding[0] * hop - kept, 0), (sounding[-1] + 1) * hop + kept)


def _levelled(pcm: Pcm, gain_db: float) -> Pcm:
    """Louder by so much, with its peaks kept below full scale; in pieces, as the limiter takes memory."""
    leveler = Leveler(RATE, gain_db=gain_db)
    pieces = [leveler.push(pcm[at : at + RATE]) for at in range(0, len(pcm), RATE)]
    return np.concatenate([*pieces, leveler.drain()])
