"""Mandarin Chinese: numbers, dates, times, money, units and signs as they are said."""

import re

from realtime.normalizer.addresses import AddressWords, address_rules
from realtime.normalizer.draft import Rule, Saying, when
from realtime.normalizer.markup import EMPHASIS, STRUCTURE

_DIGITS = "零一二三四五六七八九"
_BY_DIGIT = str.maketrans("0123456789", _DIGITS)
# On the telephone and in numbers of rooms, one is 幺: 一 is too easily taken for 七.
_ON_PHONE = str.maketrans("0123456789", "零幺二三四五六七八九")
_UNITS = ("", "十", "百", "千")
_GROUPS = ("", "万", "亿", "万亿")
_LONGEST = 16

_NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3}(?![0-9])){1,5}+|[0-9]++)(?:\.[0-9]++)?"
_APART = r"(?<![A-Za-z0-9.])(?<![0-9],)"
_UP_TO = rf"(?:[ ]?[-–—~～至到][ ]?(?P<to>{_NUMBER}))?"


def cardinal(number: int) -> str:
    """1234 -> 一千二百三十四, 10005 -> 一万零五. ``number`` is at least 0 and below 10**16."""
    groups, rest = [], number
    while rest:
        rest, group = divmod(rest, 10000)
        groups.append(group)
    words, gap = "", False
    for index in reversed(range(len(groups))):
        group = groups[index]
        if group:
            # A zero is said once for all that are left out before a digit.
            words += ("零" if words and (gap or group < 1000) else "") + _group(group) + _GROUPS[index]
        gap = not group
    if words.startswith("一十"):
        words = words[1:]
    return words or "零"


def _group(number: int) -> str:
    words, gap = "", False
    for index in reversed(range(4)):
        digit = number // 10**index % 10
        if digit:
            words += ("零" if gap and words else "") + _DIGITS[digit] + _UNITS[index]
        gap = not digit
    return words


def number_words(text: str) -> str:
    """A number as it is written: 3.14 -> 三点一四; a code by its digits."""
    whole, _, fraction = text.replace(",", "").partition(".")
    code = len(whole) > _LONGEST or (len(whole) > 1 and whole[0] == "0")
    words = whole.translate(_BY_DIGIT) if code else cardinal(int(whole))
    return f"{words}点{fraction.translate(_BY_DIGIT)}" if fraction else words


def _counted(text: str) -> str:
    """A number before what it counts: two of something are 两."""
    return "两" if text == "2" else number_words(text)


def _range(match: re.Match[str], *, counted: bool = False) -> str:
    say = _counted if counted else number_words
    return say(match["from"]) + (f"到{number_words(match['to'])}" if match["to"] else "")


# -- dates and times -----------------------------------------------------------------------------------

_ISO_DATE = re.compile(rf"{_APART}([12][0-9]{{3}})([-/.])([01]?[0-9])\2([0-3]?[0-9])日?(?![0-9]|[-/.][0-9])")
_YEAR = re.compile(
    rf"{_APART}(?P<from>1[0-9]{{3}}|2[01][0-9]{{2}})(?:[ ]?[-–—~～至到][ ]?(?P<to>[12][0-9]{{3}}))?[ ]?年"
)
_CLOCK = re.compile(
    rf"{_APART}([01]?[0-9]|2[0-4])[:：]([0-5][0-9])(?:[:：]([0-5][0-9]))?(?![0-9:：]|\.[0-9])"
)
_CLOCK_RANGE = re.compile(r"(?<=[:：][0-5][0-9])[ ]?[-–—~～][ ]?(?=[0-9]{1,2}[:：])")


def _iso_date(match: re.Match[str]) -> Saying:
    month, day = int(match[3]), int(match[4])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return f"{match[1].translate(_BY_DIGIT)}年{cardinal(month)}月{cardinal(day)}日"


def _year(match: re.Match[str]) -> Saying:
    first = match["from"]
    if first.endswith("000") and first != "2000":
        return None  # 1000年 is how long it lasts
    said = first.translate(_BY_DIGIT)
    return f"{said}到{match['to'].translate(_BY_DIGIT)}年" if match["to"] else f"{said}年"


def _clock(match: re.Match[str]) -> str:
    hour, minute = int(match[1]), int(match[2])
    words = ("两" if hour == 2 else cardinal(hour)) + "点"
    if minute or match[3]:
        words += ("零" if 0 < minute < 10 else "") + cardinal(minute) + "分"
    if match[3]:
        second = int(match[3])
        words += ("零" if 0 < second < 10 else "") + cardinal(second) + "秒"
    return words


# -- money, percentages, units ----------------------------------------------------------------------------

_CURRENCIES = {
    "￥": "元", "¥": "元", "$": "美元", "US$": "美元", "HK$": "港元", "€": "欧元", "£": "英镑", "₩": "韩元",
    "RMB": "元", "CNY": "元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元",
}  # fmt: skip
_CODE = "|".join(re.escape(code) for code in sorted(_CURRENCIES, key=len, reverse=True))
_MONEY = re.compile(
    rf"(?<![A-Za-z])(?P<sign>{_CODE})[ ]?(?P<from>{_NUMBER}){_UP_TO}(?P<scale>[ ]?[十百千万亿]{{1,2}})?"
    "(?:[ ]?(?:元|块钱?|美元|欧元|英镑|人民币|日元))?"
)
_PERCENT = re.compile(
    rf"{_APART}(?P<from>{_NUMBER})(?:[ ]?[%％]?[ ]?[-–—~～至到][ ]?(?P<to>{_NUMBER}))?[ ]?(?P<sign>[%％‰])"
)
_MEASURES = {
    "km": "公里", "m": "米", "cm": "厘米", "mm": "毫米", "nm": "纳米", "kg": "公斤", "g": "克",
    "mg": "毫克", "t": "吨", "l": "升", "L": "升", "ml": "毫升", "mL": "毫升", "m²": "平方米",
    "m2": "平方米", "㎡": "平方米", "km²": "平方公里", "cm²": "平方厘米", "m³": "立方米", "m3": "立方米",
    "cm³": "立方厘米", "km/h": "公里每小时", "m/s": "米每秒", "kWh": "千瓦时", "kW": "千瓦", "W":
    "瓦", "V": "伏", "A": "安", "mAh": "毫安时", "Hz": "赫兹", "kHz": "千赫", "MHz": "兆赫",
    "GHz": "吉赫", "h": "小时", "min": "分钟", "s": "秒", "ms": "毫秒", "°": "度", "℃": "摄氏度",
    "°C": "摄氏度", "℉": "华氏度", "°F": "华氏度", "dB": "分贝", "kcal": "千卡", "Ω": "欧姆",
}  # fmt: skip
_MEASURE = re.compile(
    rf"(?P<sign>(?<![0-9A-Za-z])[-−])?{_APART}(?P<from>{_NUMBER}){_UP_TO}[ ]?"
    r"(?P<unit>km/h|m/s|[A-Za-z]{1,4}[²³23]?|°[CF]?|[℃℉㎡Ω])(?![A-Za-z0-9])"
)
_MEASURE_WORDS = (
    "[个位只条本张件次天周秒点名种家辆块元倍岁杯台套份双层米斤升吨万亿千]|小时|分钟|年(?!级)|公里|公斤"
)
_COUNTED = re.compile(rf"{_APART}(?<!第)(?P<from>{_NUMBER}){_UP_TO}(?=[ ]?(?:{_MEASURE_WORDS}))")


def _money(match: re.Match[str]) -> str:
    amount = (
        re.sub(r"(\.[0-9]*?)0+$", r"\1", match["from"]).rstrip(".") if "." in match["from"] else match["from"]
    )
    words = _counted(amount) + (f"到{number_words(match['to'])}" if match["to"] else "")
    return words + (match["scale"] or "").strip() + _CURRENCIES[match["sign"]]


def _percent(match: re.Match[str]) -> str:
    return ("千分之" if match["sign"] == "‰" else "百分之") + _range(match)


def _measure(match: re.Match[str]) -> Saying:
    unit = _MEASURES.get(match["unit"])
    if unit is None:
        return None
    minus = ("零下" if unit.endswith("氏度") else "负") if match["sign"] else ""
    return minus + _range(match, counted=not unit.endswith("度")) + unit


# -- numbers that are names, and the rest ----------------------------------------------------------------------

_MOBILE = re.compile(
    r"(?<![A-Za-z0-9.,-])(?:\+?86[ -]?)?(1[3-9][0-9])[ -]?([0-9]{4})[ -]?([0-9]{4})(?![0-9-]|[.,][0-9])"
)
_PHONE = re.compile(r"(?<![A-Za-z0-9.,-])(?:0[0-9]{2,3}-[0-9]{7,8}|[48]00-[0-9]{3,4}-[0-9]{3,4})(?![0-9-])")
_SHORT_PHONE = re.compile(r"(?:(?<=拨打)|(?<=电话)|(?<=热线)|(?<=致电)|(?<=拨))[ ]?([0-9]{3,12})(?![0-9.,])")
_DOTTED = re.compile(rf"{_APART}[0-9]++(?:\.[0-9]++){{2,}}+(?![A-Za-z0-9])")
_FRACTION = re.compile(rf"{_APART}(?<!/)([0-9]{{1,4}})/([1-9][0-9]{{0,3}})(?![0-9/])")
_RATIO = re.compile(r"(?<=[0-9])[:：](?=[0-9])")
_MINUS = re.compile(r"(?<![A-Za-z0-9)）])[-−](?=[0-9])")
_SPAN = re.compile(r"(?<=[0-9月日年号时点分%℃])[ ]?[-–—~～][ ]?(?=[0-9])")
_LEFT = re.compile(_NUMBER)
_SIGNS = {
    "+": "加", "=": "等于", "<": "小于", ">": "大于", "≈": "约等于", "×": "乘", "÷": "除以", "&":
    "和", "≤": "小于等于", "≥": "大于等于", "±": "正负", "≠": "不等于", "√": "根号",
}  # fmt: skip
_SIGN = re.compile(rf"[ ]*+([{''.join(_SIGNS)}])[ ]*+")
_LEFTOVER = re.compile(r"[#%^~$\\|<>=*`°@←-⇿]+")
_FULL_WIDTH = re.compile("[０-９％．＋－／]")


def _narrow(match: re.Match[str]) -> str:
    return chr(ord(match[0]) - 0xFEE0)


def _grouped(text: str) -> str:
    return "，".join(group.translate(_ON_PHONE) for group in re.findall("[0-9]+", text))


def _sign(match: re.Match[str]) -> str:
    between = match.start() > 0 and match.end() < len(match.string)
    return _SIGNS[match[1]] if between else " "


CHINESE: tuple[Rule, ...] = (
    *STRUCTURE,
    Rule(_FULL_WIDTH, _narrow),
    *address_rules(
        AddressWords(
            signs={"@": "at", ".": "点", "-": "杠", "_": "下划线", "+": "加", "/": "斜杠"},
            digits=lambda text: text.translate(_BY_DIGIT),
            port="端口",
        )
    ),
    *EMPHASIS,
    *when(
        "0123456789",
        Rule(_MOBILE, lambda match: "，".join(group.translate(_ON_PHONE) for group in match.groups())),
        Rule(_PHONE, lambda match: _grouped(match[0])),
        Rule(_SHORT_PHONE, lambda match: match[1].translate(_ON_PHONE)),
        Rule(_ISO_DATE, _iso_date),
        Rule(_YEAR, _year),
        Rule(_CLOCK_RANGE, lambda _: "到"),
        Rule(_CLOCK, _clock),
        Rule(_DOTTED, lambda match: "点".join(part.translate(_BY_DIGIT) for part in match[0].split("."))),
        Rule(_MONEY, _money),
        Rule(_PERCENT, _percent),
        Rule(_MEASURE, _measure),
        Rule(_FRACTION, lambda match: f"{number_words(match[2])}分之{number_words(match[1])}"),
        Rule(_COUNTED, lambda match: _range(match, counted=True)),
        Rule(_SPAN, lambda _: "到"),
        Rule(_MINUS, lambda _: "负"),
        Rule(_RATIO, lambda _: "比"),
        Rule(_LEFT, lambda match: number_words(match[0])),
    ),
    Rule(_SIGN, _sign),
    Rule(_LEFTOVER, lambda _: " "),
)
"""Chinese as it is spoken: without markup, digits and signs."""
