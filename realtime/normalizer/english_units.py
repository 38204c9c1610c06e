"""English units of measure."""

import re

from realtime.normalizer.draft import Rule, Saying, when
from realtime.normalizer.english_arithmetic import fraction_words
from realtime.normalizer.english_numbers import (
    APART,
    NUMBER,
    QUANTITY,
    is_adjective,
    is_one,
    is_one_of,
    number_words,
    quantity,
)

# Sign, then what one of it is called, and more of it if that is not just an s on the first word.
_TABLE = """
mg milligram; µg microgram; g gram; kg kilogram; lb pound; lbs pound; oz ounce
ml milliliter; mL milliliter; l liter; L liter; gal gallon; ha hectare; tsp teaspoon; tbsp tablespoon
mph mile per hour; kph kilometer per hour; kmh kilometer per hour; mpg mile per gallon
ns nanosecond; µs microsecond; ms millisecond; s second; sec second; secs second; min minute; mins minute
h hour; hr hour; hrs hour; yr year; yrs year
° degree; °C degree Celsius; ℃ degree Celsius; °F degree Fahrenheit; ℉ degree Fahrenheit
kB kilobyte; KB kilobyte; MB megabyte; GB gigabyte; TB terabyte; PB petabyte
KiB kibibyte; MiB mebibyte; GiB gibibyte
kbps kilobit per second; Mbps megabit per second; Gbps gigabit per second
Hz hertz/hertz; kHz kilohertz/kilohertz; MHz megahertz/megahertz; GHz gigahertz/gigahertz
W watt; kW kilowatt; MW megawatt; GW gigawatt; kWh kilowatt hour/kilowatt hours; MWh megawatt hour/megawatt hours
V volt; kV kilovolt; mA milliamp; mAh milliamp hour/milliamp hours; Ω ohm; dB decibel; N newton
Pa pascal; hPa hectopascal; kPa kilopascal; psi P S I/P S I; rpm R P M/R P M; bpm beat per minute
fps frame per second; px pixel; Tbsp tablespoon; cal calorie; kcal kilocalorie; kJ kilojoule
% percent/percent; ‰ per mille/per mille; ¢ cent
k thousand/thousand; M million/million; bn billion/billion; B billion/billion; x times/times; X times/times
× times/times
"""
_LENGTHS = """
km kilometer; m meter; cm centimeter; mm millimeter; nm nanometer; µm micrometer
mi mile; ft foot/feet; yd yard
"""


def _units(table: str) -> dict[str, tuple[str, str]]:
    units = {}
    for entry in table.strip().replace("\n", ";").split(";"):
        sign, _, names = entry.strip().partition(" ")
        one, _, many = names.partition("/")
        first, space, rest = one.partition(" ")
        units[sign] = (one, many or f"{first}s{space}{rest}")
    return units


_POWERS = dict.fromkeys(("²", "2", "^2"), "square") | dict.fromkeys(("³", "3", "^3"), "cubic")
_UNITS = {
    **_units(_TABLE),
    **_units(_LENGTHS),
    "sq ft": ("square foot", "square feet"),
    "sq mi": ("square mile", "square miles"),
    "sq m": ("square meter", "square meters"),
    "sq km": ("square kilometer", "square kilometers"),
    "sq in": ("square inch", "square inches"),
    "cu ft": ("cubic foot", "cubic feet"),
    **{
        length + mark: (f"{power} {one}", f"{power} {many}")
        # "5 in" may go on in any way, "5 in²" may not.
        for length, (one, many) in {**_units(_LENGTHS), "in": ("inch", "inches")}.items()
        for mark, power in _POWERS.items()
    },
}
_PER = {sign: one for sign, (one, _) in _UNITS.items() if sign[0].islower() or sign == "L"} | {"day": "day"}
_PER |= {sign + mark: f"{_PER[sign]} squared" for sign in ("s", "m") for mark in ("²", "2", "^2")}
# Only where the sign touches the number.
_ATTACHED = frozenset("k M bn B x X ×".split())
_UNIT = re.compile(
    rf"{QUANTITY}(?P<scale>[ ](?:thousand|million|billion|trillion))?(?P<gap>[ -]?)"
    rf"(?P<unit>(?:sq|cu)\.?[ ](?:ft|mi|m|km|in)|°[ ][CF]|[A-Za-zµΩ°℃℉]{{1,5}}(?:[²³23]|\^[23])?|[%‰¢×])"
    r"(?:/(?P<per>[A-Za-z]{1,3}(?:\^2|[²³23])?))?(?![\w²³])(?:\.(?=[ ][a-z]))?"
)


_ALGEBRA = re.compile(r"[ ]?[-−+*/=^²³)][ ]?[^\W_]?")
_EQUATION = re.compile(r"[=+−*/][ ]?$")
_NAME_BEHIND = re.compile("[ ][A-Z][a-z]")
_SCREENS = frozenset("2 4 5 8".split())
_MANY = re.compile(r"\+|[ ](?!this\b|is\b|was\b|has\b)(?:[a-z]{3,20}s|people)\b")
# "10%-20%", "5km-10km": the unit is said once.
_UNIT_TWICE = re.compile(
    rf"(?<=[0-9])[ ]?(?P<unit>%|°[CF]?|[A-Za-zµ]{{1,4}})[ ]?[-–][ ]?(?={NUMBER}[ ]?(?P=unit)(?![A-Za-z0-9]))"
)


def _unit(match: re.Match[str]) -> Saying:
    name, gap, text = (
        match["unit"].replace("μ", "µ").replace(".", "").replace("° ", "°"),
        match["gap"],
        match.string,
    )
    if name in ("x", "X") and (
        _ALGEBRA.match(text, match.end()) or _EQUATION.search(text[max(0, match.start() - 3) : match.start()])
    ):
        return None  # y = 2x + 1
    if (
        name == "K"
        and not gap
        and (match["from"] not in _SCREENS and (len(match["from"]) > 2 or _MANY.match(text, match.end())))
    ):
        name = "k"
    if name == "B" and _NAME_BEHIND.match(text, match.end()):
        return None  # 221B Baker Street
    if name == "F" and not gap and 2 <= len(match["from"].partition(".")[0]) <= 3:
        name = "°F"
    if name not in _UNITS or (gap and name in _ATTACHED):
        return None
    one, many = _UNITS[name]
    per = match["per"]
    if per and per not in _PER:
        return None
    behind = f" per {_PER[per]}" if per else ""
    scale = match["scale"] or ""
    if gap == "-":
        return f"{quantity(match)}{scale}-{one}{behind}"
    singular = is_adjective(match) or (is_one_of(match) and not scale)
    return f"{quantity(match)}{scale} {one if singular else many}{behind}"


_PART = re.compile(
    rf"{APART}(?<!/)(?:([0-9]{{1,3}})[ -])?([0-9]{{1,2}})/([2-9]|1[0-9])(?P<gap>[ -]?)"
    r"(?P<unit>[A-Za-z]{1,5})(?![\w²³/])(?:\.(?=[ ][a-z]))?"
)


def _part(match: re.Match[str]) -> Saying:
    """3/4 lb -> three quarters pound."""
    if match["unit"] not in _UNITS or match["unit"] in _ATTACHED:
        return None
    one, many = _UNITS[match["unit"]]
    words = fraction_words(match[1], int(match[2]), int(match[3]))
    return f"{words}{match['gap'] or ' '}{many if match[1] and match['gap'] != '-' else one}"


_FEET_INCHES = re.compile(rf"{APART}([0-9]{{1,2}})[ ]?(?:ft|feet)\.?[ ]?([0-9]{{1,2}})[ ]?in\b")
# A mark behind a number is inches where it closes no quotation.
_INCHES = re.compile(rf"{APART}({NUMBER})(?:[″”\"](?=[ ](?!he\b|she\b|they\b|said\b|says\b|we\b)[a-z])|″)")
_FEET = re.compile(rf"{APART}([0-9]{{1,2}})['’′][ ]?([0-9]{{1,2}})(?:[\"”″]|'')")
_HOURS = re.compile(
    rf"{APART}([0-9]{{1,3}})[ ]?h(?:rs?)?[ ]?([0-5]?[0-9])[ ]?m(?:ins?)?\b(?:[ ]?([0-5]?[0-9])[ ]?s(?:ecs?)?\b)?"
)
_MINUTES = re.compile(rf"{APART}([0-9]{{1,3}})[ ]?m(?:ins?)?[ ]?([0-5]?[0-9])[ ]?s(?:ecs?)?\b")


def _counted(number: str, unit: str) -> str:
    return f"{number_words(number)} {unit}{'' if is_one(number) else 's'}"


def _durations(match: re.Match[str], *units: str) -> str:
    return " ".join(
        _counted(number, unit) for number, unit in zip(match.groups(), units, strict=True) if number
    )


_QUOTING = re.compile('(?<![^\\s(])["“](?=\\S)[^"“”]*$')
_MEASURED = re.compile(
    r"[ ](?:and|or|by|in|of|from|to|is|was|are|x|long|wide|tall|deep|high|thick|apart|above|below)\b|[^ ]|$"
)


def _inches(match: re.Match[str]) -> Saying:
    text, end = match.string, match.end()
    if text[end - 1] != "″" and _QUOTING.search(text, max(0, match.start() - 120), match.start()):
        return None
    unit = "inches" if _MEASURED.match(text, end) and not is_one(match[1]) else "inch"
    return f"{number_words(match[1])} {unit}"


UNITS = (
    *when("-–", Rule(_UNIT_TWICE, lambda _: "–")),
    Rule(_FEET_INCHES, lambda match: f"{number_words(match[1])} feet {number_words(match[2])} inches"),
    Rule(_FEET, lambda match: f"{number_words(match[1])} foot {number_words(match[2])}"),
    *when('″”"', Rule(_INCHES, _inches)),
    Rule(_HOURS, lambda match: _durations(match, "hour", "minute", "second")),
    Rule(_MINUTES, lambda match: _durations(match, "minute", "second")),
    *when("/", Rule(_PART, _part)),
    Rule(_UNIT, _unit),
)
