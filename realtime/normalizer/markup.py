"""What is the same in every language: control tokens, Markdown, HTML, emoji and white space."""

import html
import re
from bisect import bisect

from realtime.normalizer.draft import Draft, Rule, Saying, when
from realtime.normalizer.formulas import FORMULAS

# Not for the ear, and not for a model either: controls, formatting marks, lone surrogates, private use.
# The joiners U+200C and U+200D stay: some scripts spell with them.
_UNSPEAKABLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ud800-\udfff\ue000-\uf8ff\U000e0000-\U000e0fff\U000f0000-\U0010ffff]+"
)
_LINE_BREAK = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")

_TARGET = (
    r"\(<?[^()\s<>|]{0,500}(?:\([^()\s]{0,200}\)[^()\s]{0,200})?>?(?:[ \t]+[\"'][^\"'\n]{0,200}[\"'])?\)"
)
# Held as they are: speaker marks, [words](/with phonemes/), [tags], [1.5s pause]. None may hide a control token.
_HELD = re.compile(
    r"<\|speaker:[0-9]{1,3}\|>"
    r"|\[[^\[\]\n|]{1,99}\]\(/[^()/\n|]{1,199}/\)"
    rf"|\[(?![xX]\])[^\W\d_][^\[\]\n|\\]{{0,77}}\](?!{_TARGET})"
    r"|\[[0-9][0-9.,]{0,9}[ -]?(?:ms|s|secs?|seconds?)(?:[ -](?:long )?(?:pause|break|silence|beat))?\]"
)
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});")
_EMOJI = re.compile(
    "[ \t]*+(?:[\U0001f000-\U0001faff\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff\u25a0-\u25ff\u20e3\ufe0e\ufe0f]"
    "[\u200d\ufe0e\ufe0f]*+)++"
)
_CONTROL = re.compile(r"(?<!<)<++\|++|(?<!\|)\|++>++")

_FENCE = re.compile(r"^[ \t>]*+(?:`{3,}[^`\n]*|~{3,}[^~\n]*)(?:\n|\Z)", re.MULTILINE)
# In code these are part of a word's spelling, where they touch it.
_CODE_SIGNS = re.compile(r"(?<=\w)[<>\[\]{}*_|\\]+|[<>\[\]{}*_|\\]+(?=\w)")

# HTML, and the tags of SSML, which other voice services take.
_TAG_NAMES = (
    "a|abbr|article|audio|b|blockquote|body|br|break|button|center|cite|code|dd|del|details|div|dl|dt|em|emphasis|"
    "figcaption|figure|font|footer|form|h[1-6r]|head|header|html|i|iframe|img|input|ins|kbd|label|li|link|main|mark|"
    "meta|nav|ol|option|p|phoneme|pre|prosody|q|s|say-as|script|section|select|small|source|span|speak|strike|strong|"
    "style|sub|summary|sup|svg|table|tbody|td|textarea|tfoot|th|thead|title|tr|u|ul|video|voice"
)
_HTML = re.compile(
    rf"<!--[^<>]{{0,2000}}-->|</?(?:{_TAG_NAMES})(?:\s+[\w:-]{{1,30}}\s?=[^<>\n]{{0,500}})?\s?/?>",
    re.IGNORECASE,
)
_ANGLE = re.compile(r"(?<!\w)<([^\W\d][^<>\n]{0,500})>")

_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])?")
_IMAGE = re.compile(rf"!\[([^\[\]\n]{{0,300}})\]{_TARGET}")
_LINK = re.compile(rf"\[([^\[\]\n]{{1,300}})\]{_TARGET}")
_FOOTNOTE = re.compile(r"\[\^[^\[\]\s]{1,40}\]:?")

_BULLETS = r"[ \t]*+(?:(?:>|(?:#{1,6}|[-*+•‣◦▪–])(?:[ \t]++\[[ xX]\])?(?:[ \t]++|(?=\n|\Z)))[ \t]*+)++"
_BULLET_LINE = re.compile(rf"^{_BULLETS}(.*[^\W_][\"'”’)*_`#]{{0,4}})?", re.MULTILINE)
_LINE_ENDS = re.compile(r"[ \t]*\n")
_RULE_LINE = re.compile(
    r"^[ \t]*+(?:([-*_])[ \t]*+(?:\1[ \t]*+){2,}|={2,}|-{2,})[ \t]*+(?:\n|\Z)", re.MULTILINE
)
_TABLE_RULE = re.compile(r"^(?=[^\n]*--)[ \t]*+[|:-][ \t|:-]*+(?:\n|\Z)", re.MULTILINE)
_TABLE_EDGE = re.compile(r"^[ \t]*+\|[| \t]*+", re.MULTILINE)
_COLUMN = re.compile(r"([^\s|])?(?<![ \t|])[ \t]*+\|[| \t]*+($)?", re.MULTILINE)
_DASHES = re.compile(r"(?<![\w-])--++(?=\w)|--++")

_TIMES = re.compile(r"(?<=[0-9])\*(?=[0-9])|(?<=[\w)])[ \t]\*[ \t](?=[\w(])")
_MARKS = re.compile(r"\*+|~~+|`+|(?<![^\W_])_+|_+(?![^\W_])")
_BRACKETS = re.compile(r"[\[\]{}]+")
_WIDE = str.maketrans(".,", "。，")
_BLANKS = re.compile(r"[^\S\n]{2,}|[^\S\n ]")
# The same, but for the one that may be between the groups of a number: a language's rules look at it first.
_BLANKS_OUTSIDE_NUMBERS = re.compile(
    r"[^\S\n]{2,}|(?![\u00a0\u2007\u2009\u202f](?<=[0-9].)[0-9]{3}(?![0-9]))[^\S\n ]"
)
_BREAKS = re.compile(r"[^\S\n]*+\n\s*+")


def clean(draft: Draft) -> None:
    """Take out what can never be spoken, and keep from all rules what is not to be touched."""
    draft.drop(_UNSPEAKABLE)
    draft.sub(_LINE_BREAK, lambda _: "\n")
    draft.sub(_BLANKS_OUTSIDE_NUMBERS, lambda _: " ")  # no pattern is slow on long runs of them
    if "[" in draft.text or "<" in draft.text:
        draft.hold(_HELD)


def unfence(draft: Draft, inside: bool) -> bool:
    """Leave out the lines that open and close a block of code.

    ``inside`` says whether the text begins in such a block; returns whether it ends in one.
    """
    edges = [match.start() for match in _FENCE.finditer(draft.text)]
    if not edges and not inside:
        return False
    # Inside is what has an odd number of edges before it, or an even one if it began inside.
    draft.sub(_CODE_SIGNS, lambda match: " " if bisect(edges, match.start()) % 2 != inside else None)
    draft.drop(_FENCE)
    return inside != bool(len(edges) % 2)


def _entity(match: re.Match[str]) -> str:
    char = html.unescape(match[0])
    return "" if _UNSPEAKABLE.search(char) else _LINE_BREAK.sub("\n", char)


def _emoji(match: re.Match[str]) -> str:
    return " " if match.string[match.end() : match.end() + 1].isalnum() else ""


def _bullet(match: re.Match[str]) -> Saying:
    """A heading or an item of a list: without its mark, and with a full stop if it has no end of its own."""
    if match[1] is None:
        return ""
    return (1, _in_script(".", match[1])) if _LINE_ENDS.match(match.string, match.end()) else (1,)


def _in_script(mark: str, before: str) -> str:
    """The mark as it is written after Chinese or Japanese, where it is after these."""
    return mark.translate(_WIDE) if before.rstrip("\"'”’)*_`#")[-1:] >= "\u2e80" else mark


def _column(match: re.Match[str]) -> Saying:
    """The edge of a table's cell: a comma, or a full stop at the end of a row."""
    last = match[2] is not None
    mark = "" if match[1] is None or not match[1].isalnum() else "." if last else ","
    space = "" if last else " "
    return mark + space if match[1] is None else (1, _in_script(mark, match[1]) + space)


def _dashes(match: re.Match[str]) -> str:
    before = match.string[match.start() - 1 : match.start()]
    after = match.string[match.end() : match.end() + 1]
    return "—" if before and after and (before != " " or after == " ") else " "


STRUCTURE = (
    *when("&", Rule(_ENTITY, _entity)),
    Rule(_EMOJI, _emoji),
    *when("|", Rule(_CONTROL, lambda _: " ")),
    *when(
        "<", Rule(_HTML, lambda match: "" if match.string[match.end() : match.end() + 1].isspace() else " ")
    ),
    *FORMULAS,
    *when("\\", Rule(_ESCAPE, lambda match: (1,) if match[1] else " ")),
    *when("[", Rule(_IMAGE, lambda _: (1,)), Rule(_FOOTNOTE, lambda _: ""), Rule(_LINK, lambda _: (1,))),
    *when("<", Rule(_ANGLE, lambda _: (1,))),
    *when("-_*=", Rule(_RULE_LINE, lambda _: "")),
    *when("|", Rule(_TABLE_RULE, lambda _: ""), Rule(_TABLE_EDGE, lambda _: "")),
    *when(">#-*+•‣◦▪–", Rule(_BULLET_LINE, _bullet)),
    *when("|", Rule(_COLUMN, _column)),
    *when("-", Rule(_DASHES, _dashes)),
)
"""From marked-up text to plain text: what must go before addresses are looked for."""

EMPHASIS = (
    *when("*", Rule(_TIMES, lambda _: " × ")),
    *when("*~`_", Rule(_MARKS, lambda _: "")),
    *when("_", Rule(re.compile("_+"), lambda _: " ")),
    *when("[]{}", Rule(_BRACKETS, lambda _: "")),
    Rule(_BLANKS, lambda _: " "),
)
"""The marks that may also be part of an address."""

SPACE = (
    Rule(_BLANKS, lambda _: " "),
    *when("\n", Rule(_BREAKS, lambda match: "\n\n" if match[0].count("\n") > 1 else "\n")),
    Rule(re.compile(r"\A\s+|\s+\Z"), lambda _: ""),
)
"""One space between words; a line or a paragraph may end."""
