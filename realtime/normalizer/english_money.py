"""English money."""

import re

from realtime.normalizer.draft import Rule
from realtime.normalizer.english_numbers import (
    NUMBER,
    QUANTITY,
    cardinal,
    is_adjective,
    is_one,
    is_one_of,
    number_words,
    quantity,
)

# The whole, more of it, the hundredth, more of these.
_DOLLAR, _CENTS = ("dollar", "dollars"), ("cent", "cents")
_POUND = ("pound", "pounds", "penny", "pence")
_EURO = ("euro", "euros", *_CENTS)
_YEN = ("yen", "yen", "sen", "sen")
_YUAN = ("yuan", "yuan", "fen", "fen")
_RUPEE = ("rupee", "rupees", "paisa", "paise")
_SIGNS = {
    "$": (*_DOLLAR, *_CENTS),
    "£": _POUND,
    "€": _EURO,
    "¥": _YEN,
    "￥": _YEN,
    "₹": _RUPEE,
    "₩": ("won", "won", "jeon", "jeon"),
    "₽": ("ruble", "rubles", "kopeck", "kopecks"),
}
_CODES = {
    "USD": ("US dollar", "US dollars", *_CENTS),
    "CAD": ("Canadian dollar", "Canadian dollars", *_CENTS),
    "AUD": ("Australian dollar", "Australian dollars", *_CENTS),
    "EUR": _EURO,
    "GBP": _POUND,
    "JPY": _YEN,
    "CNY": _YUAN,
    "RMB": _YUAN,
    "INR": _RUPEE,
    "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes"),
}
_CURRENCIES = _SIGNS | _CODES
_COUNTRIES = {
    "US": "US ",
    "A": "Australian ",
    "AU": "Australian ",
    "C": "Canadian ",
    "CA": "Canadian ",
    "HK": "Hong Kong ",
    "NZ": "New Zealand ",
    "S": "Singapore ",
}
_MAGNITUDES = {
    **dict.fromkeys(("k", "K"), "thousand"),
    **dict.fromkeys(("m", "M", "mm", "mn"), "million"),
    **dict.fromkeys(("b", "B", "bn", "Bn"), "billion"),
    **dict.fromkeys(("t", "T", "tn"), "trillion"),
}
_SIGN = rf"(?P<sign>[{''.join(_SIGNS)}])"
_CODE = "|".join(_CODES)
_TO = rf"(?:[ ]?[-–][ ]?[{''.join(_SIGNS)}]?(?P<to>{NUMBER}))?"
_MAGNITUDE = (
    r"(?P<magnitude>[ -]?(?:hundred|thousand|million|billion|trillion)\b"
    r"|[ ]?(?:mn|bn|Bn|tn)\b|(?:[kKmMbBTt]|mm)\b)?"
)
_PER = r"(?P<per>/(?=[A-Za-z]))?"
_SIGNED_MONEY = re.compile(
    rf"(?:(?<![A-Za-z])(?P<country>{'|'.join(_COUNTRIES)}))?{_SIGN}[ ]?(?P<from>{NUMBER}){_TO}{_MAGNITUDE}{_PER}"
)
_CODED_MONEY = re.compile(rf"(?<!\w)(?P<sign>{_CODE})[ ]?(?P<from>{NUMBER}){_TO}{_MAGNITUDE}{_PER}")
_MONEY_BEHIND = re.compile(
    rf"{QUANTITY}{_MAGNITUDE}[ ]?(?P<sign>[{''.join(_SIGNS)}](?![0-9])|(?:{_CODE})\b){_PER}"
)


def _money(match: re.Match[str]) -> str:
    groups = match.groupdict()
    one, many, cent, cents = _CURRENCIES[match["sign"]]
    country = _COUNTRIES.get(groups.get("country") or "", "")
    magnitude = (match["magnitude"] or "").strip(" -")
    per = " per " if match["per"] else ""
    name = one if is_adjective(match) or (is_one_of(match) and not magnitude) else many
    if magnitude:
        magnitude = _MAGNITUDES.get(magnitude, magnitude)
        return f"{quantity(match)} {magnitude} {country}{name}{per}"
    whole, _, fraction = match["from"].partition(".")
    if len(fraction) == 2 and not match["to"]:
        parts = []
        if whole.strip("0"):
            parts.append(f"{number_words(whole)} {country}{one if is_one(whole) else many}")
        if fraction != "00" or not parts:
            small = int(fraction)
            parts.append(f"{cardinal(small)} {cent if small == 1 else cents}")
        return " and ".join(parts) + per
    return f"{quantity(match)} {country}{name}{per}"


MONEY = (
    Rule(_SIGNED_MONEY, _money),
    Rule(_CODED_MONEY, _money),
    Rule(_MONEY_BEHIND, _money),
)
