"""The English rules in their order."""

from realtime.normalizer.addresses import address_rules
from realtime.normalizer.draft import Rule, when
from realtime.normalizer.english_arithmetic import NUMBERS, PREPARATIONS
from realtime.normalizer.english_calendar import DATES, DAYS, LONE_YEARS, TIMES, YEARS
from realtime.normalizer.english_codes import CODES
from realtime.normalizer.english_groups import GROUPS
from realtime.normalizer.english_money import MONEY
from realtime.normalizer.english_units import UNITS
from realtime.normalizer.english_words import ABBREVIATIONS, ADDRESS_WORDS, SIGNS
from realtime.normalizer.markup import EMPHASIS, STRUCTURE

_DIGITS = "0123456789¹²³⁰⁴⁵⁶⁷⁸⁹"

ENGLISH: tuple[Rule, ...] = (
    *STRUCTURE,
    *GROUPS,
    *address_rules(ADDRESS_WORDS),
    *EMPHASIS,
    *ABBREVIATIONS,
    *DAYS,
    *when(_DIGITS, *DATES, *CODES, *TIMES),
    *when(_DIGITS + "½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞₀₁₂₃₄₅₆₇₈₉", *PREPARATIONS),
    *when(_DIGITS, *YEARS, *MONEY, *UNITS, *LONE_YEARS, *NUMBERS),
    *SIGNS,
)
"""English as it is spoken: without markup, digits and signs."""
