"""English dates, years and times of day."""

import re

from realtime.normalizer.draft import Rule, Saying, when
from realtime.normalizer.english_numbers import APART, cardinal, ordinal, plural, year

_MONTHS = "January February March April May June July August September October November December".split()
_MONTH_NUMBERS = {month[:3]: number for number, month in enumerate(_MONTHS, start=1)}
_MONTH = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?|"
    r"Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b"
)
_DAYS = r"(?P<day>[0-3]?[0-9])(?:st|nd|rd|th)?(?:[ ]?[-–][ ]?(?P<until>[0-3]?[0-9])(?:st|nd|rd|th)?)?"
_YEAR = r"(?P<year>[12][0-9]{3})(?![\w%]|[.,:][0-9])"

_ISO_DATE = re.compile(
    rf"{APART}([12][0-9]{{3}})([-/])([01]?[0-9])\2([0-3]?[0-9])(?:T(?=[0-9]{{2}}:)|(?![\w-]|[./][0-9]))"
)
_SLASH_DATE = re.compile(
    rf"{APART}([0-3]?[0-9])([/.-])([0-3]?[0-9])\2([12][0-9]{{3}}|[0-9]{{2}})(?![\w/-]|[.][0-9])"
)
_MONTH_SLASH_DAY = re.compile(
    r"(?:(?<=\b[Oo]n )|(?<=\b[Dd]ue )|(?<=\b[Uu]ntil ))"
    r"([01]?[0-9])/([0-3]?[0-9])(?![\w/%-]|[.,][0-9])"
)
_MONTH_DAY = re.compile(
    rf"\b{_MONTH}\.?[ ]{_DAYS}(?![\w:%]|[.,/-][0-9])"
    rf"(?:(?P<comma>,?)[ ]{_YEAR})?"
)
_DAY_MONTH = re.compile(
    rf"{APART}(?:the[ ])?(?<![-–/:]){_DAYS}[ ](?:of[ ])?{_MONTH}"
    rf"(?:\.?,?[ ]{_YEAR}|\.(?=[ ][a-z0-9]))?"
)
_MONTH_YEAR = re.compile(rf"\b{_MONTH}\.?,?[ ]{_YEAR}")


def _day(number: str) -> str | None:
    return ordinal(int(number)) if 1 <= int(number) <= 31 else None


def _spoken_date(match: re.Match[str], year_group: int, month_group: int, day_group: int) -> Saying:
    month, day = int(match[month_group]), _day(match[day_group])
    if not 1 <= month <= 12 or day is None:
        return None
    number = int(match[year_group])
    if len(match[year_group]) == 2:
        number += 2000 if number < 50 else 1900
    comma = ", " if match[0].endswith("T") else ""
    return f"{_MONTHS[month - 1]} {day}, {year(number)}{comma}"


def _slash_date(match: re.Match[str]) -> Saying:
    """Month first, as in the United States, unless that cannot be."""
    if len(match[4]) == 2 and match[2] != "/":
        return None
    day_first = int(match[1]) > 12 or match[2] == "."
    return _spoken_date(match, 4, 3, 1) if day_first else _spoken_date(match, 4, 1, 3)


def _month_slash_day(match: re.Match[str]) -> Saying:
    month, day = int(match[1]), _day(match[2])
    return f"{_MONTHS[month - 1]} {day}" if 1 <= month <= 12 and day else None


def _month_name(match: re.Match[str]) -> tuple[int, str]:
    return match.re.groupindex["month"], _MONTHS[_MONTH_NUMBERS[match["month"][:3]] - 1]


def _days(match: re.Match[str]) -> tuple[int, str] | None:
    group, first = match.re.groupindex["day"], _day(match["day"])
    if first is None:
        return None
    last = _day(match["until"]) if match["until"] else None
    if match["until"] and last is None:
        return None
    return group, f"{first} to {last}" if last else first


def _month_day(match: re.Match[str]) -> Saying:
    days = _days(match)
    if days is None:
        return None
    if match["year"] is None:
        return (_month_name(match), " ", days)
    return (_month_name(match), " ", days, ", ", (match.re.groupindex["year"], year(int(match["year"]))))


def _day_month(match: re.Match[str]) -> Saying:
    days = _days(match)
    if days is None:
        return None
    group, words = days
    said = ((group, f"the {words} of"), " ", _month_name(match))
    if match["year"] is None:
        return said
    return (*said, ", ", (match.re.groupindex["year"], year(int(match["year"]))))


def _month_year(match: re.Match[str]) -> Saying:
    return (_month_name(match), " ", (match.re.groupindex["year"], year(int(match["year"]))))


# -- years -------------------------------------------------------------------------------------------------

_YEAR_RANGE = re.compile(
    rf"{APART}(?<![-–$£€¥/])(1[1-9][0-9]{{2}}|20[0-9]{{2}})[ ]?[-–—][ ]?([0-9]{{4}}|[0-9]{{2}})"
    r"(?![\w%-]|[.,:/][0-9])"
)
_SEASON = re.compile(
    rf"{APART}(?<![-–$£€¥/])(1[89][0-9]{{2}}|20[0-9]{{2}})/([0-9]{{2}})(?![\w%/-]|[.,:][0-9])"
)
_FISCAL = re.compile(r"\b(FY|CY|[QH][1-4])[ ]?((?:19|20)[0-9]{2})(?![\w%]|[.,:/][0-9])")
# "1990s-2000s", "Q1–Q3", "1st–3rd", "Mon–Fri": what is not a mere number has a range, too.
_OTHER_RANGE = re.compile(
    r"(?:(?<=0s)[-–](?=[0-9]{2,4}s\b)|(?<=\bQ[1-4])[-–](?=Q[1-4]\b)|(?<=[0-9](?:st|nd|rd|th))[-–](?=[0-9]{1,3}(?:st|nd|rd|th)\b))"
)
_WEEKDAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_WEEKDAY = {day[:3]: day for day in _WEEKDAYS}
_WEEK = "|".join(_WEEKDAY)
_DAY_RANGE = re.compile(rf"\b({_WEEK})([-–])({_WEEK})\b")
_DECADE = re.compile(rf"{APART}(?P<quote>['’])?(?P<year>[12][0-9][0-9]0|[1-9]0)['’]?s\b")
_LONE_YEAR = re.compile(
    rf"{APART}(?<![$£€¥#+*/])(1[1-9]|20)[0-9]{{2}}(?![\w%°]|[.,:/][0-9]|[-–][0-9]|[ ]?[%°×*/+=])"
)
_YEAR_WORD = re.compile(
    r"(?:\b(?:in|since|by|from|until|till|before|after|during|circa|year|early|late|mid|spring|summer|autumn|fall|winter|"
    r"of|between|and|to|through)[ ]|[©(][ ]?|mid-)$",
    re.IGNORECASE,
)
_NEXT_WORD = re.compile(r"[ -]([a-z]{2,20})\b")
# Before these or behind those, "30s" are seconds.
_LASTING = re.compile(
    r"(?:\b(?:for|in|after|within|every|takes?|took|than|about|another|last(?:s|ed)?|least|most|wait(?:s|ed)?)[ ]"
    r"|[~≈])$",
    re.IGNORECASE,
)
_LASTS = re.compile(r"[ ](?:timeouts?|delays?|intervals?|cooldown|countdown|windows?|clips?|limit)\b")
_COUNTED = frozenset(
    "people men women children percent hundred million billion dozen more different new other".split()
)
_NOT_COUNTED = frozenset("was is has as its this does us vs versus plus series less thus always".split())


def _year_range(match: re.Match[str]) -> Saying:
    first, last = int(match[1]), int(match[2])
    if len(match[2]) == 2:
        if last <= first % 100:
            return None
        return f"{year(first)} to {cardinal(last)}"
    return f"{year(first)} to {year(last)}" if first < last < 2200 else None


def _season(match: re.Match[str]) -> Saying:
    first, last = int(match[1]), int(match[2])
    return f"{year(first)} to {cardinal(last)}" if last == first % 100 + 1 else None


def _decade(match: re.Match[str]) -> Saying:
    number, text = int(match["year"]), match.string
    if (
        number < 100
        and not match["quote"]
        and (
            _LASTING.search(text, max(0, match.start() - 9), match.start()) or _LASTS.match(text, match.end())
        )
    ):
        return None
    words = year(number) if number >= 100 else cardinal(number)
    if number >= 1000 and number % 1000 == 0:
        words = cardinal(number)
    return plural(words)


def _lone_year(match: re.Match[str]) -> Saying:
    """Four digits may be a year or a number; by what is before it, and whether something is counted after it."""
    number, text = int(match[0]), match.string
    following = _NEXT_WORD.match(text, match.end())
    if following:
        word = following[1]
        if word in _COUNTED or (word.endswith("s") and word not in _NOT_COUNTED and not word.endswith("ss")):
            return None
    before = _YEAR_WORD.search(text, max(0, match.start() - 12), match.start())
    return year(number) if before or 1900 <= number < 2100 else None


# -- times of day --------------------------------------------------------------------------------------------

_HALF = r"(?:[ ]?(?P<half>[AaPp])(?:\.[Mm]\.|[Mm]\b))"
_CLOCK = re.compile(
    rf"{APART}(?<![:/])(?P<hour>[01]?[0-9]|2[0-4]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9])(?:\.[0-9]{{1,6}})?)?"
    rf"(?![0-9:]|\.[0-9]){_HALF}?(?P<zulu>Z\b)?"
)
_HOUR_RANGE = re.compile(rf"{APART}(?P<hour>1[0-2]|[1-9])[ ]?[-–][ ]?(?P<until>1[0-2]|[1-9]){_HALF}")
_HOUR = re.compile(rf"{APART}(?P<hour>1[0-2]|0?[1-9]){_HALF}")
_DOTTED = re.compile(
    rf"{APART}(1[0-2]|0?[1-9])\.([0-5][0-9])"
    r"(?=(?:[ ]?[-–][ ]?(?:1[0-2]|0?[1-9])[.:][0-5][0-9])?[ ]?[AaPp](?:\.[Mm]\.|[Mm]\b))"
)
_BETWEEN = re.compile(r"(?<=[0-9mM.])[ ]?[-–][ ]?(?=[0-9]{1,2}(?::[0-5][0-9]|[ ]?[aApP]\.?[mM]))")


def _clock(match: re.Match[str]) -> Saying:
    hour, minute = int(match["hour"]), int(match["minute"])
    words = cardinal(hour)
    if minute:
        words += f" {'oh ' if minute < 10 else ''}{cardinal(minute)}"
    elif not match["half"] and not match["second"]:
        words += " o'clock" if 0 < hour <= 12 else " hundred"
    if match["second"] and int(match["second"]):
        second = int(match["second"])
        words += f" and {cardinal(second)} second{'' if second == 1 else 's'}"
    return words + _half(match) + (" U T C" if match["zulu"] else "")


def _half(match: re.Match[str]) -> str:
    """The half of the day; its last full stop may be that of the sentence."""
    stop = "" if match.string[match.end() : match.end() + 1] == "." else "."
    return f" {match['half'].lower()}.m{stop}" if match["half"] else ""


DATES = (
    Rule(_MONTH_SLASH_DAY, _month_slash_day),
    Rule(_ISO_DATE, lambda match: _spoken_date(match, 1, 3, 4)),
    Rule(_SLASH_DATE, _slash_date),
    Rule(_DAY_MONTH, _day_month),
    Rule(_MONTH_DAY, _month_day),
    Rule(_MONTH_YEAR, _month_year),
)

TIMES = (
    Rule(_DOTTED, lambda _: (1, ":", 2)),
    Rule(_BETWEEN, lambda _: " to "),
    Rule(_HOUR_RANGE, lambda m: f"{cardinal(int(m['hour']))} to {cardinal(int(m['until']))}{_half(m)}"),
    Rule(_CLOCK, _clock),
    Rule(_HOUR, lambda match: cardinal(int(match["hour"])) + _half(match)),
)

YEARS = (
    *when("/", Rule(_SEASON, _season)),
    Rule(_FISCAL, lambda match: (1, " ", (2, year(int(match[2]))))),
    *when("-–", Rule(_OTHER_RANGE, lambda _: " to ")),
    Rule(_YEAR_RANGE, _year_range),
    Rule(_DECADE, _decade),
)

DAYS = when(
    "-–",
    Rule(_DAY_RANGE, lambda match: ((1, _WEEKDAY[match[1]]), (2, " to "), (3, _WEEKDAY[match[3]]))),
)
"""Needs no digits."""

LONE_YEARS = (Rule(_LONE_YEAR, _lone_year),)
"""To be told apart from other numbers when those that count something have been said."""
