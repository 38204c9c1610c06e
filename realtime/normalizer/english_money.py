"""English money."""

import re

from realtime.normalizer.draft import Rule, Saying, when
from realtime.normalizer.english_numbers import (
    APART,
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
_PESO = ("peso", "pesos", "centavo", "centavos")
_REAL = ("real", "reais", "centavo", "centavos")
_CROWN_CENTS = ("øre", "øre")
_SIGNS = {
    "$": (*_DOLLAR, *_CENTS),
    "£": _POUND,
    "€": _EURO,
    "¥": _YEN,
    "￥": _YEN,
    "₹": _RUPEE,
    "₩": ("won", "won", "jeon", "jeon"),
    "₽": ("ruble", "rubles", "kopeck", "kopecks"),
    "₺": ("lira", "lira", "kurus", "kurus"),
    "₪": ("shekel", "shekels", "agora", "agorot"),
    "₫": ("dong", "dong", "xu", "xu"),
    "₱": _PESO,
    "฿": ("baht", "baht", "satang", "satang"),
    "₴": ("hryvnia", "hryvnias", "kopeck", "kopecks"),
    "₦": ("naira", "naira", "kobo", "kobo"),
}
_LETTERED = {
    "R$": _REAL,
    "MX$": ("Mexican peso", "Mexican pesos", *_PESO[2:]),
    "Rs": _RUPEE,
    "Rs.": _RUPEE,
}
"""Signs that have letters."""
_CODES = {
    "USD": ("US dollar", "US dollars", *_CENTS),
    "CAD": ("Canadian dollar", "Canadian dollars", *_CENTS),
    "AUD": ("Australian dollar", "Australian dollars", *_CENTS),
    "NZD": ("New Zealand dollar", "New Zealand dollars", *_CENTS),
    "HKD": ("Hong Kong dollar", "Hong Kong dollars", *_CENTS),
    "SGD": ("Singapore dollar", "Singapore dollars", *_CENTS),
    "EUR": _EURO,
    "GBP": _POUND,
    "JPY": _YEN,
    "CNY": _YUAN,
    "RMB": _YUAN,
    "INR": _RUPEE,
    "BRL": _REAL,
    "MXN": _LETTERED["MX$"],
    "KRW": _SIGNS["₩"],
    "RUB": _SIGNS["₽"],
    "CHF": ("Swiss franc", "Swiss francs", "centime", "centimes"),
    "SEK": ("Swedish krona", "Swedish kronor", *_CROWN_CENTS),
    "NOK": ("Norwegian krone", "Norwegian kroner", *_CROWN_CENTS),
    "DKK": ("Danish krone", "Danish kroner", *_CROWN_CENTS),
    "PLN": ("zloty", "zlotys", "grosz", "groszy"),
    "AED": ("dirham", "dirhams", "fils", "fils"),
}
_CURRENCIES = _SIGNS | _LETTERED | _CODES
_COUNTRIES = {
    "US": "US ",
    "A": "Australian ",
    "AU": "Australian ",
    "C": "Canadian ",
    "CA": "Canadian ",
    "HK": "Hong Kong ",
    "NZ": "New Zealand ",
    "NT": "New Taiwan ",
    "S": "Singapore ",
    "SG": "Singapore ",
}
_MAGNITUDES = {
    **dict.fromkeys(("k", "K"), "thousand"),
    **dict.fromkeys(("m", "M", "mm", "mn"), "million"),
    **dict.fromkeys(("b", "B", "bn", "Bn"), "billion"),
    **dict.fromkeys(("t", "T", "tn"), "trillion"),
}
CURRENCY_SIGNS = "".join(_SIGNS)
_CODE = "|".join(_CODES)
_COUNTRY = rf"(?:(?<![A-Za-z])(?P<country>{'|'.join(_COUNTRIES)})(?=[$]))?"
_SIGN = rf"(?P<sign>[{CURRENCY_SIGNS}]|(?<![A-Za-z])(?:R[$]|MX[$]|Rs\b\.?))"
_FROM = rf"(?P<from>{NUMBER}|\.[0-9]{{2}}(?![0-9]))"
_TO = rf"(?:[ ]?[-–][ ]?[{CURRENCY_SIGNS}]?(?P<to>{NUMBER}))?"
_MAGNITUDE = (
    r"(?P<magnitude>[ -]?(?:hundred|thousand|lakh|million|crore|billion|trillion)\b"
    r"|[ ]?(?:mn|bn|Bn|tn)\b|(?:[kKmMbBTt]|mm)\b)?"
)
_EACH = {
    "hr": "hour", "h": "hour", "yr": "year", "mo": "month", "wk": "week", "min": "minute", "sec": "second",
    "lb": "pound", "kg": "kilogram", "g": "gram", "oz": "ounce", "gal": "gallon", "L": "liter",
    "kWh": "kilowatt hour", "mi": "mile", "km": "kilometer", "GB": "gigabyte", "sqft": "square foot",
}  # fmt: skip
_PER = rf"(?P<per>/(?:(?P<each>{'|'.join(_EACH)})\b|(?=[A-Za-z])))?"
_SIGNED_MONEY = re.compile(
    rf"{_COUNTRY}{_SIGN}(?:[ ]|(?P<minus>[-−]))?{_FROM}{_TO}{_MAGNITUDE}(?:[ ](?P<code>{_CODE})\b)?{_PER}"
)
_CODED_MONEY = re.compile(rf"(?<!\w)(?P<sign>{_CODE})(?:[ ]|(?P<minus>[-−]))?{_FROM}{_TO}{_MAGNITUDE}{_PER}")
_MONEY_BEHIND = re.compile(
    rf"{QUANTITY}{_MAGNITUDE}[ ]?(?P<sign>[{CURRENCY_SIGNS}](?![0-9])|(?:{_CODE})\b){_PER}"
)
# "$5K-$10K": each has a magnitude of its own.
_BETWEEN = re.compile(
    r"(?:(?<=[0-9][kKmMbBT])|(?<=[0-9]bn)|(?<=illion)|(?<=thousand))"
    rf"[ ]?[-–][ ]?(?=[A-Z]{{0,2}}[{CURRENCY_SIGNS}][0-9])"
)
# Where a comma is before the cents: "€5,50", "1.234,50 €".
_COMMA_MONEY = re.compile(
    rf"(?P<before>[{CURRENCY_SIGNS}][ ]?)?{APART}(?P<whole>[0-9]{{1,3}}(?:\.[0-9]{{3}}){{1,4}}+|[0-9]++),"
    rf"(?P<cents>[0-9]{{2}})(?![0-9]|[.,][0-9])(?P<behind>[ ]?[{CURRENCY_SIGNS}])?"
)


def _comma_money(match: re.Match[str]) -> Saying:
    whole = match["whole"]
    if not (match["before"] or match["behind"] or "." in whole):
        return None
    before, behind = match["before"] or "", match["behind"] or ""
    return f"{before}{whole.replace('.', '')}.{match['cents']}{behind}"


def _money(match: re.Match[str]) -> str:
    groups = match.groupdict()
    country = _COUNTRIES.get(groups.get("country") or "", "")
    one, many, cent, cents = _CURRENCIES[groups.get("code") or match["sign"]]
    one, many = country + one, country + many
    touches = match.string[match.start() - 1 : match.start()].isalpha()
    lead = (" " if touches else "") + ("minus " if groups.get("minus") else "")
    magnitude = (match["magnitude"] or "").strip(" -")
    per = f" per {_EACH.get(match['each'] or '', '')}" if match["per"] else ""
    amounts = [amount for amount in (match["from"], match["to"]) if amount]
    if not magnitude and {len(amount.partition(".")[2]) for amount in amounts} in ({2}, {0, 2}):
        return lead + " to ".join(_with_cents(amount, one, many, cent, cents) for amount in amounts) + per
    name = one if is_adjective(match) or (is_one_of(match) and not magnitude) else many
    if magnitude:
        name = f"{_MAGNITUDES.get(magnitude, magnitude)} {name}"
    return f"{lead}{quantity(match)} {name}{per}"


def _with_cents(amount: str, one: str, many: str, cent: str, cents: str) -> str:
    """3.14 -> three dollars and fourteen cents."""
    whole, _, fraction = amount.partition(".")
    parts = []
    if whole.strip("0"):
        parts.append(f"{number_words(whole)} {one if is_one(whole) else many}")
    if fraction.strip("0") or not parts:
        small = int(fraction or "0")
        parts.append(f"{cardinal(small)} {cent if small == 1 else cents}")
    return " and ".join(parts)


MONEY = (
    *when(CURRENCY_SIGNS + ",", Rule(_COMMA_MONEY, _comma_money)),
    *when(CURRENCY_SIGNS, Rule(_BETWEEN, lambda _: " to ")),
    Rule(_SIGNED_MONEY, _money),
    Rule(_CODED_MONEY, _money),
    Rule(_MONEY_BEHIND, _money),
)
