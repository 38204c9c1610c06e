from benchmarks.text_cost import TOKEN_LENGTH, feed, measure_text, repeated
from benchmarks.texts import TEXTS


def test_a_text_is_repeated_to_the_length_that_was_asked_for() -> None:
    assert repeated(["ab", "c"], 8) == "ab c ab "


def test_all_of_the_text_is_spoken_whether_the_voice_keeps_up_or_not() -> None:
    text = TEXTS[1]
    for pace in (80.0, 15.0):
        cost = feed("one", text, pace)
        assert cost.problem is None
        assert len(text) - cost.lines <= cost.said <= len(text)
        assert cost.tokens == -(-len(text) // TOKEN_LENGTH)
        assert 0 < cost.p50 <= cost.p99 <= cost.longest


def test_each_kind_of_text_and_each_length_is_measured() -> None:
    kinds, growth = measure_text(2000, [1000, 3000])
    assert [one.characters for one in kinds] == [2000, 2000, 1000]
    assert [one.characters for one in growth] == [1000, 3000]
    assert not any(one.problem for one in kinds + growth)


def test_a_text_that_is_spoken_for_longer_than_a_context_may_rest_comes_to_its_end() -> None:
    assert feed("long", repeated(TEXTS, 90_000), 15.0).problem is None
