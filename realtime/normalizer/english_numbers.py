"""English number words."""

import re

NUMBER = (
    r"(?:[0-9]{1,3}(?:,[0-9]{3}(?![0-9])){1,5}+|[0-9]{1,2}(?:,[0-9]{2}(?=,)){1,5}+,[0-9]{3}(?![0-9])|[0-9]++)"
    r"(?:\.[0-9]++)?"
)
"""A number as it is written: 7, 1234, 1,234,567, 12,34,567 (in India), 3.14."""

APART = r"(?<![\w.])(?<![0-9],)"
"""Nothing before it that a number could be the rest of."""

QUANTITY = rf"{APART}(?<![A-Za-z]-)(?P<from>{NUMBER})(?:[ ]?[-–~][ ]?(?P<to>{NUMBER}))?"
"""A number or a range of numbers; its groups are ``from`` and ``to``."""

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen"
).split()
_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
_SCALES = ("", " thousand", " million", " billion", " trillion")
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_LAST_WORD = re.compile(r"[a-z]+$")
# Beyond the trillions a number is a code.
_LONGEST = 15


def cardinal(number: int) -> str:
    """1234 -> one thousand two hundred thirty-four. ``number`` is at least 0 and below 10**15."""
    if number < 1000:
        return _below_thousand(number)
    words, scale = [], 0
    while number:
        number, group = divmod(number, 1000)
        if group:
            words.append(_below_thousand(group) + _SCALES[scale])
        scale += 1
    return " ".join(reversed(words))


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    if hundreds:
        return f"{_ONES[hundreds]} hundred" + (f" {_below_thousand(rest)}" if rest else "")
    if rest < 20:
        return _ONES[rest]
    tens, ones = divmod(rest, 10)
    return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")


def ordinal(number: int) -> str:
    """22 -> twenty-second."""
    return _LAST_WORD.sub(_as_ordinal, cardinal(number))


def _as_ordinal(match: re.Match[str]) -> str:
    word = match[0]
    return _ORDINALS.get(word) or (word[:-1] + "ieth" if word.endswith("y") else word + "th")


def digits(text: str) -> str:
    """007 -> zero zero seven. Other characters are passed over."""
    return " ".join(_ONES[int(char)] for char in text if char in "0123456789")


def number_words(text: str) -> str:
    """A number as it is written, see :data:`NUMBER`, in words; a code by its digits."""
    whole, _, fraction = text.replace(",", "").partition(".")
    if len(whole) > _LONGEST or (len(whole) > 1 and whole[0] == "0"):
        words = digits(whole)
    else:
        words = cardinal(int(whole)) if whole else ""
    return f"{words} point {digits(fraction)}".lstrip() if fraction else words


def is_one(text: str) -> bool:
    """Whether a number as it is written takes the singular."""
    return text == "1"


def pairs(number: int) -> str:
    """192 -> one ninety-two, 205 -> two oh five: how numbers of addresses are read. ``number`` is below 1000."""
    hundreds, rest = divmod(number, 100)
    if not hundreds or not rest:
        return cardinal(number)
    return f"{_ONES[hundreds]} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def year(number: int) -> str:
    """1999 -> nineteen ninety-nine, 2005 -> two thousand five. ``number`` has four digits."""
    century, rest = divmod(number, 100)
    if number % 1000 < 10:
        return cardinal(number)
    if rest == 0:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def plural(words: str) -> str:
    """ninety -> nineties, half -> halves, fifth -> fifths."""
    if words.endswith("y"):
        return words[:-1] + "ies"
    return "halves" if words == "half" else words + ("es" if words.endswith("x") else "s")


def quantity(match: re.Match[str]) -> str:
    """What :data:`QUANTITY` matched, in words."""
    words = number_words(match["from"])
    return f"{words} to {number_words(match['to'])}" if match["to"] else words


def is_one_of(match: re.Match[str]) -> bool:
    """Whether what :data:`QUANTITY` matched takes the singular."""
    return is_one(match["from"]) and not match["to"]


_ARTICLE = re.compile(r"\b[Aa]n? $")
_NOUN_FOLLOWS = re.compile(r"[ -][A-Za-z]")


def is_adjective(match: re.Match[str]) -> bool:
    """Whether a quantity says what a noun is like: "a $20 bill" is no "twenty dollars bill"."""
    text, start = match.string, match.start()
    return bool(_ARTICLE.search(text, max(0, start - 4), start) and _NOUN_FOLLOWS.match(text, match.end()))
