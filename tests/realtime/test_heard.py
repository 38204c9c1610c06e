"""Which words were heard, with silence between them that is not in their times."""

import pytest

from realtime.heard import HeardWords
from realtime.utterance import SpokenWord


def word(text: str, start: float, end: float, at: int = 0) -> SpokenWord:
    return SpokenWord(text, start, end, at, at + len(text))


def test_a_word_is_heard_with_its_half() -> None:
    words = HeardWords()
    words.add(1.0, [one := word("one", 0.1, 0.5), two := word("two", 0.5, 0.9, 4)])
    assert words.take(0.29) == ()
    assert words.take(0.31) == (one,)
    assert words.take(0.69) == ()
    assert words.take(0.71) == (two,)


def test_what_fills_up_a_packet_shifts_what_follows() -> None:
    words = HeardWords()
    words.add(0.41, [word("one", 0.0, 0.4)])
    words.fill(0.42)
    words.add(0.40, [two := word("two", 0.41, 0.81, 4)])
    words.fill(0.84)
    assert words.speech(0.415) == pytest.approx(0.41)
    assert words.speech(0.52) == pytest.approx(0.51)
    assert [spoken.text for spoken in words.take(0.61)] == ["one"]
    assert words.take(0.63) == (two,)
    assert words.speech(0.9) == pytest.approx(0.81)


def test_a_word_that_goes_on_counts_once() -> None:
    words = HeardWords()
    words.add(0.5, [word("$5", 0.0, 0.4)])
    words.add(0.5, [word("$5", 0.0, 0.9)])
    assert words.take(0.4) == ()
    assert [spoken.end for spoken in words.take(0.5)] == [0.9]
