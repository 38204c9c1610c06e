"""Numbers that count nothing: phone numbers, addresses of machines, versions, codes."""

import re

from realtime.normalizer.draft import Rule, Saying, when
from realtime.normalizer.english_numbers import APART, cardinal, digits, number_words, pairs, plural, year

_PHONE = re.compile(
    r"(?<![\w.,:/+-])(?:"
    r"\+[0-9]{1,3}(?:[ .-]?\(?[0-9]{1,5}\)?){2,6}"
    r"|(?<![0-9] )(?:1[ .-])?(?:\([0-9]{3}\)[ ]?|[0-9]{3}[ .-])[0-9]{3}[ .-][0-9]{4}"
    r"|[0-9]{3}-[0-9]{4}"
    r"|0[0-9]{1,4}(?:[ -][0-9]{2,8}){1,3}"
    r")(?![\w-]|[.,:/][0-9])"
)
_ROOM = re.compile(
    r"(?<!\w)((?:[Rr]oom|[Ff]light(?:[ ][A-Z][A-Z0-9])?|[Ss]uite|[Rr]oute|[Hh]ighway|[Ee]rror|[Ss]tatus|HTTP|"
    r"Xbox|[GR]TX|RX)[ ])"
    r"([1-9][0-9]{2,3})"
    r"(?![\w%]|[.,][0-9])"
)
# Airliners and cars; "747s" and "the 500s" are several, and not seconds.
_MODEL = re.compile(
    r"(?<![\w-])(?P<maker>(?:Boeing|Airbus|Porsche|Peugeot|BMW)[ ]|A(?=3[0-9]{2}))(?P<number>[1-9][0-9]{2})"
    r"(?P<more>s?)(?![\w%]|[.,][0-9])"
)
_SEVERAL = re.compile(rf"{APART}(?:7[0-9]7|40[34]|(?:(?<=[Tt]he )|(?<=HTTP ))[1-9][0-9]{{2}})s\b")
_STATUS = re.compile(
    rf"{APART}(?:40[0-9]|410|418|422|429|50[0-5])"
    r"(?=[ ](?:[Ee]rrors?|[Ss]tatus|Forbidden|Not Found|Unauthorized|Bad)\b)"
)
_LINES = re.compile(rf"{APART}(360|480|576|720|1080|1440|2160)([pi])(?!\w)")
_PLAN = re.compile(rf"{APART}(?<![$£€])(?:(401)(\(?k\)?)|(403)(\(b\))|(501)(\(c\)(?:\([0-9]{{1,2}}\))?))")
_LETTER_POINT = re.compile(r"(?<=\b[A-Z])\.(?=[0-9])")
_STAGE = re.compile(r"(?<=[0-9])-(alpha|beta|rc|dev|preview|nightly)(?:[.-]?(?=[0-9])|\b)")
_FREE_CALL = re.compile(r"(?<![\w-])1-(8[0-9]{2})-(?=[A-Z]{3})")
_CODE = re.compile(rf"{APART}(?<!-)[0-9]++(?:-[0-9]++){{2,}}+(?![\w-])")
_EMERGENCY = re.compile(
    r"(?<![\w.,$£€#])(?:911|(?:(?<=\b[Cc]all )|(?<=\b[Dd]ial ))(?:999|112|101|111|311|411|988))"
    r"(?![\w%]|[.,][0-9])"
)
# What is typed in is said digit by digit.
_SECRET = re.compile(
    r"(?<!\w)((?:[Zz]ip|ZIP|PIN|[Pp]in|[Pp]asscode|[Pp]assword|[Ee]xtension|[Ee]xt\.|[Cc]ode)"
    r"(?:[ ]code|[ ]number)?(?:[ ]is|:)?[ ])([0-9]{3,8})(?![\w%-]|[.,][0-9])"
)
_ZIP = re.compile(r"(?<=, [A-Z]{2} )([0-9]{5})(?:-([0-9]{4}))?(?![\w,.-]*[0-9])(?!\w)")
_ZONE = re.compile(r"(?:(?<=\bUTC)|(?<=\bGMT))[-−](?=[0-9])")
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


def _model(match: re.Match[str]) -> Saying:
    """Boeing 747 -> Boeing seven forty-seven."""
    words = pairs(int(match["number"]))
    return (1, " " if match["maker"] == "A" else "", (2, plural(words) if match["more"] else words))


def _paired(number: str) -> str:
    """4090 -> forty ninety."""
    return pairs(int(number)) if len(number) < 4 else year(int(number))


def _plan(match: re.Match[str]) -> str:
    """401(k) -> four oh one k."""
    number, letters = (group for group in match.groups() if group)
    spelled = " ".join(digits(char) if char.isdigit() else char for char in letters if char.isalnum())
    return f"{pairs(int(number))} {spelled}"


def _dotted(text: str) -> str:
    return " point ".join(number_words(part) if part[0] != "x" else "x" for part in text.split("."))


def _ip(match: re.Match[str]) -> str:
    words = " dot ".join(pairs(int(part)) for part in match[1].split("."))
    words += f" slash {cardinal(int(match[2]))}" if match[2] else ""
    return words + (f" port {number_words(match[3])}" if match[3] else "")


def _version(match: re.Match[str]) -> str:
    return f"version {_dotted(match['short'])}" if match["v"] else _dotted(match["long"])


CODES = (
    Rule(_FREE_CALL, lambda match: f"one {pairs(int(match[1]))} "),
    Rule(_PHONE, _phone),
    Rule(_IP, _ip),
    *when("-", Rule(_STAGE, lambda match: f" {match[1]} ")),
    Rule(_LETTER_POINT, lambda _: " "),
    Rule(_VERSION, _version),
    Rule(_NAMED_VERSION, lambda match: (1, (2, _dotted(match[2])))),
    Rule(_ROOM, lambda match: (1, (2, _paired(match[2])))),
    Rule(_SECRET, lambda match: (1, (2, digits(match[2])))),
    Rule(_ZIP, lambda match: digits(match[1]) + (f", {digits(match[2])}" if match[2] else "")),
    *when("-−", Rule(_ZONE, lambda _: " minus ")),
    Rule(_MODEL, _model),
    *when("s", Rule(_SEVERAL, lambda match: plural(pairs(int(match[0][:-1]))))),
    Rule(_STATUS, lambda match: pairs(int(match[0]))),
    Rule(_LINES, lambda match: f"{pairs(int(match[1]))} {match[2]}"),
    Rule(_PLAN, _plan),
    Rule(_EMERGENCY, lambda match: digits(match[0])),
    Rule(_CODE, lambda match: ", ".join(map(digits, match[0].split("-")))),
)
