"""Tags as typed spans: which are known, what they mean, and what is no tag at all."""

import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import PLAIN, Style
from realtime.chunker import MAX_TAG as CHUNKERS_MAX_TAG
from realtime.tags import MAX_PAUSE, MAX_TAG, MOODS, Mood, Pause, Unknown, Words, blend, parse


def _only(text: str) -> Words | Pause | Mood | Unknown:
    (span,) = parse(text)
    return span


def _style(tag: str) -> Style:
    mood = _only(tag)
    assert isinstance(mood, Mood), tag
    return mood.style


def _mood(*names: str) -> Style:
    return blend(*(MOODS[name][0] for name in names))


def test_spans_stand_where_their_text_stood():
    text = "So, [whispers] come [pause 1.5s]in! (happy) [laughs]"
    assert parse(text) == (
        Words("So, ", 0, 4),
        Mood(Style(whisper=True), 4, 14),
        Words(" come ", 14, 20),
        Pause(1.5, 20, 32),
        Words("in! ", 32, 36),
        Mood(_mood("happy"), 36, 43),
        Words(" ", 43, 44),
        Unknown("laughs", 44, 52),
    )


def test_nothing_is_no_span():
    assert parse("") == ()


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [
        ("[pause]", 0.5),
        ("[PAUSE]", 0.5),
        ("[pauses]", 0.5),
        ("[break]", 0.5),
        ("(break)", 0.5),
        ("[beat]", 0.5),
        ("[pause 1.5s]", 1.5),
        ("[pause 1,5 s]", 1.5),
        ("[pause .5s]", 0.5),
        ("[pause: 2 seconds]", 2.0),
        ("[pause for 2 sec]", 2.0),
        ("[pause for two seconds]", 2.0),
        ("[pause for half a second]", 0.5),
        ("[pause a second]", 1.0),
        ("[pause 300ms]", 0.3),
        ("[pause 300 milliseconds]", 0.3),
        ("[pause 500]", 0.5),
        ("[pause 3]", 3.0),
        ("[2 second pause]", 2.0),
        ("[1.5s]", 1.5),
        ("[short pause]", 0.25),
        ("[very short pause]", 0.125),
        ("[long pause]", 1.0),
        ("[very long pause]", 2.0),
        ("[long-break]", 1.0),
        ("(long-break)", 1.0),
        ("[dramatic pause]", 1.0),
        ("[pauses, then goes on]", 0.5),
        ("[pause 0s]", 0.0),
        ("[pause 3600s]", MAX_PAUSE),
        ("[pause 1 minute]", MAX_PAUSE),
        ("[pause " + "9" * 60 + "]", MAX_PAUSE),
        ('<break time="1.5s"/>', 1.5),
        ("<break time='300ms' />", 0.3),
        ('<BREAK TIME="2s">', 2.0),
        ("<break/>", 0.5),
        ("<break />", 0.5),
        ('<break strength="strong"/>', 1.0),
    ],
)
def test_pauses(tag, seconds):
    assert _only(tag) == Pause(seconds, 0, len(tag))


@pytest.mark.parametrize(
    ("tag", "moods"),
    [
        ("[whisper]", ["whisper"]),
        ("[whispering]", ["whisper"]),
        ("(whispering)", ["whisper"]),
        ("[under his breath]", ["whisper"]),
        ("[whispers in a small voice]", ["whisper", "soft"]),
        ("[whispers excitedly]", ["whisper", "excited"]),
        ("[emphasis]", ["emphasis"]),
        ("[emphasise]", ["emphasis"]),
        ("[excited]", ["excited"]),
        ("[with excitement]", ["excited"]),
        ("[happy]", ["happy"]),
        ("[joyfully]", ["happy"]),
        ("[unhappy]", ["sad"]),
        ("[SAD]", ["sad"]),
        ("[voice rough from crying, trying to sound normal]", ["sad"]),
        ("[angry]", ["angry"]),
        ("[calm and gentle]", ["calm", "gentle"]),
        ("[loudly]", ["loud"]),
        ("[low volume]", ["soft"]),
        ("[shouting]", ["shouting"]),
        ("(screaming)", ["shouting"]),
        ("(soft tone)", ["soft"]),
        ("[quietly]", ["soft"]),
        ("(in a hurry tone)", ["fast"]),
        ("[slowly]", ["slow"]),
        ("[low voice]", ["low"]),
        ("[in a deep, slow voice]", ["low", "slow"]),
        ("[high-pitched]", ["high"]),
        ("[high energy]", ["excited"]),
        ("[shy]", ["shy"]),
        ("[nervous]", ["nervous"]),
        ("[seriously]", ["serious"]),
        ("[professional broadcast tone]", ["broadcast"]),
        ("[tired, end of a long shift]", ["tired"]),
        ("[not angry, but calm]", ["calm"]),
        ("[not so fast, slow]", ["slow"]),
    ],
)
def test_moods(tag, moods):
    assert _style(tag) == _mood(*moods)


def test_strength():
    assert _style("[slightly sad]").pace == pytest.approx(MOODS["sad"][0].pace ** 0.5, abs=0.001)
    assert _style("(very excited)").range > _style("[excited]").range > _style("[a bit excited]").range > 1


@pytest.mark.parametrize(
    "tag",
    [
        "[normal]",
        "[normal voice]",
        "[back to normal]",
        "[/whisper]",
        "[end]",
        "[stop whispering]",
        "[neutral]",
    ],
)
def test_ends_of_a_mood(tag):
    assert _style(tag) == PLAIN


@pytest.mark.parametrize(
    "name",
    [
        "laughing",
        "sighs",
        "clears throat",
        "inhale",
        "giggles",
        "soft laughter",
        "crying loudly",
        "laughing nervously",
        "background music",
        "sic",
        "tag",
        "低声说",
        "ため息をついて",
        "it happened",
        "badly",
    ],
)
def test_what_cannot_be_done_is_unknown(name):
    assert _only(f"[{name}]") == Unknown(name, 0, len(name) + 2)


def test_the_sounds_of_s1_are_unknown():
    assert _only("(crowd laughing)") == Unknown("crowd laughing", 0, 16)


@pytest.mark.parametrize(
    "text",
    [
        "See [1] and [12], [3, 4], [...] or [?].",
        "an open [ b",
        "an open [whisper",
        "a list [ b ]",
        "[whisper\nsoftly]",
        "[link text](https://example.com/a_(b)?c=d)",
        '[link text](url "Title")',
        "[happy](/hˈæpi/) and [New York](/nˈu jˈɔɹk/)",
        "as [Smith][1] said",
        "[2nd edition] of [2 fast 2 furious]",
        "3 < 5 and <breakfast> at <b>",
        "He was (happy to come), (however) late (sad, too).",
        "f(x) and (whisper",
        "[]",
        "[" + "a" * MAX_TAG + "]",
    ],
)
def test_what_is_no_tag(text):
    assert _only(text) == Words(text, 0, len(text))


def test_a_link_is_no_tag_but_two_tags_are():
    assert [type(span) for span in parse("[giggles](happy)")] == [Unknown, Mood]
    assert [type(span) for span in parse("[whispers][sad]")] == [Mood, Mood]
    assert [type(span) for span in parse("[whispers](he was tired)")] == [Mood, Words]


def test_styles_add_up_within_reason():
    assert blend() == PLAIN
    assert blend(Style(whisper=True), Style(level_db=-3, pace=0.9)) == Style(True, -3, 0.9)
    wild = blend(*[Style(level_db=5, pace=1.3, pitch=1.3, range=1.5)] * 9)
    assert wild == Style(False, 6.0, 1.4, 1.4, 1.8)
    assert blend(*(style for style, _ in MOODS.values())).whisper


def test_every_mood_is_found_by_each_of_its_words():
    for name, (style, words) in MOODS.items():
        for word in words.split():
            tag = f"[{word.replace('_', ' ').replace('*', '')}]"
            found = _only(tag if name != "sad" else tag.replace("]", " voice]"))
            assert found == Mood(blend(style), 0, found.end), (name, word)


def test_the_chunker_keeps_together_what_is_a_tag():
    assert CHUNKERS_MAX_TAG == MAX_TAG


@pytest.mark.parametrize(
    "piece", ["[a", "[a](b", "(", "<break ", "[a](", "[very ", "[very excited] ", "[a](b (", "[[", "pause "]
)
def test_time_is_linear(piece):
    start = time.process_time()
    parse(piece * (100_000 // len(piece)))
    assert time.process_time() - start < 1.5


_FRAGMENTS = st.sampled_from(
    "[ ] ( ) / < > whisper happy pause 1.5s 300 ms <break /> very not [sad] (calm) [1] é 😀 \n - _ . url".split(
        " "
    )
)
# As a reader of the docstring would put it, independently of the parser's own pattern.
_TAG = re.compile(r"\[[^\W\d_][^\[\]\n]*\](?!\(|\[\d+\])")


@given(
    st.text()
    | st.lists(_FRAGMENTS, max_size=30).map("".join)
    | st.lists(_FRAGMENTS, max_size=30).map(" ".join)
)
def test_spans_tile_the_text_and_no_tag_is_spoken(text):
    end = 0
    spans = parse(text)
    for span in spans:
        assert span.start == end < span.end
        end = span.end
        if isinstance(span, Words):
            assert span.text == text[span.start : span.end]
            assert not any(len(tag.group()) <= MAX_TAG for tag in _TAG.finditer(span.text)), span
        elif isinstance(span, Pause):
            assert 0 <= span.seconds <= MAX_PAUSE
    assert end == len(text)
    assert not any(isinstance(a, Words) and isinstance(b, Words) for a, b in pairwise(spans))
