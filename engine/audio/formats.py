"""The output formats of the Fish Audio API, of OpenAI's and of telephones, and what may be asked of each."""

from dataclasses import dataclass
from typing import Literal, cast, get_args

Container = Literal["wav", "pcm", "mp3", "opus", "aac", "flac", "mulaw", "alaw"]
"""What may be asked for; ``mulaw`` and ``alaw`` are G.711 without a header, a byte for each sample."""

RATES: dict[Container, tuple[int, ...]] = {  # in Hz; the default comes last
    "wav": (8000, 16000, 24000, 32000, 44100),
    "pcm": (8000, 16000, 22050, 24000, 32000, 44100),
    "mp3": (32000, 44100),
    "opus": (48000,),
    "aac": (24000, 32000, 44100),
    "flac": (8000, 16000, 24000, 32000, 44100),
    "mulaw": (8000,),
    "alaw": (8000,),
}
_MIME: dict[Container | Literal["packets"], str] = {
    "wav": "audio/wav",
    "pcm": "audio/pcm",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "mulaw": "audio/basic",  # RFC 2046, section 4.2: just this, at 8 kHz
    "alaw": "audio/x-alaw-basic",  # VoiceXML 2.0, appendix E; the registered audio/PCMA is for RTP only
    "packets": "audio/opus",  # RFC 7587
}
_SUFFIX = {"mulaw": ".ul", "alaw": ".al"}  # by which FFmpeg and SoX know them
MP3_KBPS = (64, 128, 192)
OPUS_KBPS = (24, 32, 48, 64)
OPUS_AUTO = -1000  # OPUS_AUTO of opus_defines.h, which the API passes through


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

    container: Container | Literal["packets"]
    sample_rate: int
    bitrate: int | None = None

    @property
    def mime(self) -> str:
        """The media type for a Content-Type header."""
        return _MIME[self.container]

    @property
    def suffix(self) -> str:
        """The file name's ending, with its dot."""
        return _SUFFIX.get(self.container, f".{self.container}")


def output_format(
    container: str, sample_rate: int | None = None, *, mp3_bitrate: int = 128, opus_bitrate: int = 32
) -> OutputFormat:
    """Check a request's format fields and make a format of them.

    ``sample_rate`` is in Hz, None for the format's default: 44100, but 48000 for Opus and 8000 for G.711.
    Bitrates may be given in kbit/s or in bit/s, for the API's documents and its SDK disagree;
    ``opus_bitrate=-1000`` lets the codec choose. Both bitrates are checked whichever format is asked for.

    Raises :class:`FormatError`.
    """
    if container not in get_args(Container):
        raise FormatError("format", container, "one of " + ", ".join(get_args(Container)))
    known = cast(Container, container)
    rates = RATES[known]
    if sample_rate is None:
        sample_rate = rates[-1]
    elif sample_rate not in rates:
        raise FormatError("sample_rate", sample_rate, f"{_one_of(rates)} Hz for {known}")
    mp3 = _bits_per_second("mp3_bitrate", mp3_bitrate, MP3_KBPS)
    opus = None if opus_bitrate == OPUS_AUTO else _bits_per_second("opus_bitrate", opus_bitrate, OPUS_KBPS)
    return OutputFormat(known, sample_rate, {"mp3": mp3, "opus": opus}.get(known))


def packet_format(bitrate: int | None = None) -> OutputFormat:
    """Opus packets of 20 ms for a line that puts them into packets of its own, such as RTP's.

    ``bitrate`` is in bit/s, None lets the codec choose. Each packet follows its length in 2 bytes, big-endian, so
    that what a stream gives piece by piece can be joined; :func:`split_packets` takes it apart. There is no
    header, and of the first packet 6.5 ms are the codec's delay.
    """
    return OutputFormat("packets", 48_000, bitrate)


def split_packets(data: bytes) -> list[bytes]:
    """The packets in a row of whole ones, each without its length. Raises ValueError if the last is cut off."""
    packets, start = [], 0
    while start < len(data):
        end = start + 2 + int.from_bytes(data[start : start + 2], "big")
        if end > len(data):
            raise ValueError(f"packets: {len(data) - start} bytes at the end; expected {end - start}")
        packets.append(data[start + 2 : end])
        start = end
    return packets


def _bits_per_second(field: str, value: int, allowed_kbps: tuple[int, ...]) -> int:
    bits = value if value >= 1000 else value * 1000
    if bits not in [kbps * 1000 for kbps in allowed_kbps]:
        automatic = f", or {OPUS_AUTO} for automatic" if field == "opus_bitrate" else ""
        raise FormatError(field, value, f"{_one_of(allowed_kbps)} kbit/s{automatic}")
    return bits


def _one_of(values: tuple[int, ...]) -> str:
    return " or ".join(str(value) for value in values)
