"""English units of measure."""

import re

from realtime.normalizer.draft import Rule, Saying, when
from realtime.normalizer.english_arithmetic import fraction_words
from realtime.normalizer.english_numbers import (
    APART,
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
fps frame per second; px pixel; cal calorie; kcal kilocalorie; kJ kilojoule
% percent/percent; ‰ per mille/per mille; ¢ cent
k thousand/thousand; M million/million; bn billion/billion; B billion/billion; x times/times; X times/times
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
    **{
        length + mark: (f"{power} {one}", f"{power} {many}")
        # "5 in" may go on in any way, "5 in²" may not.
        for length, (one, many) in {**_units(_LENGTHS), "in": ("inch", "inches")}.items()
        for mark, power in _POWERS.items()
    },
}
_PER = {sign: one for sign, (one, _) in _UNITS.items() if sign[0].islower() or sign == "L"} | {"day": "day"}
# Only where the sign touches the number.
_ATTACHED = frozenset("k M bn B x X".split())
_UNIT = re.compile(
    rf"{QUANTITY}(?P<scale>[ ](?:thousand|million|billion|trillion))?(?P<gap>[ -]?)"
    rf"(?P<unit>sq[ ]ft|[A-Za-zµΩ°℃℉]{{1,5}}(?:[²³23]|\^[23])?|[%‰¢])"
    r"(?:/(?P<per>[A-Za-z]{1,3}[²³23]?))?(?![\w²³])(?:\.(?=[ ][a-z]))?"
)


def _unit(match: re.Match[str]) -> Saying:
    name, gap = match["unit"].replace("μ", "µ"), match["gap"]
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
    rf"{APART}(?<!/)(?:([0-9]{{1,3}})[ ])?([0-9]{{1,2}})/([2-9]|1[0-9])(?P<gap>[ -]?)"
    r"(?P<unit>[A-Za-z]{1,5})(?![\w²³/])(?:\.(?=[ ][a-z]))?"
)


def _part(match: re.Match[str]) -> Saying:
    """3/4 lb -> three quarters pound."""
    if match["unit"] not in _UNITS or match["unit"] in _ATTACHED:
        return None
    one, many = _UNITS[match["unit"]]
    words = fraction_words(match[1], int(match[2]), int(match[3]))
    return f"{words}{match['gap'] or ' '}{many if match[1] and match['gap'] != '-' else one}"


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


UNITS = (
    Rule(_FEET, lambda match: f"{number_words(match[1])} foot {number_words(match[2])}"),
    Rule(_HOURS, lambda match: _durations(match, "hour", "minute", "second")),
    Rule(_MINUTES, lambda match: _durations(match, "minute", "second")),
    *when("/", Rule(_PART, _part)),
    Rule(_UNIT, _unit),
)
