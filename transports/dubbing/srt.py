"""SRT as it is found: a cue is where a line has its times, whatever else is around it. No I/O."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

_LINE_END = re.compile(r"\r\n|\r|\n")
_ARROW = re.compile(r"-[-\s]{0,2}>")
_TIME = re.compile(r"(?:(\d{1,4})\s*:\s*)?(\d{1,2})\s*:\s*(\d{1,2})(?:\s*[,.:]\s*(\d{1,9}))?(?!\S)")
_LIKE_A_TIME = re.compile(r"\W*\d+\s*:\s*\d")
# What str.strip() leaves, and editors put before a line: marks of the byte order, and of the direction of text.
_UNSEEN = "\ufeff\u200b\u200e\u200f\u202a\u202b\u202c"


@dataclass(frozen=True, slots=True)
class Cue:
    """A text with its markup, from ``start`` to ``end``, in seconds; ``times`` is both as they are written.

    ``line`` is the number of the line that they stand in, if that is known.
    """

    start: float
    end: float
    times: tuple[str, str]
    text: str
    line: int | None = None


def read_cues(text: str) -> tuple[list[Cue], list[int]]:
    """The cues of a file in their order, and the lines of those without a text, or with times that are none."""
    lines = [line.strip().strip(_UNSEEN).strip() for line in _LINE_END.split(text)]
    cues, left_out = [], []
    for (at, times), (following, _) in pairwise([*_starts(lines), (len(lines), None)]):
        said = "\n".join(filter(None, lines[at + 1 : _number_above(lines, following, at)]))
        if times is None or not said:
            left_out.append(at + 1)
        else:
            start, end = times
            cues.append(Cue(_seconds(start), _seconds(end), (start[0], end[0]), said, at + 1))
    return cues, left_out


def _starts(lines: list[str]) -> Iterator[tuple[int, tuple[re.Match[str], re.Match[str]] | None]]:
    """The lines in which cues begin, with their times; None where they cannot be read.

    An arrow with nothing like a time beside it is text.
    """
    for at, line in enumerate(lines):
        sides = [side.strip() for side in _ARROW.split(line, 1)]
        if len(sides) == 2:
            start, end = _TIME.fullmatch(sides[0]), _TIME.match(sides[1])
            if start and end:
                yield at, (start, end)
            elif any(_LIKE_A_TIME.match(side) for side in sides):
                yield at, None


def _number_above(lines: list[str], at: int, after: int) -> int:
    """Where the cue with its times in line ``at`` begins: at its number if it has one.

    There may be a blank line between them, and at the end of a file there may be a number and nothing else. If no
    blank line is before it, it is the text of the cue whose times are in line ``after``.
    """
    above = at - 1
    while above > after and not lines[above]:
        above -= 1
    if above <= after or not lines[above].isdecimal():
        return at
    beside = above == at - 1 and at < len(lines)
    apart = above - 1 > after and not lines[above - 1]
    return above if beside or apart else at


def _seconds(time: re.Match[str]) -> float:
    hours, minutes, seconds, fraction = time.groups()
    return int(hours or 0) * 3600 + int(minutes) * 60 + float(f"{seconds}.{fraction or 0}")
