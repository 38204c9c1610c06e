"""Where words end in scripts that put no space between them: Chinese, Japanese and Thai.

By BudouX's models, whose judgement of a place rests on the three letters before it and the three from there on,
so that it is the same however the text was split.
"""

import re
from collections.abc import Iterator

import budoux.parser

from realtime.chunker.words import Boundary

CONTEXT = 3
"""So many letters on either side of a place decide on it."""

_HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_KANA = "\u3041-\u3096\u309d\u309e\u30a1-\u30fa\u30fc-\u30fe"
_THAI = "\u0e01-\u0e3a\u0e40-\u0e4e"
LETTERS = _HAN + _KANA + _THAI
"""These letters, as a class of a regular expression."""

_RUN, _THAI_RUN = re.compile(f"[{_HAN}{_KANA}]+"), re.compile(f"[{_THAI}]+")
_TAIL, _THAI_TAIL = re.compile(rf"[{_HAN}{_KANA}]*\Z"), re.compile(rf"[{_THAI}]*\Z")
_KANA_LETTER = re.compile(f"[{_KANA}]")
_NEAR = 16  # kana so far before makes Japanese of Chinese characters

_CHINESE = budoux.parser.load_default_simplified_chinese_parser()
_JAPANESE = budoux.parser.load_default_japanese_parser()
_THAI_WORDS = budoux.parser.load_default_thai_parser()

# Marks and vowels that are written on or behind the letter before them, and those before the one after them.
_THAI_BEHIND = re.compile("[\u0e30-\u0e3a\u0e45-\u0e4e]")
_THAI_BEFORE = frozenset("เแโใไ")
_NUMERALS = frozenset("〇零一二三四五六七八九十百千万萬亿億兆两兩")
_COUNTERS = _NUMERALS | frozenset("点點年月日号號时時分秒元块塊円个個人名岁歲歳回度本枚倍条條次")
# Particles of Chinese that end a word, and words that belong to the next one: no breath is taken behind them.
_PARTICLES = frozenset("的了着著过過们們吗嗎呢吧啊嘛地得之")
_CLINGING = frozenset("我你您他她它这這那在把被和与與对對从從向给給很太不没沒也都就才还還是有要会會能可第")


def breaks(text: str, index: int, stop: int, *, final: bool) -> tuple[int, list[tuple[int, Boundary]]]:
    """Where the run of such letters at ``index`` could be cut, in order, and up to where that is decided.

    ``stop`` is where the text ends by now, and if it is ``final``, for good. The place at ``index`` itself counts
    if the run began before it.
    """
    thai = _THAI_RUN.match(text, index, stop)
    match = thai or _RUN.match(text, index, stop)
    assert match is not None
    end = match.end() if final or match.end() < stop else match.end() - CONTEXT + 1
    if end <= index:
        return index, []
    before = (_THAI_TAIL if thai else _TAIL).search(text[max(0, index - _NEAR) : index])
    assert before is not None
    first = index - len(before[0])  # where the run begins, or far enough before
    places = range(max(index, first + 1), end)
    grades = _thai if thai else _chinese_or_japanese
    return end, list(grades(text, first, match.end(), places)) if places else []


def _thai(text: str, first: int, last: int, places: range) -> Iterator[tuple[int, Boundary]]:
    for at in _broken(_THAI_WORDS, text, first, last, places):
        if not _THAI_BEHIND.match(text, at) and text[at - 1] not in _THAI_BEFORE:
            yield at, Boundary.WORD


def _chinese_or_japanese(text: str, first: int, last: int, places: range) -> Iterator[tuple[int, Boundary]]:
    japanese: frozenset[int] = frozenset()
    if _KANA_LETTER.search(text, first, last):
        japanese = frozenset(
            at for at in places if _KANA_LETTER.search(text, max(first, at - _NEAR), min(at + CONTEXT, last))
        )
    broken = japanese.intersection(_broken(_JAPANESE, text, first, last, places)) if japanese else japanese
    chinese: frozenset[int] = frozenset()
    if len(japanese) < len(places):
        chinese = frozenset(_broken(_CHINESE, text, first, last, places)) - japanese
    for at in places:
        before, after = text[at - 1], text[at]
        if (after in _COUNTERS and before in _NUMERALS) or (after in _NUMERALS and before in "第年月"):
            continue
        if at in broken:
            yield at, Boundary.PHRASE
        elif at in chinese and after not in _PARTICLES:
            yield at, Boundary.CLINGING if before in _CLINGING else Boundary.WORD


def _broken(parser: budoux.parser.Parser, text: str, first: int, last: int, places: range) -> Iterator[int]:
    """Which of these places of the run a model would break."""
    at = max(first, places[0] - CONTEXT)
    for part in parser.parse(text[at:last]):
        at += len(part)
        if at in places:
            yield at
