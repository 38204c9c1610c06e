"""What is one thing to the eye, whatever it is made of: speaker marks, tags, links, grapheme clusters."""

import re

import regex

SPEAKER = re.compile(r"<\|speaker:(\d{1,3})\|>")
"""The mark at which another speaker's turn begins."""
MAX_TAG = 80
"""A tag is held together up to this length; a "[" that is not closed by then was only a bracket."""

NOTHING_TO_SAY = re.compile(rf"(?:\s++|{SPEAKER.pattern})*+")
"""White space and speaker marks, as many as there are; the group is the last speaker."""

_SPEAKER_HEAD = "<|speaker:"
_MAX_SPEAKER_MARK = len("<|speaker:999|>")
# A speaker mark within brackets is obeyed, so they are no tag.
_TAG_BODY = rf"\[(?!\s)(?:(?!{SPEAKER.pattern.replace('(', '(?:')})[^\[\]\n])"
_TAG = re.compile(rf"{_TAG_BODY}{{1,{MAX_TAG - 2}}}\]")
_OPEN_TAG = re.compile(rf"(?:{_TAG_BODY}{{1,{MAX_TAG - 2}}}|\[)\Z")
_WHOLE = rf"{_TAG.pattern}(?:\([^\s()]*\)?)?|[\ud800-\udbff][\udc00-\udfff]"
# Grapheme clusters are those of UAX #29; in text without spaces, an ASCII word or address is better not cut.
_CLUSTER = regex.compile(rf"{_WHOLE}|\X")
_WORD_OR_CLUSTER = regex.compile(rf"{_WHOLE}|(?:[!-Z\\-~](?![\p{{M}}\u200c\u200d]))++|\X")


def speaker_end(text: str, index: int, stop: int, *, final: bool) -> int | None:
    """Where the speaker mark at the "<" at ``index`` ends; ``index`` if it is none; None if that is still open.

    ``stop`` is where the text ends by now, and if it is ``final``, for good.
    """
    if match := SPEAKER.match(text, index, stop):
        return match.end()
    head = text[index : min(stop, index + _MAX_SPEAKER_MARK)]
    return index if final or not _may_become_speaker(head) else None


def tag_end(text: str, index: int, stop: int, *, final: bool) -> int | None:
    """The same for the tag at the "[" at ``index``."""
    if match := _TAG.match(text, index, stop):
        return match.end()
    return index if final or not _OPEN_TAG.match(text, index, stop) else None


def unfinished(text: str, index: int, stop: int) -> int:
    """Where the first mark or tag from ``index`` on begins that more text could complete; else ``stop``."""
    for at in range(index, stop):
        if text[at] == "<" and speaker_end(text, at, stop, final=False) is None:
            return at
        if text[at] == "[" and tag_end(text, at, stop, final=False) is None:
            return at
    return stop


def hard_cut(text: str, limit: int) -> int:
    """Where to cut a text without a better place up to ``limit``: not within a cluster or a tag.

    Best not within a word either. Beyond ``limit`` only if a tag is longer than all that. The text begins where
    the last cut was and needs to reach no further than a tag's length behind the limit.
    """
    best = 0
    for pattern in (_WORD_OR_CLUSTER, _CLUSTER):
        best = 0
        for match in pattern.finditer(text):
            if match.end() > limit:
                break
            best = match.end()
        if best > limit // 2:
            return best
    if best:
        return best
    tag = _TAG.match(text)
    return tag.end() if tag else limit


def _may_become_speaker(head: str) -> bool:
    """Whether more text could make a speaker mark of this."""
    if len(head) <= len(_SPEAKER_HEAD):
        return _SPEAKER_HEAD.startswith(head)
    digits, bar = head[len(_SPEAKER_HEAD) :].rstrip("|"), head.endswith("|")
    return (
        head.startswith(_SPEAKER_HEAD)
        and len(digits) <= 3
        and (digits.isdecimal() or (not digits and not bar))
    )
