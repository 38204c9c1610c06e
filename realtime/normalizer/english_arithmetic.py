"""Fractions, powers, ordinals, ranges, the signs of numbers; and all numbers that no other rule knows."""

import re

from realtime.normalizer.draft import Rule, when
from realtime.normalizer.english_money import CURRENCY_SIGNS
from realtime.normalizer.english_numbers import APART, NUMBER, cardinal, digits, number_words, ordinal, plural

_VULGAR = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅖": "2/5", "⅗": "3/5", "⅘": "4/5",
    "⅙": "1/6", "⅚": "5/6", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8", "⅞": "7/8",
}  # fmt: skip
_SET_PHRASES = {
    "24/7": "twenty-four seven", "9/11": "nine eleven", "50/50": "fifty-fifty", "20/20": "twenty twenty",
    "50-50": "fifty-fifty", "24/7/365": "twenty-four seven, three sixty-five",
}  # fmt: skip
_PHRASE = re.compile(
    rf"{APART}(?:{'|'.join(sorted(_SET_PHRASES, key=len, reverse=True))})(?![\w/-]|[.,][0-9])"
)
_FRACTION = re.compile(
    rf"{APART}(?<!/)(?:([0-9]{{1,4}})[ -])?([0-9]{{1,4}})/([1-9][0-9]{{0,3}})(?![\w/%]|[.,-][0-9])"
)
_GIVEN = re.compile(
    r"[ ](?:stars|points|votes|correct|questions|people|users|respondents|patients|women|men|adults)\b"
)
_RATED = re.compile(r"(?:\b(?:[Rr]at(?:ed?|ing)|[Ss]cor(?:ed?|ing)|got)(?: of| is|:)?[ ])$")
_RATING = re.compile(rf"{APART}([0-9]{{1,2}}\.[0-9])/(5|10|100)(?![\w/%]|[.,-][0-9])")
_DENOMINATORS = {2: "half", 4: "quarter", **{n: ordinal(n) for n in (3, 5, 6, 7, 8, 9, 12, 16, 32, 64)}}
_POWER = re.compile(r"(?<=[\w)])(?:\^(?:\(([-−]?[0-9]{1,4})\)|([-−]?[0-9]{1,4}))|([⁻]?[²³¹⁰⁴-⁹]+))")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")
_SUBSCRIPTS = re.compile("[₀-₉]+")
_TO_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_SCIENTIFIC = re.compile(rf"{APART}({NUMBER})[eE]([+-]?[0-9]{{1,3}})\b")
_ORDINAL = re.compile(rf"{APART}([0-9]{{1,3}}(?:,[0-9]{{3}})*|[0-9]{{1,9}})(?:st|nd|rd|th|ST|ND|RD|TH)\b")
_BY = re.compile(rf"(?<![\w.])({NUMBER})(?:[ ]?x[ ]?|×)(?={NUMBER}(?![\w%]))")
_TIMES_TEN = re.compile(r"(?<=[0-9])[ ]?[x×][ ]?(?=10(?:\^|[⁻⁰¹²³⁴-⁹]))")
_FACTORIAL = re.compile(r"(?<=[0-9])!(?=[ ]?[-+=/×*÷)])")
_RANGE = re.compile(rf"{APART}(?<![-–])(?<![A-Za-z]-)({NUMBER})(?:[ ]?–[ ]?|-)({NUMBER})(?![\w-])")
_RATIO = re.compile(r"(?<=[0-9]):(?=[0-9])")
_SIGN = rf"(?:[A-Z]{{0,2}}[{CURRENCY_SIGNS}][ ]?)"
_MINUS = re.compile(
    rf"(?<![^\s(=<>≤≥≈~×÷±:,*/+])[-−–](?={_SIGN}?\.?[0-9])"
    r"|(?<=[0-9])[ ]?−[ ]?(?=[0-9])|(?<=[0-9])[ ]-[ ](?=[0-9])"
)
_PLUS = re.compile(rf"(?<![^\s(±])\+(?={_SIGN}?\.?[0-9])")
_ABOUT = re.compile(rf"(?<!\w)[~≈][ ]?(?={_SIGN}?[0-9])")
_MORE = re.compile(rf"(?<!\S)[<>](?={_SIGN}?[0-9])")
_HASH_CODE = re.compile(r"(?<![\w&])#([0-9]{5,})(?![\w,]|[.][0-9])")
_HASH = re.compile(r"(?<![\w&])#(?=[0-9])")
_POINT = re.compile(r"(?<![\w.])\.([0-9]++)(?![\w.])")
_LEFT = re.compile(rf"(?P<before>(?<=[A-Za-z])-|(?<=[0-9]),)?(?P<number>{NUMBER})")


def fraction_words(whole: str | None, top: int, bottom: int) -> str:
    """1, 1, 2 -> one and a half."""
    if bottom in _DENOMINATORS and top > 0:
        part = _DENOMINATORS[bottom]
        part = f"one {part}" if top == 1 else f"{cardinal(top)} {plural(part)}"
        if whole:
            return f"{number_words(whole)} and " + (
                part.replace("one ", "a ", 1) if top == 1 and bottom in (2, 4) else part
            )
        return part
    words = f"{cardinal(top)} {'out of' if top <= bottom and bottom >= 10 else 'over'} {cardinal(bottom)}"
    return f"{number_words(whole)}, {words}" if whole else words


def _fraction(match: re.Match[str]) -> str:
    whole, top, bottom = match[1], int(match[2]), int(match[3])
    text = match.string
    if not whole and (
        _GIVEN.match(text, match.end()) or _RATED.search(text, max(0, match.start() - 12), match.start())
    ):
        return f"{cardinal(top)} out of {cardinal(bottom)}"
    return fraction_words(whole, top, bottom)


def _vulgar(match: re.Match[str]) -> str:
    touches = match.string[match.start() - 1 : match.start()].isdigit()
    return (" " if touches else "") + _VULGAR[match[0]]


def _power(match: re.Match[str]) -> str:
    power = (match[1] or match[2] or match[3]).translate(_SUPERSCRIPTS)
    if power in ("2", "3"):
        return " squared" if power == "2" else " cubed"
    return f" to the power of {_signed(power)}"


def _signed(text: str) -> str:
    return ("minus " if text[0] == "-" else "") + number_words(text.lstrip("+-") or "0")


def _left(match: re.Match[str]) -> str:
    """A number that no other rule knew, apart from the letters it touches: GPT-4, B12, 10x."""
    text, start, end = match.string, match.start(), match.end()
    before, after = text[start - 1 : start], text[end : end + 1]
    number = match["number"]
    code = before.isalpha() and len(number) > 2 and number.isdigit()  # BA2490
    words = digits(number) if code else number_words(number)
    if match["before"] == ",":
        return f", {words}" + (" " if after.isalpha() else "")
    return (
        (" " if match["before"] or before.isalnum() or before in ")%" else "")
        + words
        + (" " if after.isalpha() else "")
    )


PREPARATIONS = (
    Rule(re.compile(f"[{''.join(_VULGAR)}]"), _vulgar),
    Rule(_SUBSCRIPTS, lambda match: match[0].translate(_TO_DIGITS)),
    *when("/-", Rule(_PHRASE, lambda match: _SET_PHRASES[match[0]])),
    Rule(
        _MINUS,
        lambda match: " minus " if match.string[match.start() - 1 : match.start()].isdigit() else "minus ",
    ),
    Rule(_PLUS, lambda _: "plus "),
    Rule(_ABOUT, lambda _: "about "),
    Rule(_HASH_CODE, lambda match: f"number {digits(match[1])}"),
    Rule(_HASH, lambda _: "number "),
    Rule(_MORE, lambda match: "more than " if match[0][0] == ">" else "less than "),
)
"""Signs before numbers, to be said before the numbers are."""

NUMBERS = (
    *when("x×", Rule(_TIMES_TEN, lambda _: " times ")),
    Rule(
        _SCIENTIFIC, lambda match: f"{number_words(match[1])} times ten to the power of {_signed(match[2])}"
    ),
    Rule(_POWER, _power),
    *when(
        "/",
        Rule(_RATING, lambda match: f"{number_words(match[1])} out of {number_words(match[2])}"),
        Rule(_FRACTION, _fraction),
    ),
    Rule(_ORDINAL, lambda match: ordinal(int(match[1].replace(",", "")))),
    *when("!", Rule(_FACTORIAL, lambda _: " factorial")),
    Rule(_BY, lambda match: ((1), " by ")),
    Rule(_RANGE, lambda match: f"{number_words(match[1])} to {number_words(match[2])}"),
    Rule(_RATIO, lambda _: " to "),
    Rule(_POINT, lambda match: f"point {digits(match[1])}"),
    Rule(_LEFT, _left),
)
"""All other digits."""
