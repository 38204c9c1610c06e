"""Text to sentences of words, each with the pause that its punctuation asks for."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from hibari.g2p.normalize import TITLES

_SENTENCE_PAUSE = 0.35
_CLAUSE_PAUSE = 0.25
_COMMA_PAUSE = 0.08  # as the network itself leaves, which it does within a sentence
_PARAGRAPH_PAUSE = 0.5
_BARE_PAUSE = 0.12  # after text that just ends: enough that nothing of it is lost in a codec

LINK = r"\[([^\[\]\n]{1,99})\]\(/([^()/\n]{1,199})/\)"
"""``[word](/phonemes/)``: a word whose pronunciation is given. Groups: the word, the phonemes."""

_WORD = re.compile(rf"(?:{LINK}|\S)+")
_CLOSERS = "\"'”’)]}»*_"
_OPENERS = "\"'“‘([{«*_"
_LONGEST = 60
_PAUSES = {
    **dict.fromkeys(".!?…", _SENTENCE_PAUSE),
    **dict.fromkeys(";:", _CLAUSE_PAUSE),
    **dict.fromkeys(",—–-", _COMMA_PAUSE),
}


class Word(NamedTuple):
    """A word of the original text, ``text[start:end]``, with the punctuation that touches it."""

    text: str
    start: int
    end: int


class Sentence(NamedTuple):
    """Words to be read together. ``pause`` is the silence to leave after them, in seconds at normal speed;
    ``unfinished`` says that the sentence goes on after the last of them.
    """

    words: list[Word]
    pause: float
    unfinished: bool


def split_sentences(text: str, open_ended: bool) -> Iterator[Sentence]:
    """Sentences of at most 60 words. Line and paragraph breaks end a sentence, too.

    ``open_ended`` is that of :class:`~engine.speech.Segment`.
    """
    words = [Word(match.group(), *match.span()) for match in _WORD.finditer(text)]
    first = 0
    for index, word in enumerate(words):
        following = words[index + 1] if index + 1 < len(words) else None
        breaks = text[word.end : following.start].count("\n") if following else 0
        if following and not breaks and not _ends_sentence(word, following):
            if index + 1 - first == _LONGEST:
                yield Sentence(words[first : index + 1], 0.0, unfinished=True)
                first = index + 1
            continue
        goes_on = following is None and open_ended
        pause = pause_after(word.text)
        if not goes_on:
            pause = max(pause, (_BARE_PAUSE, _SENTENCE_PAUSE, _PARAGRAPH_PAUSE)[min(breaks, 2)])
        yield Sentence(words[first : index + 1], pause, goes_on and pause < _SENTENCE_PAUSE)
        first = index + 1


def pause_after(word: str) -> float:
    """The silence that a word's final punctuation asks for, in seconds; 0 without any."""
    return _PAUSES.get(word.rstrip(_CLOSERS)[-1:], 0.0)


def _ends_sentence(word: Word, following: Word) -> bool:
    """Whether a word ends a sentence: not in "Dr. Smith", "J. K. Rowling", or before a lowercase word."""
    bare = word.text.rstrip(_CLOSERS)
    if bare[-1:] not in (".", "!", "?", "…") or following.text.lstrip(_OPENERS)[:1].islower():
        return False
    stem = bare[:-1].lstrip(_OPENERS)
    return not bare.endswith(".") or not (stem in TITLES or (len(stem) == 1 and stem.isupper()))
