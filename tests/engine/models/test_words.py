from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.models.words import WordEstimator
from engine.speech import WordTime

FRAME = 2048 / 44_100


def spoken(estimator: WordEstimator, text: str, seconds: float, pause: float = 0.0) -> list[WordTime]:
    """All words of a segment that is told frame by frame."""
    segment = estimator.segment(text, pause)
    words: list[WordTime] = []
    for number in range(1, int(seconds / FRAME)):
        told = segment.until(number * FRAME)
        assert all(word.end <= pause + number * FRAME for word in told)
        words += told
    return [*words, *segment.end(seconds)]


def split(text: str) -> list[str]:
    return [word.text for word in spoken(WordEstimator(), text, 3.0)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world!", ["Hello", "world"]),
        ("“Don’t you?” — it's 3,000.5 at 12:30.", ["Don’t", "you", "it's", "3,000.5", "at", "12:30"]),
        ("an e-mail to me@example.com: ok,then", ["an", "e-mail", "to", "me@example.com", "ok", "then"]),
        ("[whispers] Come [pause 1.5s] here<|speaker:1|>now", ["Come", "here", "now"]),
        ("a[b", ["a", "b"]),
        ("你好，world。", ["你", "好", "world"]),
        ("ラーメンを食べる", ["ラー", "メ", "ン", "を", "食", "べ", "る"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("안녕하세요 여러분", ["안녕하세요", "여러분"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("Привет, café é", ["Привет", "café", "é"]),
        ("مرحبا بكم", ["مرحبا", "بكم"]),
        ("… — !? 🦜 ()", []),
        ("", []),
    ],
)
def test_what_counts_as_a_word(text: str, words: list[str]) -> None:
    assert split(text) == words


TEXTS = st.lists(
    st.sampled_from(
        [
            *"abc .,!?[]\n'-1",
            "word",
            "你",
            "か",
            "ー",
            "ที่",
            "[sighs]",
            "<|speaker:1|>",
            "\u0301",
            "안",
            "…",
            "🦜",
        ]
    )
    | st.characters(),
    max_size=30,
).map("".join)


@settings(deadline=None)
@given(
    text=TEXTS,
    seconds=st.floats(0, 30),
    pause=st.floats(0, 5),
    lead=st.floats(0, 3),
    history=st.lists(st.tuples(TEXTS, st.floats(0, 20)), max_size=3),
    frames=st.integers(1, 20),
)
def test_times_are_in_order_and_within_the_audio(
    text: str, seconds: float, pause: float, lead: float, history: list[tuple[str, float]], frames: int
) -> None:
    estimator = WordEstimator()
    for earlier, length in history:
        estimator.segment(earlier).end(length)
    segment = estimator.segment(text, pause)
    words: list[WordTime] = []
    now = 0.0
    while (now := now + frames * FRAME) < seconds:
        segment.hear(0.0 if now < lead else 0.1, now)
        told = segment.until(now)
        assert all(word.end <= pause + now + 1e-9 for word in told)
        words += told
    words += segment.end(seconds)

    time, char = pause, 0
    for word in words:
        assert time - 1e-9 <= word.start <= word.end
        assert char <= word.start_char < word.end_char
        assert text[word.start_char : word.end_char] == word.text
        time, char = word.end, word.end_char
    assert time <= pause + seconds + 1e-9


TEXT = "The quick brown fox jumps over the lazy dog, and nobody minds."


@pytest.mark.parametrize("factor", [0.6, 1.0, 1.7])
def test_the_pace_is_learnt(factor: float) -> None:
    """A voice of any constant pace: soon its words are told where they are."""
    average = 4.0
    estimator = WordEstimator()
    exact = [word.start / average for word in estimator.segment(TEXT).end(average)]
    for _ in range(8):
        words = spoken(estimator, TEXT, average * factor)
    for word, share in zip(words, exact, strict=True):
        assert word.start == pytest.approx(share * average * factor, abs=0.35)


def test_words_are_told_while_the_segment_is_spoken() -> None:
    estimator = WordEstimator()
    estimator.segment(TEXT).end(4.0)
    segment = estimator.segment(TEXT)
    early = segment.until(2.0)
    assert 4 <= len(early) <= 8
    assert segment.until(2.0) == ()
    assert len(early) + len(segment.end(4.0)) == 12


def test_the_last_word_ends_with_the_audio() -> None:
    for seconds in (1.0, 4.0, 9.0):
        assert spoken(WordEstimator(), TEXT, seconds)[-1].end == pytest.approx(seconds)


def test_longer_words_take_longer_and_punctuation_pauses() -> None:
    words = WordEstimator().segment("A banana, internationally. So").end(3.0)
    lengths = [word.end - word.start for word in words]
    assert lengths[0] < lengths[1] < lengths[2]
    gaps = [after.start - before.end for before, after in pairwise(words)]
    assert gaps[0] == pytest.approx(0)
    assert 0.05 < gaps[1] < gaps[2]


def test_a_sign_of_chinese_takes_as_long_as_a_syllable() -> None:
    words = WordEstimator().segment("你好 a").end(2.0)
    assert words[0].end - words[0].start > words[2].end - words[2].start


def test_the_pause_before_a_segment_counts() -> None:
    words = spoken(WordEstimator(), TEXT, 4.0, pause=2.5)
    assert words[0].start == 2.5
    assert words[-1].end == pytest.approx(6.5)


def test_words_begin_after_the_leading_silence() -> None:
    estimator = WordEstimator()
    segment = estimator.segment("Hello there world.")
    for number in range(1, 11):
        segment.hear(1e-4, number / 10)
        assert segment.until(number / 10) == ()
    segment.hear(0.1, 1.1)
    segment.hear(0.0, 1.2)  # silence that comes later is not leading
    first = (*segment.until(1.8), *segment.end(2.0))[0]
    assert first.start == 1.0
    assert estimator.pace == pytest.approx(1.0, abs=0.15)


def test_an_outlier_does_not_spoil_the_pace() -> None:
    estimator = WordEstimator()
    estimator.segment("Hm.").end(60.0)
    assert estimator.pace < 1.3
    estimator.segment(TEXT * 10).end(0.1)
    assert estimator.pace > 0.3
