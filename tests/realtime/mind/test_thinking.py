from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from realtime.mind.thinking import ThinkingFilter


def spoken(pieces: list[str]) -> str:
    thinking = ThinkingFilter()
    return "".join(map(thinking.push, pieces)) + thinking.end()


def cut(text: str, at: list[int]) -> list[str]:
    places = sorted({min(place, len(text)) for place in at} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(places)]


CUTS = st.lists(st.integers(0, 80), max_size=20)


@given(CUTS)
def test_what_is_thought_is_left_out(at: list[int]) -> None:
    text = "\n<think>\nThe user says hi. <b>Greet</b> him.\n</think>\n\nHello there! <think>"
    assert spoken(cut(text, at)) == "Hello there! <think>"


@given(st.text(alphabet="<thinkg>/ \nab"), CUTS)
def test_other_text_stays_as_it_is(text: str, at: list[int]) -> None:
    if not text.lstrip().startswith("<think>"):
        assert spoken(cut(text, at)) == text


def test_a_thought_without_an_end_is_not_spoken() -> None:
    assert spoken(["<think>", "What was the ques"]) == ""


def test_the_answer_is_not_kept_back() -> None:
    thinking = ThinkingFilter()
    assert thinking.push("<") == ""
    assert thinking.push("3 is a heart") == "<3 is a heart"
    assert thinking.push("<think>") == "<think>"
