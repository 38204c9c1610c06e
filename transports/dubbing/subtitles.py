"""SRT and WebVTT files as captions to be dubbed."""

import html
import re
from dataclasses import dataclass, field

from webvtt import WebVTT
from webvtt.errors import MalformedCaptionError, MalformedFileError

from realtime.dubbing import Caption
from transports.dubbing.srt import Cue, read_cues

MAX_BYTES = 5_000_000
MAX_CAPTIONS = 20_000
MAX_SECONDS = 24 * 3600.0
MAX_TEXT = 2_000
"""Characters of one caption: two minutes of speech."""

FORMATS = {".srt": "srt", ".vtt": "vtt"}

_LEFT_OUT = "captions left out because they have no text or cannot be read"
_MOST_LINES = 10  # are named

# What is in a cue beside its text: WebVTT's tags and times, the HTML that SRT borrows, and SubStation Alpha's.
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?\s+([^<>]*)>", re.IGNORECASE)
_MARKUP = re.compile(r"</?[A-Za-z][^<>]*>|<[\d:.]+>|\{\\[^{}]*\}")
_NOTES_OF_MUSIC = re.compile("[♩♪♫♬]+")
# Two people who speak in one caption are told apart by a dash at the beginning of a line.
_DASH = re.compile(r"^\s*[-‐‑–—]\s*(?=\D)", re.MULTILINE)


class BadSubtitles(ValueError):
    """A file that cannot be dubbed; its text says what is wrong, and where."""


@dataclass(frozen=True, slots=True)
class Subtitles:
    """The captions of a file in their order; a caption's ``voice`` is the name of who speaks, if there is one.

    ``notes`` say what had to be left out.
    """

    captions: tuple[Caption, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def speakers(self) -> tuple[str, ...]:
        """The names of those who speak, in the order in which they begin."""
        return tuple(dict.fromkeys(caption.voice for caption in self.captions))


def read_subtitles(data: bytes, form: str) -> Subtitles:
    """The captions of a file of ``form`` srt or vtt. Raises :class:`BadSubtitles`."""
    if len(data) > MAX_BYTES:
        raise BadSubtitles(f"the file has {len(data)} bytes; expected at most {MAX_BYTES}")
    text = _decoded(data)
    cues, left_out = _srt(text) if form == "srt" else _vtt(text)
    if len(cues) > MAX_CAPTIONS:
        raise BadSubtitles(f"the file has {len(cues)} captions; expected at most {MAX_CAPTIONS}")
    captions = [caption for number, cue in enumerate(cues, 1) for caption in _captions(number, cue)]
    if not captions:
        raise BadSubtitles("; ".join(("there is no caption in the file", *left_out)))
    return Subtitles(tuple(captions), left_out)


def _srt(text: str) -> tuple[list[Cue], tuple[str, ...]]:
    """The cues of a file, and a note on what is left out."""
    cues, lines = read_cues(text)
    if not cues and not lines:
        raise BadSubtitles(
            "this is no SRT file: it has no times; expected a number, a line with --> and a text, as in "
            "1, 00:00:01,000 --> 00:00:02,500, Hello"
        )
    if not lines:
        return cues, ()
    named = ", ".join(map(str, lines[:_MOST_LINES])) + (", ..." if len(lines) > _MOST_LINES else "")
    return cues, (f"{_LEFT_OUT}: {len(lines)} ({'line' if len(lines) == 1 else 'lines'} {named})",)


def _vtt(text: str) -> tuple[list[Cue], tuple[str, ...]]:
    """The cues of a file, and a note on what is left out."""
    lines = text.lstrip("\n\r ").splitlines()
    try:
        found = WebVTT.from_buffer(lines, format="vtt").captions
    except (MalformedFileError, MalformedCaptionError) as error:
        raise BadSubtitles(f"this is no VTT file: {error}; expected WEBVTT in its first line") from None
    cues = [Cue(_seconds(cue.start), _seconds(cue.end), (cue.start, cue.end), cue.raw_text) for cue in found]
    left_out = sum("-->" in line for line in lines) - len(cues)
    return cues, (f"{_LEFT_OUT}: {left_out}",) if left_out > 0 else ()


def _decoded(data: bytes) -> str:
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise BadSubtitles(
            f"the file is not {encoding.removesuffix('-sig').upper()} text, from byte {error.start} on; "
            "convert it, such as by: iconv -f latin1 -t utf-8"
        ) from None


def _captions(number: int, cue: Cue) -> list[Caption]:
    """The captions of a cue: one for each who speaks in it, one after the other."""
    start, end = cue.start, cue.end
    where = f"caption {number}" if cue.line is None else f"line {cue.line}, caption {number}"
    if end < start:
        raise BadSubtitles(f"{where}: it ends at {cue.times[1]}, before its start at {cue.times[0]}")
    if end > MAX_SECONDS:
        raise BadSubtitles(f"{where}: it ends at {cue.times[1]}; expected at most 24 hours")
    before, *rest = _VOICE.split(cue.text)
    spans = zip(rest[::2], rest[1::2], strict=True)
    pieces = [("", before), *((html.unescape(name).strip(), text) for name, text in spans)]
    said = [(name, text) for name, piece in pieces if (text := _plain(piece))]
    length = sum(len(text) for _, text in said)
    if length > MAX_TEXT:
        raise BadSubtitles(f"{where}: it has {length} characters; expected at most {MAX_TEXT}")
    captions, at = [], start
    for part, (name, text) in enumerate(said, 1):
        share = (end - start) * len(text) / length
        id_ = str(number) if len(said) == 1 else f"{number}.{part}"
        captions.append(Caption(id_, at, end if part == len(said) else at + share, text, name))
        at += share
    return captions


def _plain(text: str) -> str:
    """The words of a cue, without its markup, on one line."""
    text = _MARKUP.sub("", text)
    text = _DASH.sub("", _NOTES_OF_MUSIC.sub(" ", html.unescape(text)))
    return " ".join(text.split())


def _seconds(time: str) -> float:
    hours, minutes, seconds = time.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
