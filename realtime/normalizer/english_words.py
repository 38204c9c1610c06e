"""English abbreviations, roman numerals and signs."""

import re

from realtime.normalizer.addresses import AddressWords
from realtime.normalizer.draft import Rule, Saying, when
from realtime.normalizer.english_money import CURRENCY_SIGNS
from realtime.normalizer.english_numbers import cardinal, digits, ordinal

ADDRESS_WORDS = AddressWords(
    signs={
        "@": "at",
        ".": "dot",
        "-": "dash",
        "_": "underscore",
        "+": "plus",
        "/": "slash",
        "~": "tilde",
        ":": "colon",
    },
    digits=digits,
    port="port",
)

# -- abbreviations: without their full stop, as they are written --------------------------------------

_TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Messrs": "Messieurs", "Prof": "Professor", "Gen": "General",
    "Gov": "Governor", "Sen": "Senator", "Rep": "Representative", "Capt": "Captain", "Lt": "Lieutenant",
    "Col": "Colonel", "Sgt": "Sergeant", "Cmdr": "Commander", "Rev": "Reverend", "Hon": "Honorable",
    "Pres": "President", "Maj": "Major", "Adm": "Admiral", "Fr": "Father", "Mt": "Mount", "Ft": "Fort",
}  # fmt: skip
"""Before a name only."""

_BEFORE_OR_AFTER = {"Dr": ("Doctor", "Drive"), "St": ("Saint", "Street")}
"""A title before a name, a street after one."""

_PLAIN = {
    "Jr": "Junior", "Sr": "Senior", "Ave": "Avenue", "Blvd": "Boulevard", "Rd": "Road", "Ln": "Lane",
    "Hwy": "Highway", "Ltd": "Limited", "Inc": "Incorporated", "Corp": "Corporation", "Co": "Company",
    "Bros": "Brothers", "Dept": "Department", "dept": "department", "Univ": "University", "Govt": "Government",
    "etc": "et cetera",
    "Jan": "January", "Feb": "February", "Apr": "April", "Aug": "August", "Sept": "September", "Oct": "October",
    "Nov": "November", "Dec": "December", "Mon": "Monday",
    "Wed": "Wednesday", "Tue": "Tuesday", "Tues": "Tuesday", "Thu": "Thursday",
    "Thurs": "Thursday", "Fri": "Friday",
}  # fmt: skip

_NEVER_LAST = {
    "approx": "approximately", "Approx": "Approximately", "vs": "versus", "Vs": "Versus", "e.g": "for example",
    "E.g": "For example", "i.e": "that is", "I.e": "That is", "viz": "namely",
    "cf": "compare", "Cf": "Compare", "a.k.a": "also known as", "incl": "including", "excl": "excluding",
}  # fmt: skip
"""They begin something: their full stop ends no sentence."""

_BEFORE_NUMBER = {
    "no": "number", "nos": "numbers", "p": "page", "pp": "pages", "vol": "volume", "fig": "figure",
    "figs": "figures", "ch": "chapter", "sec": "section", "ext": "extension", "tel": "telephone",
    "min": "minimum", "max": "maximum",
    "ca": "circa", "c": "circa", "est": "established", "eq": "equation", "art": "article", "ver": "version",
    "apt": "apartment",
}  # fmt: skip

_ABBREVIATION = re.compile(
    r"(?<![\w.@-])([A-Za-z]{1,6}(?:\.[A-Za-z]){0,2})\.(?![\w@])(?=(,|[ ]?[0-9]|[ ]\w|))"
)
_TOUCHING = re.compile(r"(?<![\w.@-])([Nn]os?|[Ff]igs?|[Vv]ol|[Cc]h|[Ss]ec|pp?)\.(?=[0-9])")
_DEGREES = re.compile(r"(?<=\bdegrees )[CF]\b(?!['’])")
_BEFORE_NAME = re.compile(r"\s(?:[A-Z]|and\s)|\s*$")
_SENTENCE_STARTS = re.compile(r"\s*$|\s+[\"'“‘(]?[A-Z]|[^\S\n]*\n")
_AFTER_NAME = re.compile(r"(?:\b[A-Z][a-z'’]+|[0-9](?:st|nd|rd|th)) $")


def _abbreviation(match: re.Match[str]) -> Saying:
    short, text = match[1], match.string
    if short in _TITLES:
        return ((1, _TITLES[short]),) if _BEFORE_NAME.match(text, match.end()) else None
    if short in _BEFORE_OR_AFTER:
        title, street = _BEFORE_OR_AFTER[short]
        if not _AFTER_NAME.search(text, max(0, match.start() - 30), match.start()):
            return title if _BEFORE_NAME.match(text, match.end()) else None
        return street + _full_stop(match)
    if short in _NEVER_LAST:
        return _NEVER_LAST[short]
    if short in _PLAIN:
        return _PLAIN[short] + _full_stop(match)
    if match[2][-1:].isdigit() and (name := short.lower() if len(short) > 1 else short) in _BEFORE_NUMBER:
        words = _BEFORE_NUMBER[name]
        return (words.capitalize() if short[0].isupper() else words) + ("" if match[2][0] == " " else " ")
    return None


def _touching(match: re.Match[str]) -> str:
    """No.5 -> Number 5."""
    words = _BEFORE_NUMBER[match[1].lower()]
    return f"{words.capitalize() if match[1][0].isupper() else words} "


def _full_stop(match: re.Match[str]) -> str:
    """The full stop of an abbreviation that ends a sentence is said, too."""
    return "." if _SENTENCE_STARTS.match(match.string, match.end()) else ""


_SHORTHAND = re.compile(r"(?<![\w/])(?:[wW]/o(?![\w/])|[wW]/(?=\s)|[wW]/(?=[a-z]{2})|vs(?![\w.])|and/or\b)")
_SHORTHAND_WORDS = {"w/o": "without", "w/": "with ", "vs": "versus", "and/or": "and or"}

# -- roman numerals, only where nothing else can be meant ----------------------------------------------

_ROMAN = re.compile(r"\b([A-Z][a-z]+)[ ]([IVXL]{1,7})\b(?![.'’]\w|-)")
_ROMAN_SHAPE = re.compile(r"(?=[IVXL])(XL|L?X{0,3})(IX|IV|V?I{0,3})")
_ROMAN_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50}
_COUNTED = frozenset(
    "Chapter Part Act Scene Section Volume Book Phase Article Appendix Figure Table Level Stage Class "
    "Episode Round War Type Mark Bowl Apollo Title Tier Step Unit Rocky Fantasy Division".split()
)
_CENTURY = re.compile(r"\b([IVX]{1,6})(?:th|st|nd|rd)?(?=[ -][Cc]entur(?:y|ies)\b)")
_RULERS = frozenset(
    "Pope King Queen Henry Louis Edward George William Charles James Richard Elizabeth Mary Napoleon Pius "
    "Benedict Leo Paul Ramses Ramesses Frederick Philip Alexander Nicholas Peter Catherine Ivan Ferdinand "
    "Francis Otto Wilhelm Innocent Clement Gregory Urban Albert Leopold Christian Gustav Robert David "
    "Margrethe Harald Carl Felipe".split()
)
_LOWER_NEXT = re.compile(r"\s+(?!of\b|and\b|was\b|is\b|had\b|died\b|reigned\b)[a-z]")


def _roman(match: re.Match[str]) -> Saying:
    word, numeral = match[1], match[2]
    if not _ROMAN_SHAPE.fullmatch(numeral) or not (word in _COUNTED or word in _RULERS):
        return None
    # "In Chapter I say" and "George I think" are no numerals.
    if numeral == "I" and _LOWER_NEXT.match(match.string, match.end()):
        return None
    number = _roman_value(numeral)
    return (1, " ", (2, f"the {ordinal(number)}" if word in _RULERS else cardinal(number)))


def _roman_value(numeral: str) -> int:
    values = [_ROMAN_VALUES[char] for char in numeral]
    return sum(
        -value if value < following else value
        for value, following in zip(values, [*values[1:], 0], strict=True)
    )


# -- signs ---------------------------------------------------------------------------------------------

_SIGNS = {
    "&": "and", "&&": "and", "=": "equals", "==": "equals", "===": "equals", "!=": "is not", "≠": "is not",
    "<": "less than",
    ">": "greater than", "≤": "at most", "<=": "at most", "≥": "at least", ">=": "at least", "≈": "about",
    "×": "times", "÷": "divided by", "±": "plus or minus", "+": "plus", "∞": "infinity", "√": "square root of",
    "π": "pi", "~": "about", "^": "to the power of", "@": "at",
}  # fmt: skip
_ALONE = frozenset(("&", "&&", *"±∞√π@"))
_OPERAND_ENDS, _OPERAND_STARTS = frozenset(")%'\"”’"), frozenset("(-−'\"“‘$€£")
_SIGN = re.compile(r"[ ]*+(?:!==?|\++|[<>=~^]++|&&|[&≠≤≥≈×÷±∞√π@])[ ]*+")
_ARROW = re.compile(r"[ ]*+(?:<?[-=]++>|<-++|[←-⇿⟵-⟿])[ ]*+")
_SLASH = re.compile(r"(?<![^\s\w])/(?=\w)")
_EITHER = frozenset("he she his her him hers they their them yes no on off true false s".split())
_WORD_BEFORE = re.compile(r"[^\W_]+$")
_WORD_AFTER = re.compile(r"[^\W_]+")
_LEFTOVER = re.compile(rf"[#{CURRENCY_SIGNS}°^~<>=|\\*`†‡¶•·™®]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def _sign(match: re.Match[str]) -> str:
    sign, text = match[0].strip(), match.string
    before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
    if sign[0] == "+" and before.isalnum() and match[0][0] == "+":
        return " plus" * min(len(sign), 2) + " "  # C++, 18+
    words = _SIGNS.get(sign)
    operands = (before.isalnum() or before in _OPERAND_ENDS) and (after.isalnum() or after in _OPERAND_STARTS)
    return f" {words} " if words and (operands or sign in _ALONE) else " "


def _slash(match: re.Match[str]) -> str:
    before = _WORD_BEFORE.search(match.string, max(0, match.start() - 20), match.start())
    after = _WORD_AFTER.match(match.string, match.end())
    if before and after:
        if before[0].lower() in _EITHER and after[0].lower() in _EITHER:
            return " or "
        if before[0].isupper() and after[0].isupper():
            return " "  # TCP/IP
    return " slash "


ABBREVIATIONS = (
    *when("/v", Rule(_SHORTHAND, lambda match: _SHORTHAND_WORDS[match[0].lower()])),
    *when(".", Rule(_TOUCHING, _touching), Rule(_ABBREVIATION, _abbreviation)),
    *when("CF", Rule(_DEGREES, lambda match: "Celsius" if match[0] == "C" else "Fahrenheit")),
    *when("IVXL", Rule(_CENTURY, lambda match: ordinal(_roman_value(match[1]))), Rule(_ROMAN, _roman)),
)
"""To be said before numbers: "No. 5" is known by its number."""

SIGNS = (
    *when(
        "#",
        Rule(re.compile(r"(?<=\b[CF])#(?!\w)"), lambda _: " sharp"),
        Rule(
            re.compile(r"(?<![\w&])#([A-Za-z]\w{0,60})"), lambda match: "hashtag " + _CAMEL.sub(" ", match[1])
        ),
    ),
    *when("@", Rule(re.compile(r"(?<!\w)@(?=\w)"), lambda _: "at ")),
    *when("©", Rule(re.compile("©"), lambda _: " copyright ")),
    *when("§", Rule(re.compile("§+[ ]?"), lambda _: " section ")),
    *when("%", Rule(re.compile("%"), lambda _: " percent ")),
    Rule(_ARROW, lambda _: ", "),
    *when("=<>~^&≠≤≥≈×÷±+∞√π@", Rule(_SIGN, _sign)),
    *when("/", Rule(_SLASH, _slash)),
    *when("/", Rule(re.compile(r"(?<=\w)/(?!\w)"), lambda _: "")),
    Rule(_LEFTOVER, lambda _: " "),
)
"""To be said after numbers, which have signs of their own."""
