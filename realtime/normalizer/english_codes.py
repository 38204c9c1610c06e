"""Numbers that count nothing: phone numbers, addresses of machines, versions, codes."""

import re

from realtime.normalizer.draft import Rule
from realtime.normalizer.english_numbers import APART, cardinal, digits, number_words, pairs

_PHONE = re.compile(
    r"(?<![\w.,:/+-])(?:"
    r"\+[0-9]{1,3}(?:[ .-]?\(?[0-9]{1,5}\)?){2,6}"
    r"|(?<![0-9] )(?:1[ .-])?(?:\([0-9]{3}\)[ ]?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}"
    r"|[0-9]{3}-[0-9]{4}"
    r"|0[0-9]{1,4}(?:[ -][0-9]{2,8}){1,3}"
    r")(?![\w-]|[.,:/][0-9])"
)
_ROOM = re.compile(
    r"(?<!\w)((?:[Rr]oom|[Ff]light|[Ss]uite|[Rr]oute|[Hh]ighway|[Ee]rror|[Ss]tatus|HTTP)[ ])([1-9][0-9]{2})"
    r"(?![\w%]|[.,][0-9])"
)
_CODE = re.compile(rf"{APART}(?<!-)[0-9]++(?:-[0-9]++){{2,}}+(?![\w-])")
_EMERGENCY = re.compile(
    r"(?<![\w.,$£€#])(?:911|(?:(?<=\b[Cc]all )|(?<=\b[Dd]ial ))(?:999|112|101|111|311|411|988))"
    r"(?![\w%]|[.,][0-9])"
)
_GROUP = re.compile(r"[0-9]+")
_IP = re.compile(
    rf"{APART}([0-9]{{1,3}}(?:\.[0-9]{{1,3}}){{3}})(?:/([0-9]{{1,2}}))?(?::([0-9]{{2,5}}))?(?![\w.]*[0-9])"
)
_VERSION = re.compile(
    rf"{APART}(?:(?P<v>[vV])(?P<short>[0-9]++(?:\.(?:[0-9]++|x\b))*+)|(?P<long>[0-9]++(?:\.(?:[0-9]++|x\b)){{2,}}+))"
)
_NAMED_VERSION = re.compile(
    r"(?<!\w)((?:[Vv]ersion|Python|Ubuntu|Android|iOS|macOS|CUDA)[ ])([0-9]{1,4}(?:\.[0-9]{1,4}){1,3}+)"
    r"(?![\w%]|[.,][0-9])"
)


def _phone(match: re.Match[str]) -> str:
    text = match[0]
    groups = _GROUP.findall(text)
    if text[0] == "+" and len(groups) == 1 and len(groups[0]) > 7:  # +15551234567
        groups = [groups[0][:-10], groups[0][-10:-7], groups[0][-7:-4], groups[0][-4:]]
    return ("plus " if text[0] == "+" else "") + ", ".join(digits(group) for group in groups if group)


def _dotted(text: str) -> str:
    return " point ".join(number_words(part) if part[0] != "x" else "x" for part in text.split("."))


def _ip(match: re.Match[str]) -> str:
    words = " dot ".join(pairs(int(part)) for part in match[1].split("."))
    words += f" slash {cardinal(int(match[2]))}" if match[2] else ""
    return words + (f" port {number_words(match[3])}" if match[3] else "")


def _version(match: re.Match[str]) -> str:
    return f"version {_dotted(match['short'])}" if match["v"] else _dotted(match["long"])


CODES = (
    Rule(_PHONE, _phone),
    Rule(_IP, _ip),
    Rule(_VERSION, _version),
    Rule(_NAMED_VERSION, lambda match: (1, (2, _dotted(match[2])))),
    Rule(_ROOM, lambda match: (1, (2, pairs(int(match[2]))))),
    Rule(_EMERGENCY, lambda match: digits(match[0])),
    Rule(_CODE, lambda match: ", ".join(map(digits, match[0].split("-")))),
)
