"""Digits in groups that spaces set apart: one quantity, or the number of a card, an account or a telephone."""

import re

from realtime.normalizer.draft import Rule, Saying, when
from realtime.normalizer.english_money import CURRENCY_SIGNS
from realtime.normalizer.english_numbers import digits

# Of these the first is in between of anything, the others of nothing but groups.
_SPACES = " \u00a0\u2007\u2009\u202f"
_ALONE = r"(?<![\w.,:/+)-])(?<![0-9)][ ])(?<![+#][ ])"
_NOTHING_BEHIND = rf"(?![\w/-]|[{_SPACES}][0-9]|[.,:][0-9])"

_THOUSANDS = re.compile(
    rf"{_ALONE}(?P<first>[1-9][0-9]{{0,2}})(?P<rest>(?:[{_SPACES}][0-9]{{3}}){{1,4}}+)(?P<point>\.[0-9]++)?"
    rf"(?![0-9/-]|[{_SPACES}][0-9]|[.,:][0-9])"
)
_COUNTED = re.compile(
    rf"[ ]?(?:[%°{CURRENCY_SIGNS}]|(?:people|men|women|children|km|sq|USD|EUR|GBP)\b"
    r"|(?!(?:is|was|has|as|this|plus|vs|versus|less|thus|always|times|works)\b)[a-z]{2,20}s\b)"
)
_TO_COMMAS = str.maketrans(_SPACES, "," * len(_SPACES))
_MONEY = re.compile(rf"[{CURRENCY_SIGNS}][ ]?$")
_CARD = re.compile(
    rf"{_ALONE}[0-9]{{4}}(?:(?:[ ][0-9]{{4}}){{1,4}}+|[ ][0-9]{{6}}[ ][0-9]{{5}}){_NOTHING_BEHIND}"
)
_CARD_YEAR = re.compile(r"(?:1[1-9]|20)[0-9]{2}")
_TRIPLES = re.compile(rf"{_ALONE}[0-9]{{3}}(?:[ ][0-9]{{3}}){{2}}{_NOTHING_BEHIND}")
_ACCOUNT = re.compile(
    r"(?<![\w-])([A-Z]{2})([0-9]{2}(?:[ ][0-9A-Z]{4}){2,7}+(?:[ ][0-9A-Z]{1,3}(?![\w-]))?+)(?![\w-])"
)


def _thousands(match: re.Match[str]) -> Saying:
    """One number, if it can be nothing else: "ten 100 dollar notes" are no "10 100", nor is a telephone one."""
    text, rest = match.string, match["rest"]
    sure = (
        any(space != " " for space in rest[::4])
        or any(zero == "0" for zero in rest[1::4])
        or match["point"]
        or (len(rest) > 4 and len(match["first"]) < 3)
        or _COUNTED.match(text, match.end())
        or _MONEY.search(text, max(0, match.start() - 2), match.start())
    )
    return match[0].translate(_TO_COMMAS) if sure else None


def _card(match: re.Match[str]) -> Saying:
    groups = match[0].split()
    if all(
        len(group) == 4 and _CARD_YEAR.fullmatch(group) for group in groups[: 1 if len(groups) < 3 else None]
    ):
        return None
    return _grouped(match)


def _grouped(match: re.Match[str]) -> str:
    return ", ".join(map(digits, match[0].split()))


def _triples(match: re.Match[str]) -> Saying:
    """Three times three digits are a telephone number; but not "100 200 300"."""
    return None if all(group[-1] == "0" for group in match[0].split()) else _grouped(match)


def _account(match: re.Match[str]) -> str:
    """DE89 3704 0044 0532 0130 00: letters stay, of digits there is each."""
    groups = (
        "".join(char if char.isalpha() else f" {digits(char)} " for char in group)
        for group in match[2].split()
    )
    return f"{match[1]} " + ", ".join(" ".join(group.split()) for group in groups)


GROUPS = when(
    "0123456789",
    Rule(_THOUSANDS, _thousands),
    Rule(_ACCOUNT, _account),
    Rule(_CARD, _card),
    Rule(_TRIPLES, _triples),
)
"""To be said while it can be seen which spaces are between groups: before white space is tidied up."""
