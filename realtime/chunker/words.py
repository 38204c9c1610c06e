"""How well a text can be cut behind a word, by the word, its punctuation and the words around it."""

import re
from enum import IntEnum

from realtime.chunker.vocabulary import (
    BEFORE_NUMBERS,
    BEFORE_ORDINALS,
    BINDING,
    CLAUSE_ENDS,
    CLINGING,
    CLOSERS,
    DASHES,
    LONGEST_OPENER,
    LONGEST_WORD,
    MAGNITUDES,
    MONTHS,
    NO_BREAK,
    OPENERS,
    OPENS_ALONE,
    QUOTES,
    SENTENCE_ENDS,
    SET_OFF,
    STARTERS,
    TITLES,
    TRAILING,
    UNIT_SIGNS,
    UNITS,
)


class Boundary(IntEnum):
    """How well the text can be cut at a place."""

    INSIDE = -1  # of what belongs together, such as a short quotation: only where all else fails
    CLINGING = 0  # after a word that belongs to the next, such as an article
    WORD = 1
    PHRASE = 2
    CLAUSE = 3
    SENTENCE = 4


LOOKAHEAD = 32
"""How many characters of white space, or of punctuation, are looked at; more of it says nothing more."""

_SPACE = re.compile(rf"\s{{1,{LOOKAHEAD}}}")
_NEXT_WORD = re.compile(rf"\S{{1,{LONGEST_WORD}}}")
# What stands before an item of a list, a heading or a line of dialogue.
_BULLET = re.compile(r"[-–—*•#>+]{1,6}|\(?\d{1,3}[.)]")
_NUMBER = re.compile(r"\D{0,3}\d[\d.,:/]*(?:st|nd|rd|th|er|[ºª])?")
_INITIALS = re.compile(r"[^\W\d_](?:\.[^\W\d_])+")
_DAY = re.compile(r"\d{1,2}(?:st|nd|rd|th)?,")
_YEAR = re.compile(r"\d{4}(?!\d)")
_ROMAN = re.compile(r"[IVXL]+")
_THOUSANDS = re.compile(r"\d{3}(?!\d)")
# Of the number of a card or a telephone, behind a group of two digits or more, or a country's code.
_NEXT_GROUP = re.compile(r"\(?\d{2}")
_GROUP = re.compile(r"\(?\d{2,8}|\+\d{1,3}")
_BEFORE_AMOUNTS = frozenset("§ № # $ € £ R$ A$ C$ US$ HK$ NT$ NZ$ Rs".split())
_AROUND = "\"'“‘„«(¿¡*_`[.,;:!?)]”’»"
# Thai, Lao, Khmer and Myanmar: scripts that put spaces between clauses, not between words.
_SPACED_CLAUSES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")


def grade(word: str, before: str, text: str, index: int, stop: int, *, final: bool) -> Boundary | None:
    """How well the text can be cut at the space at ``index`` behind ``word``; None if that is still open.

    ``before`` is the word before it on the same line, if any. ``stop`` is where the text ends by now, and if it
    is ``final``, for good.
    """
    if not before and _BULLET.fullmatch(word):
        return Boundary.INSIDE
    # A closing sign that a space sets off goes with the word before it.
    core = word.rstrip(CLOSERS) or (word if word in OPENS_ALONE else before.rstrip(CLOSERS))
    last = core[-1:]
    day = _DAY.fullmatch(core) and before.rstrip(".").lower() in MONTHS
    if core and text[index] != "\n" and (last in CLAUSE_ENDS or core in DASHES) and not day:
        return Boundary.CLAUSE
    space = _SPACE.match(text, index, stop)
    assert space is not None
    if "\n" in space[0]:
        return Boundary.SENTENCE
    following, complete = "", True
    if len(space[0]) < LOOKAHEAD:
        if space.end() == stop:
            if not final:
                return None
        elif match := _NEXT_WORD.match(text, space.end(), stop):
            following = match[0]
            complete = final or match.end() < stop or len(following) == LONGEST_WORD
    if following:
        if text[index] in NO_BREAK:
            return Boundary.INSIDE
        if following[0] in SET_OFF and SET_OFF.issuperset(following):
            return Boundary.INSIDE if complete else None
    if not core:
        return Boundary.WORD
    if day:  # "May 5, 2024"
        if following.isdecimal() and not complete:
            return None
        return Boundary.INSIDE if _YEAR.match(following) else Boundary.CLAUSE
    if last in SENTENCE_ENDS:
        if core != word and following[:1].islower():
            return Boundary.CLAUSE  # "Stop!" he said
        return _grade_full_stop(core, before, following, complete=complete)
    if last in QUOTES:
        return Boundary.INSIDE
    return _grade_word(core, before, following, complete=complete, final=final)


def may_go_on(word: str) -> bool:
    """Whether more text could show that the word belongs to the next one: "Jan.", "5.", "Mio.", "May"."""
    core = word.rstrip(CLOSERS).lstrip(_AROUND)
    bare = core.rstrip(".").lower()
    if bare in MONTHS:
        return True
    return core.endswith(".") and (
        (bare.isdigit() and len(bare) <= 2)
        or (len(bare) == 1 and bare.isalpha())
        or bare in TITLES | BINDING | BEFORE_NUMBERS | TRAILING | MAGNITUDES
        or _INITIALS.fullmatch(bare) is not None
    )


def _grade_word(core: str, before: str, following: str, *, complete: bool, final: bool) -> Boundary | None:
    """The same behind a word without punctuation."""
    lower = core.lower()
    if core[-1].isdigit() or (core[0].isdigit() and _NUMBER.fullmatch(core)):
        if not following:
            return Boundary.INSIDE if final else Boundary.WORD
        return _grade_number(core, following) if complete else None
    if lower in MAGNITUDES and before and _NUMBER.fullmatch(before):
        if not complete:
            return None
        return Boundary.INSIDE if _is_unit(following) else Boundary.WORD
    if following[:1].isdigit() and (lower in MONTHS or core in _BEFORE_AMOUNTS):
        return Boundary.INSIDE
    if lower == "de" and before and _NUMBER.fullmatch(before):
        return Boundary.INSIDE  # "5 de mayo"
    # What is longer than any of the words that matter is none of them: no need to see its end.
    if not complete and len(following) <= LONGEST_OPENER:
        return None
    if following in DASHES:
        return Boundary.INSIDE  # the place to cut is behind the dash
    if lower in CLINGING or (lower in TITLES and core[0].isupper() and following[:1].isupper()):
        return Boundary.CLINGING  # "Dr Smith"
    if following[:1] in {"¿", "¡"}:
        return Boundary.CLAUSE
    if following and _SPACED_CLAUSES.match(core[-1]) and _SPACED_CLAUSES.match(following):
        return Boundary.CLAUSE
    return Boundary.PHRASE if following.lower() in OPENERS else Boundary.WORD


def _grade_number(core: str, following: str) -> Boundary:
    """The same behind a number: it belongs to its unit, and mostly to any word that follows."""
    if _is_unit(following) or _THOUSANDS.match(following) or following.lower() == "de":
        return Boundary.INSIDE
    if _NEXT_GROUP.match(following) and _GROUP.fullmatch(core):
        return Boundary.INSIDE
    year = len(core) == 4 and core.isdigit()
    return Boundary.PHRASE if year and following.lower() in OPENERS else Boundary.CLINGING


def _is_unit(following: str) -> bool:
    bare = following.lower().strip(_AROUND)
    return bare in UNITS or bare in MAGNITUDES or bare in MONTHS or following[:1] in UNIT_SIGNS


def _grade_full_stop(core: str, before: str, following: str, *, complete: bool) -> Boundary | None:
    """The same behind a word with a full stop or its like: it ends a sentence, or an abbreviation."""
    if not core.endswith((".", "…")):
        return Boundary.SENTENCE
    continues = following[:1].islower()
    if core.endswith(("..", "…")):
        return Boundary.WORD if continues else Boundary.SENTENCE
    written = core.rstrip(".").lstrip(_AROUND)
    bare = written.lower()
    number = following[:1].isdigit()
    # "Est", but not "EST".
    written_so = following[:1].isupper() and (len(following) == 1 or not following.isupper())
    starts = written_so and following.lower().rstrip(",:;!?…") in STARTERS
    # A name of one letter has a capital and a small form; a word of one syllable of Korean has not.
    initial = len(bare) == 1 and bare.isalpha() and bare != bare.upper()
    if (bare in BEFORE_NUMBERS and number) or bare in BINDING:
        return Boundary.INSIDE
    if bare in MONTHS:
        return Boundary.INSIDE if number else Boundary.WORD if continues else Boundary.SENTENCE
    if initial or bare in TITLES:
        if written[0].isupper() and not initial:
            return Boundary.INSIDE
        if not complete and following[0].isupper() and len(following) <= LONGEST_WORD:
            return None
        return Boundary.SENTENCE if starts else Boundary.INSIDE
    if bare in MAGNITUDES and before and _NUMBER.fullmatch(before) and not continues:
        if not complete:
            return None
        if _is_unit(following):
            return Boundary.INSIDE
    if bare in TRAILING or _INITIALS.fullmatch(bare):
        if continues or number:
            return Boundary.CLINGING
        if not complete:
            return None
        return Boundary.SENTENCE if starts or not following else Boundary.CLINGING
    if _ROMAN.fullmatch(written) and before[:1].isupper():  # "Friedrich II."
        if not complete:
            return None
        return Boundary.CLINGING if following and not starts else Boundary.SENTENCE
    if bare.isdigit() and len(bare) <= 2:
        if not complete:
            return None
        if following and (before.endswith(":") or (before.endswith((",", ";")) and not starts)):
            return Boundary.INSIDE  # a list within a line
        if following.lower().strip(_AROUND) in MONTHS:
            return Boundary.INSIDE
        if continues or (before.lower() in BEFORE_ORDINALS and following and not starts):
            return Boundary.CLINGING if continues else Boundary.INSIDE
        return Boundary.SENTENCE
    return Boundary.WORD if continues else Boundary.SENTENCE
