"""The normaliser: what holds for any text."""

import re
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from realtime.normalizer import Normalizer, Spoken, normalize

PIECES = st.sampled_from(
    [
        *"3.14 $ € % 1,234 1990s 2024 1.2.3.4 v1.2.3 555-1234 9:30 1st 22 0 00 +1 ½ ² ^ ５ ％".split(),
        *"° °C km kg m² x".split(),
        *"1,23,456 R$ NT$ Rs. ₹ -5 $-5 5,50 5K crore".split(),
        *r"$x^2$ \( \) \[ \frac{1}{2} \sqrt{ { } \times ^{ $$".split(),
        *'12" Mon-Fri Q1-Q3 10%-20% 2024/25 5! 2x CA /hr 90s- No.5 CAD sq. ft PIN F K'.split(),
        *["1 000 000", "12\u00a0345", "\u202f", "4111 1111 1111 1111", "GB29 NWBK 6016 1331 19"],
        *"e × * ** _ ~~ ` ``` # ## > < | || [ ] ( ) ! / & - – -- --- + = ~ @ . , : ;".split(),
        *"' … → © 🎉".split(),
        *"<|speaker:1|> <| |> <|x|> [a] [1] [1.5s] ](/a/) ](u) <b> </b> <!-- --> &lt; &#124; &amp;".split(),
        *"pm p.m. a.m. Mr. St. No. etc. e.g. May Jan. Henry Chapter IV I a an in the of and w/ th".split(),
        *"C++ snake_case https:// www. example.com a@b.co é ß д あ عربي 年 月 日 2024年 か".split(),
        *"￥ 元 万 点 的 第 ℃ 百分之 度 后 90 拨打 110 5A 7-11便利店 v1.2 ＄ ① Ⅲ ≥ ± 室 次 1.".split(),
        *["\n", "\t", "\x00", "\u200b", "\ud800", "\ue000", "\\", '"'],
    ]
)
TEXTS = st.lists(st.one_of(PIECES, st.just(" "), st.text(max_size=3)), max_size=14).map("".join)
LANGUAGES = st.sampled_from([None, "en", "en-US", "zh", "zh_CN", "de", "ja", "mul", ""])
WORDS = st.text(alphabet="abcdefghijklmnopqrstuvwxyz", min_size=2, max_size=9).filter(
    lambda word: word != "vs"
)


def check(spoken: Spoken, raw: str) -> None:
    """The origins tile the words in their order and point into the raw text."""
    assert [(o.start, o.end) for o in spoken.origins] == [m.span() for m in re.finditer(r"\S+", spoken.text)]
    for origin in spoken.origins:
        assert 0 <= origin.source_start < origin.source_end <= len(raw)
    for one, two in pairwise(spoken.origins):
        same = (one.source_start, one.source_end) == (two.source_start, two.source_end)
        assert same or one.source_end <= two.source_start


@given(TEXTS, LANGUAGES)
@example("[*a]*", "en")
@example("- - - a", "en")
def test_any_text_is_fine_and_saying_it_again_changes_nothing(text: str, language: str | None) -> None:
    spoken = normalize(text, language)
    check(spoken, text)
    assert normalize(spoken.text, language).text == spoken.text


@given(TEXTS, LANGUAGES)
def test_nothing_comes_out_that_is_not_text(text: str, language: str | None) -> None:
    spoken = re.sub(r"<\|speaker:\d{1,3}\|>", "", normalize(text, language).text)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff]", spoken)
    assert "<|" not in spoken
    assert "|>" not in spoken
    spoken.encode()


@given(st.text(max_size=80))
def test_english_has_neither_digits_nor_markup_left(text: str) -> None:
    spoken = re.sub(r"\[[^\[\]\n]*\](\(/[^()]*/\))?|<\|speaker:\d+\|>", "", normalize(text, "en").text)
    assert not re.search(r"[0-9*_`#|\\<>{}\[\]^]", spoken)


@given(st.lists(WORDS, min_size=1))
def test_plain_words_map_to_themselves(words: list[str]) -> None:
    text = " ".join(words)
    spoken = normalize(text)
    assert spoken.text == text
    assert all((o.start, o.end) == (o.source_start, o.source_end) for o in spoken.origins)


@given(st.lists(TEXTS, max_size=4))
def test_a_stream_of_chunks_never_fails(chunks: list[str]) -> None:
    normalizer = Normalizer()
    for chunk in chunks:
        check(normalizer.normalize(chunk), chunk)
