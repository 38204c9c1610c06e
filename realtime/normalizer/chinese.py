"""Mandarin Chinese: numbers, dates, times, money, units and signs as they are said."""

import re

from realtime.normalizer.addresses import AddressWords, address_rules
from realtime.normalizer.chinese_codes import CODES, VERSIONS
from realtime.normalizer.chinese_numbers import APART, BY_DIGIT, NUMBER, UP_TO, cardinal, number_words
from realtime.normalizer.draft import Rule, Saying, when
from realtime.normalizer.markup import EMPHASIS, STRUCTURE


def _counted(text: str) -> str:
    """A number before what it counts: two of something are 两."""
    return "两" if text == "2" else number_words(text)


def _range(match: re.Match[str], *, counted: bool = False) -> str:
    say = _counted if counted else number_words
    return say(match["from"]) + (f"到{say(match['to'])}" if match["to"] else "")


# -- dates and times -----------------------------------------------------------------------------------

_ISO_DATE = re.compile(rf"{APART}([12][0-9]{{3}})([-/.])([01]?[0-9])\2([0-3]?[0-9])日?(?![0-9]|[-/.][0-9])")
_YEAR_MONTH = re.compile(rf"{APART}((?:19|20)[0-9]{{2}})-(0[1-9]|1[0-2])(?![0-9]|[-/.年][0-9]?)")
_YEAR = re.compile(
    rf"{APART}(?P<from>1[0-9]{{3}}|2[01][0-9]{{2}})(?:[ ]?[-–—~～至到][ ]?(?P<to>[12][0-9]{{3}}))?[ ]?年"
)
_YEAR_SPAN = re.compile(
    rf"{APART}(?<![-–—~～])((?:19|20)[0-9]{{2}})[ ]?[-–—~～至到][ ]?((?:19|20)[0-9]{{2}})"
    r"(?![0-9.,:：/-]|[ ]?[元个米人])"
)
_CLOCK = re.compile(rf"{APART}([01]?[0-9]|2[0-4])[:：]([0-5][0-9])(?:[:：]([0-5][0-9]))?(?![0-9:：]|\.[0-9])")
_CLOCK_RANGE = re.compile(r"(?<=[:：][0-5][0-9])[ ]?[-–—~～][ ]?(?=[0-9]{1,2}[:：])")


def _iso_date(match: re.Match[str]) -> Saying:
    month, day = int(match[3]), int(match[4])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return f"{match[1].translate(BY_DIGIT)}年{cardinal(month)}月{cardinal(day)}日"


def _year_month(match: re.Match[str]) -> str:
    return f"{match[1].translate(BY_DIGIT)}年{cardinal(int(match[2]))}月"


def _year(match: re.Match[str]) -> Saying:
    first = match["from"]
    if first.endswith("000") and first != "2000":
        return None  # 1000年 is how long it lasts
    said = first.translate(BY_DIGIT)
    return f"{said}到{match['to'].translate(BY_DIGIT)}年" if match["to"] else f"{said}年"


def _year_span(match: re.Match[str]) -> Saying:
    first, last = match[1], match[2]
    return f"{first.translate(BY_DIGIT)}到{last.translate(BY_DIGIT)}" if first < last else None


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
    "A$": "澳元", "AU$": "澳元", "C$": "加元", "CA$": "加元", "NT$": "新台币", "S$": "新加坡元",
    "NZ$": "新西兰元", "R$": "雷亚尔", "₹": "卢比", "₽": "卢布", "฿": "泰铢", "₫": "越南盾", "₱": "比索",
    "₺": "里拉", "RMB": "元", "CNY": "元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元",
    "HKD": "港元", "AUD": "澳元", "CAD": "加元", "SGD": "新加坡元", "KRW": "韩元", "CHF": "瑞士法郎",
    "INR": "卢比", "BRL": "雷亚尔",
}  # fmt: skip
_CODE = "|".join(re.escape(code) for code in sorted(_CURRENCIES, key=len, reverse=True))
_SIGNS_OF_MONEY = "".join(code for code in _CURRENCIES if len(code) == 1)
_MONEY = re.compile(
    rf"(?<![A-Za-z])(?P<sign>{_CODE})(?:[ ]|(?P<minus>[-−]))?(?P<from>{NUMBER})"
    rf"(?:[ ]?[-–—~～至到][ ]?(?:{_CODE})?(?P<to>{NUMBER}))?(?P<scale>[ ]?[十百千万亿]{{1,2}})?"
    "(?:[ ]?(?:元|块钱?|美元|欧元|英镑|人民币|日元))?"
)
_MONEY_BEHIND = re.compile(
    rf"{APART}(?P<from>{NUMBER})(?P<scale>[十百千万亿]{{1,2}})?[ ]?(?P<sign>[A-Z]{{3}})(?![A-Za-z0-9])"
)
_PER = re.compile(
    r"(?<=[元块分圆次克升度瓦步件个])[ ]?/[ ]?"
    r"(?:(kg)(?![A-Za-z])|(?=[年月天日周个人次斤吨位份件平米晚张股度小辆台千公升分秒]))"
)
_PERCENT = re.compile(
    rf"{APART}(?P<from>{NUMBER})(?:[ ]?[%％]?[ ]?[-–—~～至到][ ]?(?P<to>{NUMBER}))?[ ]?(?P<sign>[%％‰])"
)
_MEASURES = {
    "km": "公里", "m": "米", "cm": "厘米", "mm": "毫米", "nm": "纳米", "kg": "公斤", "g": "克",
    "mg": "毫克", "t": "吨", "l": "升", "L": "升", "ml": "毫升", "mL": "毫升", "m²": "平方米",
    "m2": "平方米", "㎡": "平方米", "km²": "平方公里", "cm²": "平方厘米", "m³": "立方米", "m3": "立方米",
    "cm³": "立方厘米", "km/h": "公里每小时", "m/s": "米每秒", "kWh": "千瓦时", "kW": "千瓦", "W":
    "瓦", "V": "伏", "A": "安", "mAh": "毫安时", "Hz": "赫兹", "kHz": "千赫", "MHz": "兆赫",
    "GHz": "吉赫", "h": "小时", "min": "分钟", "s": "秒", "ms": "毫秒", "°": "度", "℃": "摄氏度",
    "°C": "摄氏度", "℉": "华氏度", "°F": "华氏度", "dB": "分贝", "kcal": "千卡", "kJ": "千焦", "Ω": "欧姆",
    "mmHg": "毫米汞柱", "km/s": "公里每秒", "mg/L": "毫克每升", "g/L": "克每升", "mg/dL": "毫克每分升",
    "mmol/L": "毫摩尔每升", "Mbps": "兆比特每秒", "rpm": "转每分钟", "ha": "公顷",
}  # fmt: skip
_MEASURE = re.compile(
    rf"{APART}(?P<from>{NUMBER}){UP_TO}[ ]?"
    r"(?P<unit>km/[hs]|m/s|m?g/d?L|mmol/L|[A-Za-z]{1,4}[²³23]?|°[CF]?|[℃℉㎡Ω])(?![A-Za-z0-9])"
)
# Then A is an ampere, and not the letter of "5A景区".
_ELECTRIC_BEFORE = re.compile("(?:电|充|安|伏|[0-9] ?V)[^，。；、]{0,9}$")
_ELECTRIC_BEHIND = re.compile("[ ]?的?(?:电|充|快充|插|保险丝|空开|断路|[/x×*] ?[0-9])")
_HOURS = re.compile(rf"{APART}([0-9]{{1,3}})[ ]?h[ ]?([0-5]?[0-9])[ ]?min(?![A-Za-z])")
_TIMES = re.compile(r"(?<=[0-9])[ ]?[xX][ ]?(?=[0-9])")
_MEASURE_WORDS = (
    "[个位只条本张件片粒颗首间道句项座根棵朵碗瓶盒袋包箱封"
    "次天周秒点名种家辆块元倍岁杯台套份双层米斤升吨万亿千]|小时|分钟|年(?!级)|公里|公斤"
)
_COUNTED = re.compile(rf"{APART}(?<!第)(?P<from>{NUMBER}){UP_TO}(?=[ ]?(?:{_MEASURE_WORDS}))")


def _money(match: re.Match[str]) -> str:
    amount = (
        re.sub(r"(\.[0-9]*?)0+$", r"\1", match["from"]).rstrip(".") if "." in match["from"] else match["from"]
    )
    words = ("负" if match["minus"] else "") + _counted(amount)
    words += f"到{number_words(match['to'])}" if match["to"] else ""
    return words + (match["scale"] or "").strip() + _CURRENCIES[match["sign"]]


def _money_behind(match: re.Match[str]) -> Saying:
    name = _CURRENCIES.get(match["sign"])
    return f"{_counted(match['from'])}{match['scale'] or ''}{name}" if name else None


def _percent(match: re.Match[str]) -> str:
    return ("千分之" if match["sign"] == "‰" else "百分之") + _range(match)


def _measure(match: re.Match[str]) -> Saying:
    unit = _MEASURES.get(match["unit"])
    if unit is None:
        return None
    if unit == "安" and "." not in match["from"]:
        before = _ELECTRIC_BEFORE.search(match.string, max(0, match.start() - 12), match.start())
        if not before and not _ELECTRIC_BEHIND.match(match.string, match.end()):
            return None
    return _range(match, counted=not unit.endswith("度")) + unit


# -- signs of numbers, and the rest ---------------------------------------------------------------------------

_PRESSURE = re.compile(
    rf"{APART}([0-9]{{2,3}})/([0-9]{{2,3}})[ ]?(?P<unit>mmHg|毫米汞柱)"
    r"|(?:(?<=血压)|(?<=血压[：:为是]))([0-9]{2,3})/([0-9]{2,3})"
)
_ALL_DAY = re.compile(rf"{APART}24/7(?![0-9/])")
_FRACTION = re.compile(rf"{APART}(?<!/)([0-9]{{1,4}})/([1-9][0-9]{{0,3}})(?![0-9/])")
_VULGAR = {
    "½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "⅕": "1/5", "⅛": "1/8", "⅜": "3/8", "⅝": "5/8",
    "⅞": "7/8",
}  # fmt: skip
_VULGAR_PART = re.compile(f"(?P<whole>(?<=[0-9]))?[{''.join(_VULGAR)}]")
_RATIO = re.compile(r"(?<=[0-9])[:：](?=[0-9])")
_SCORE = re.compile(
    r"(?:(?<=比分)|(?<=比分是)|(?<=比分为)|(?<=总分)|(?<=[以被]))[ ]?([0-9]{1,3})[ ]?[-–—][ ]?([0-9]{1,3})"
    r"(?![0-9.年月日])"
    r"|(?<![0-9A-Za-z.-])([0-9]{1,3})[-–—]([0-9]{1,3})"
    "(?=[ ]?(?:战胜|击败|获胜|险胜|大胜|完胜|负于|不敌|领先|落后|取胜|逆转|战平))"
)
_MINUS_BEFORE = r"(?<![^\s（(=＝<>≤≥≈~～×÷±:：,，、。；;“\"'为是到至和与或在从约达即了低温度值差额])"
_MONEY_AHEAD = rf"[A-Z]{{0,2}}[{_SIGNS_OF_MONEY}]?"
_BELOW_ZERO = re.compile(
    r"(?<![A-Za-z0-9)）])[-−]"
    r"(?=[0-9]{1,2}(?:\.[0-9]++)?(?:[ ]?[-–—~～至到][ ]?[-−]?[0-9]{1,2}(?:\.[0-9]++)?)?"
    r"[ ]?(?P<unit>[℃℉]|°[CF]|摄氏度|华氏度|度))"
)
_ANGLE = re.compile("角|近视|远视|度数|旋转|倾斜|纬|经|转动")
_MINUS = re.compile(rf"{_MINUS_BEFORE}[-−](?={_MONEY_AHEAD}[0-9])")
_SUBTRACTED = re.compile(r"(?<=[0-9])[ ]?(?:−|-(?=[ ]?[0-9.]{1,12}[ ]?[=＝]))[ ]?(?=[0-9])")
_HYPHEN = re.compile("(?<=[A-Za-z\u4e00-\u9fff])[-–](?=[0-9])")
# Before a number has words: "5元-8元", "2023年-2024年"; then what is left.
_SPAN_OF_UNITS = re.compile(r"(?<=[月日年号时点分℃℉度元万亿页岁])[ ]?[-–—~～][ ]?(?=[0-9])")
_SPAN_TO_MINUS = re.compile(r"(?<=[0-9月日年号时点分%℃℉度元])[ ]?[–—~～至][ ]?(?=[-−][0-9])")
_SPAN = re.compile(r"(?<=[0-9月日年号时点分%℃])[ ]?[-–—~～][ ]?(?=[0-9])")
_ITEM = re.compile(r"^([0-9]{1,3})[.)）][ ]?(?=[^\s0-9.,])", re.MULTILINE)
_LEFT = re.compile(NUMBER)
_POWER = re.compile(r"(?<=[0-9A-Za-z)）])(?:\^(?:\(([-−]?[0-9]{1,4})\)|([-−]?[0-9]{1,4}))|([⁻]?[²³¹⁰⁴-⁹]+))")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")
_FORMS = {
    **{chr(0x2080 + digit): str(digit) for digit in range(10)},  # CO₂
    **{chr(0x2460 + index): f"{index + 1}、" for index in range(20)},  # ①
    **{chr(0x2160 + index): str(index + 1) for index in range(12)},  # Ⅲ期
}
_FORM = re.compile(f"[{''.join(_FORMS)}]")
_COMPARED = {
    "<": "小于",
    ">": "大于",
    "≥": "大于等于",
    "≤": "小于等于",
    "≈": "约",
    "~": "约",
    "～": "约",
    "±": "正负",
}
_COMPARE = re.compile(r"(?<![^\s（(，,、：:。])[<>≥≤≈~～±][ ]?(?=[-−]?[0-9])")
_MORE = re.compile(r"(?<=[0-9万亿%])\+(?![ ]?[0-9A-Za-z(（])")
_SIGNS = {
    "+": "加", "=": "等于", "<": "小于", ">": "大于", "≈": "约等于", "×": "乘", "÷": "除以", "&":
    "和", "≤": "小于等于", "≥": "大于等于", "±": "正负", "≠": "不等于", "√": "根号",
    "∞": "无穷大",
}  # fmt: skip
_SIGN = re.compile(rf"[ ]*+([{''.join(_SIGNS)}])[ ]*+")
_PLUS_PLUS = re.compile(r"(?<=[A-Za-z])\+\+(?![+\w])")
_SHARP = re.compile(r"(?<=\b[CF])#(?!\w)", re.ASCII)
_LEFTOVER = re.compile(rf"[#%^~{_SIGNS_OF_MONEY}\\|<>=*`°@←-⇿]+")
_FULL_WIDTH = re.compile("[０-９Ａ-Ｚａ-ｚ％．＋－／＄＝＜＞]|(?<=[０-９])，(?=[０-９]{3}(?![０-９]))")


def _narrow(match: re.Match[str]) -> str:
    return chr(ord(match[0]) - 0xFEE0)


def _vulgar(match: re.Match[str]) -> str:
    top, _, bottom = _VULGAR[match[0]].partition("/")
    return ("又" if match["whole"] is not None else "") + f"{cardinal(int(bottom))}分之{cardinal(int(top))}"


def _below_zero(match: re.Match[str]) -> str:
    """-5℃ and -5度 are temperatures, but not where there is an angle or a pair of glasses."""
    before = _ANGLE.search(match.string, max(0, match.start() - 12), match.start())
    return "负" if match["unit"] == "度" and before else "零下"


def _power(match: re.Match[str]) -> str:
    power = (match[1] or match[2] or match[3]).translate(_RAISED)
    if power in ("2", "3"):
        return "的平方" if power == "2" else "的立方"
    return f"的{'负' if power[0] == '-' else ''}{number_words(power.lstrip('-') or '0')}次方"


def _pressure(match: re.Match[str]) -> str:
    high, low = match[1] or match[4], match[2] or match[5]
    return f"{number_words(high)}比{number_words(low)}{'毫米汞柱' if match['unit'] else ''}"


def _score(match: re.Match[str]) -> str:
    ours, theirs = (number_words(goals) for goals in match.groups() if goals)
    return f"{ours}比{theirs}"


def _sign(match: re.Match[str]) -> str:
    between = (match.start() > 0 or match[1] in "√±≈≥≤") and match.end() < len(match.string)
    return _SIGNS[match[1]] if between else " "


CHINESE: tuple[Rule, ...] = (
    *STRUCTURE,
    Rule(_FULL_WIDTH, _narrow),
    *address_rules(
        AddressWords(
            signs={"@": "at", ".": "点", "-": "杠", "_": "下划线", "+": "加", "/": "斜杠"},
            digits=lambda text: text.translate(BY_DIGIT),
            port="端口",
        )
    ),
    *EMPHASIS,
    Rule(_FORM, lambda match: _FORMS[match[0]]),
    Rule(_VULGAR_PART, _vulgar),
    *when(
        "0123456789",
        Rule(_ITEM, lambda _: (1, "、")),
        *when("xX", Rule(_TIMES, lambda _: "乘")),
        *when("h", Rule(_HOURS, lambda match: f"{_counted(match[1])}小时{number_words(match[2])}分钟")),
        *CODES,
        Rule(_ISO_DATE, _iso_date),
        Rule(_YEAR_MONTH, _year_month),
        Rule(_SPAN_TO_MINUS, lambda _: "到"),
        Rule(_SPAN_OF_UNITS, lambda _: "到"),
        Rule(_YEAR, _year),
        Rule(_YEAR_SPAN, _year_span),
        Rule(_CLOCK_RANGE, lambda _: "到"),
        Rule(_CLOCK, _clock),
        *VERSIONS,
        Rule(_SCORE, _score),
        *when(
            "-−",
            Rule(_BELOW_ZERO, _below_zero),
            Rule(_SUBTRACTED, lambda _: "减"),
            Rule(_MINUS, lambda _: "负"),
        ),
        Rule(_COMPARE, lambda match: _COMPARED[match[0].strip()]),
        *when("+", Rule(_MORE, lambda _: "加")),
        Rule(_MONEY, _money),
        Rule(_MONEY_BEHIND, _money_behind),
        Rule(_PERCENT, _percent),
        *when("/", Rule(_PRESSURE, _pressure), Rule(_ALL_DAY, lambda _: "全天候")),
        Rule(_MEASURE, _measure),
        *when("^⁰¹²³⁴⁵⁶⁷⁸⁹", Rule(_POWER, _power)),
        Rule(_FRACTION, lambda match: f"{number_words(match[2])}分之{number_words(match[1])}"),
        Rule(_COUNTED, lambda match: _range(match, counted=True)),
        *when("/", Rule(_PER, lambda match: "每" + ("公斤" if match[1] else ""))),
        Rule(_SPAN, lambda _: "到"),
        Rule(_HYPHEN, lambda _: ""),
        Rule(_RATIO, lambda _: "比"),
        Rule(_LEFT, lambda match: number_words(match[0])),
    ),
    *when("+", Rule(_PLUS_PLUS, lambda _: "加加")),
    *when("#", Rule(_SHARP, lambda _: " sharp")),
    Rule(_SIGN, _sign),
    Rule(_LEFTOVER, lambda _: " "),
)
"""Chinese as it is spoken: without markup, digits and signs."""
