"""How well a text can be cut behind a word, by the word, its punctuation and the word that follows."""

import re
from enum import IntEnum


class Boundary(IntEnum):
    """How well the text can be cut at a place."""

    INSIDE = -1  # of what belongs together, such as a short quotation: only where all else fails
    CLINGING = 0  # after a word that belongs to the next, such as an article
    WORD = 1
    PHRASE = 2
    CLAUSE = 3
    SENTENCE = 4


# Words that end in a full stop without ending a sentence. Lower case, without the stop.
ABBREVIATIONS = frozenset(
    "mr mrs ms dr prof sr jr st mt rev hon gen col capt lt sgt cmdr gov sen rep pres vs etc ed eds al "
    "cf inc ltd corp co dept univ assn bros ave blvd rd e.g i.e a.m p.m u.s u.k u.n jan feb mar apr jun "
    "jul aug sep sept oct nov dec bzw usw z.b d.h str bspw evtl ggf inkl sog u.a hr fr sra srta ud uds "
    "pág núm mme mlle m".split()
)
# The same, but only before a number.
NUMBER_ABBREVIATIONS = frozenset("approx no vol fig pp tel ext min max ca nr est".split())
# Words that begin a phrase: a speaker may take breath before one of them.
OPENERS = frozenset(
    "down up along across around off out and or but because that which who when where while if so than "
    "then though although unless until since as with without within into onto from for to in on at by "
    "of about after before between through over under during the a an my your his her its our their "
    "this these those".split()
)
# Words that belong to the next one: no breath is taken behind them.
CLINGING = OPENERS | frozenset(
    "no not very is are was were be been will would can could should may might must has have had do "
    "does did i you he she it we they there".split()
)
LONGEST_OPENER = max(map(len, OPENERS))
SENTENCE_ENDS = ".!?…。！？｡؟۔।॥"
CLAUSE_ENDS = ",;:—、，；：､،؛"
# Scripts that put no space after their punctuation: the mark itself is the place to cut.
UNSPACED_ENDS = "。！？｡、，；：､"
CLOSERS = "\"'”’»›)]}）」』】》〉*_`"

LOOKAHEAD = 32
"""How many characters of white space, or of punctuation, are looked at; more of it says nothing more."""

_NEXT_WORD = re.compile(rf"\s{{1,{LOOKAHEAD}}}(\S{{1,{LONGEST_OPENER}}})(.?)", re.DOTALL)
_SPACE = re.compile(rf"\s{{1,{LOOKAHEAD}}}")


def grade(word: str, text: str, index: int, stop: int, *, final: bool) -> Boundary | None:
    """How well the text can be cut at the space at ``index`` behind ``word``; None if that is still open.

    ``stop`` is where the text ends by now, and if it is ``final``, for good.
    """
    word = word.rstrip(CLOSERS)
    space = _SPACE.match(text, index, stop)
    assert space is not None
    if text[index] != "\n" and word and (word[-1] in CLAUSE_ENDS or word in {"-", "–"}):
        return Boundary.CLAUSE
    if "\n" in space[0]:
        return Boundary.SENTENCE
    if space.end() == stop and len(space[0]) < LOOKAHEAD and not final:
        return None
    if not word:
        return Boundary.WORD
    following = _NEXT_WORD.match(text, index, stop)
    if word[-1] in SENTENCE_ENDS:
        return Boundary.SENTENCE if _ends_sentence(word, following[1] if following else "") else Boundary.WORD
    if following and not following[2]:
        return Boundary.WORD if final else None
    if word.lower() in CLINGING:
        return Boundary.CLINGING
    return Boundary.PHRASE if following and following[1].lower() in OPENERS else Boundary.WORD


def _ends_sentence(word: str, following: str) -> bool:
    """Whether a word with a full stop (or its like) ends a sentence, given what comes next."""
    if not word.endswith((".", "…")):
        return True
    bare = word.rstrip(".…").lstrip("(\"'“‘[").lower()
    if not word.endswith(("..", "…")) and (bare in ABBREVIATIONS or (len(bare) == 1 and bare.isalpha())):
        return False
    if bare in NUMBER_ABBREVIATIONS and following[:1].isdigit():
        return False
    return not following[:1].islower()
