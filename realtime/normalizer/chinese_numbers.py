"""Mandarin number words."""

_DIGITS = "零一二三四五六七八九"
BY_DIGIT = str.maketrans("0123456789", _DIGITS)
"""As the years are said: 二零二四."""

ON_PHONE = str.maketrans("0123456789", "零幺二三四五六七八九")
"""On the telephone and in numbers of rooms, one is 幺: 一 is too easily taken for 七."""

_UNITS = ("", "十", "百", "千")
_GROUPS = ("", "万", "亿", "万亿")
_LONGEST = 16

NUMBER = r"(?:[0-9]{1,3}(?:,[0-9]{3}(?![0-9])){1,5}+|[0-9]++)(?:\.[0-9]++)?"
"""A number as it is written: 7, 1,234,567, 3.14."""

APART = r"(?<![A-Za-z0-9.])(?<![0-9],)"
"""Nothing before it that a number could be the rest of."""

UP_TO = rf"(?:[ ]?[-–—~～至到][ ]?(?P<to>{NUMBER}))?"
"""What makes a range of a number before it."""


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
    elif words[:1] == "二" and words[1:2] in ("千", "万", "亿"):
        words = "两" + words[1:]
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
    words = whole.translate(BY_DIGIT) if code else cardinal(int(whole))
    return f"{words}点{fraction.translate(BY_DIGIT)}" if fraction else words
