"""The output formats of the Fish Audio API and of OpenAI's, and what may be asked of each."""

from dataclasses import dataclass
from typing import Literal, cast, get_args

Container = Literal["wav", "pcm", "mp3", "opus", "aac", "flac"]

_RATES: dict[Container, tuple[int, ...]] = {  # the default comes last
    "wav": (8000, 16000, 24000, 32000, 44100),
    "pcm": (8000, 16000, 24000, 32000, 44100),
    "mp3": (32000, 44100),
    "opus": (48000,),
    "aac": (24000, 32000, 44100),
    "flac": (8000, 16000, 24000, 32000, 44100),
}
_MIME: dict[Container, str] = {
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
}
_MP3_KBPS = (64, 128, 192)
_OPUS_KBPS = (24, 32, 48, 64)
_OPUS_AUTO = -1000  # OPUS_AUTO of opus_defines.h, which the API passes through


class FormatError(ValueError):
    """An output format that cannot be had: which ``field``, its ``value``, and what was ``expected``."""

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(f"{field} is {value!r}, expected {expected}")
        self.field = field
        self.value = value
        self.expected = expected


@dataclass(frozen=True, slots=True)
class OutputFormat:
    """One container at one rate; always mono. Made by :func:`output_format`, which checks it.

    ``sample_rate`` is in Hz. ``bitrate`` is in bit/s; None means that the codec chooses, or has none.
    """

    container: Container
    sample_rate: int
    bitrate: int | None = None

    @property
    def mime(self) -> str:
        """The media type for a Content-Type header."""
        return _MIME[self.container]

    @property
    def suffix(self) -> str:
        """The file name's ending, with its dot."""
        return f".{self.container}"


def output_format(
    container: str, sample_rate: int | None = None, *, mp3_bitrate: int = 128, opus_bitrate: int = 32
) -> OutputFormat:
    """Check a request's format fields and make a format of them.

    ``sample_rate`` is in Hz, None for the format's default: 44100, and 48000 for Opus. Bitrates may be given
    in kbit/s or in bit/s, for the API's documents and its SDK disagree; ``opus_bitrate=-1000`` lets the codec
    choose. Both bitrates are checked whichever format is asked for.

    Raises :class:`FormatError`.
    """
    if container not in get_args(Container):
        raise FormatError("format", container, "one of " + ", ".join(get_args(Container)))
    known = cast(Container, container)
    rates = _RATES[known]
    if sample_rate is None:
        sample_rate = rates[-1]
    elif sample_rate not in rates:
        raise FormatError("sample_rate", sample_rate, f"{_one_of(rates)} Hz for {known}")
    mp3 = _bits_per_second("mp3_bitrate", mp3_bitrate, _MP3_KBPS)
    opus = None if opus_bitrate == _OPUS_AUTO else _bits_per_second("opus_bitrate", opus_bitrate, _OPUS_KBPS)
    return OutputFormat(known, sample_rate, {"mp3": mp3, "opus": opus}.get(known))


def _bits_per_second(field: str, value: int, allowed_kbps: tuple[int, ...]) -> int:
    bits = value if value >= 1000 else value * 1000
    if bits not in [kbps * 1000 for kbps in allowed_kbps]:
        automatic = f", or {_OPUS_AUTO} for automatic" if field == "opus_bitrate" else ""
        raise FormatError(field, value, f"{_one_of(allowed_kbps)} kbit/s{automatic}")
    return bits


def _one_of(values: tuple[int, ...]) -> str:
    return " or ".join(str(value) for value in values)
