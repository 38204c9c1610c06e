"""The chunker: where a text may be cut, and when it is."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine import Segment
from realtime.chunker import PACES, SPEAKER, Chunker
from realtime.request import Latency

BALANCED = PACES[Latency.BALANCED]
SILENT, RELAXED = 0.0, 60.0


def chunker(latency: Latency = Latency.BALANCED, chunk_length: int = 200, least: int = 50) -> Chunker:
    return Chunker(PACES[latency], chunk_length=chunk_length, min_chunk_length=least)


def take_all(c: Chunker, now: float = 0.0, ahead: float = SILENT) -> list[Segment]:
    segments = []
    while segment := c.take(now, ahead):
        segments.append(segment)
    return segments


def texts(segments: Iterable[Segment]) -> list[str]:
    return [segment.text for segment in segments]


def spoken(tokens: Iterable[str], ahead: float = SILENT, **kwargs: int) -> list[Segment]:
    """All segments of a text that arrives in these tokens and is then flushed."""
    c = chunker(**kwargs)  # type: ignore[arg-type]
    segments = []
    for token in tokens:
        c.push(token, 0.0)
        segments += take_all(c, ahead=ahead)
    c.flush()
    return segments + take_all(c, ahead=ahead)


def pieces(text: str, size: int) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


# Strings that must never be cut inside, each with the text around it.
WHOLE = [
    "It costs $3.14 a litre.",
    "Das kostet 22,1 Prozent mehr.",
    "Use version 1.2.3 of it.",
    "Ping 192.168.1.1 and wait.",
    "We meet at 9:30 or at 10:45.",
    "Write to jane.doe@example.com now.",
    "See https://example.com/a,b.html?x=1. Then go.",
    "Mr. Smith and Dr. Jones met.",
    "For fruit, e.g. apples, ask.",
    "The U.S. team won.",
    "J. K. Rowling wrote it.",
    "He said [whispers in a small voice] hello.",
    "Wait [pause 1.5s] for it.",
    "Well... maybe so.",
    "It is No. 5 of them.",
]
UNCUT = [
    "$3.14",
    "22,1",
    "1.2.3",
    "192.168.1.1",
    "9:30",
    "jane.doe@example.com",
    "https://example.com/a,b.html?x=1.",
    "Mr. Smith",
    "e.g. apples",
    "U.S. team",
    "J. K. Rowling",
    "[whispers in a small voice]",
    "[pause 1.5s]",
    "Well... maybe",
    "No. 5",
]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(("text", "part"), list(zip(WHOLE, UNCUT, strict=True)))
def test_never_cut_inside(text: str, part: str, size: int) -> None:
    segments = texts(spoken(pieces(text, size)))
    assert any(part in segment for segment in segments), segments


@pytest.mark.parametrize("ahead", [SILENT, 1.0, RELAXED])
@given(
    st.lists(
        st.sampled_from([*WHOLE, "Hi!", "你好，世界。", "[1]", "3 < 5", "a" * 300, "<|speaker:1|>Yes."])
    ),
    st.data(),
)
def test_the_same_segments_however_the_text_was_cut(
    ahead: float, parts: list[str], data: st.DataObject
) -> None:
    text = " ".join(parts)
    whole = spoken([text], ahead)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    tokens = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert spoken(tokens, ahead) == whole


@given(st.text(max_size=400), st.sampled_from([SILENT, 1.0, RELAXED]), st.integers(1, 7))
@example("[" * 90, SILENT, 1)
@example("<|speaker:" + "1" * 20, SILENT, 1)
@example("a" * 400, SILENT, 3)
def test_no_text_is_lost_or_said_twice(text: str, ahead: float, size: int) -> None:
    said = "".join("".join(texts(spoken(pieces(text, size), ahead))).split())
    assert said == "".join(SPEAKER.sub("", text).split())


@given(st.text(alphabet="ab .,!\n", max_size=2000))
def test_no_segment_is_longer_than_asked(text: str) -> None:
    assert all(len(segment.text) <= 100 for segment in spoken([text], RELAXED, chunk_length=100))


def test_a_silent_listener_gets_the_first_clause() -> None:
    c = chunker()
    c.push("Hello there, I am", 0.0)
    assert texts(take_all(c)) == ["Hello there,"]


@pytest.mark.parametrize(
    ("latency", "first"),
    [
        (Latency.LOW, "She walked slowly"),
        (Latency.BALANCED, "She walked slowly down the road"),
        (Latency.NORMAL, "She walked slowly down the road to the next little"),
    ],
)
def test_or_the_first_words_up_to_a_phrase(latency: Latency, first: str) -> None:
    c = chunker(latency)
    c.push("She walked slowly down the road to the next little town ", 0.0)
    assert c.take(0.0, SILENT) == Segment(first, open_ended=True)


def test_no_is_also_a_word() -> None:
    assert texts(spoken(["I said no. Then I left."], least=1)) == ["I said no.", "Then I left."]


def test_the_first_words_do_not_end_with_an_article() -> None:
    c = chunker()
    c.push("The old sailor told us a long story again ", 0.0)
    assert c.take(0.0, SILENT) == Segment("The old sailor told us", open_ended=True)


def test_with_seconds_left_only_whole_sentences_leave() -> None:
    c = chunker(least=10)
    c.push("I went to the market, where I bought some fish, ", 0.0)
    assert take_all(c, ahead=RELAXED) == []
    assert texts(take_all(c, ahead=BALANCED.relaxed - 0.1)) == [
        "I went to the market,",
        "where I bought some fish,",
    ]


def test_when_the_listener_is_about_to_run_dry_a_phrase_leaves() -> None:
    c = chunker(least=10)
    c.push("I went down to the market with my oldest friend ", 0.0)
    assert take_all(c, ahead=BALANCED.relaxed - 0.1) == []
    segment = c.take(0.0, BALANCED.hurry - 0.1)
    assert segment is not None
    assert segment.open_ended


def test_shortly_before_that_the_first_words_leave_as_at_the_beginning() -> None:
    c = chunker(least=100)
    c.push("I went down to the market with my oldest friend ", 0.0)
    assert c.take(0.0, BALANCED.urgent + 0.1) is None
    assert c.take(0.0, BALANCED.urgent) == Segment("I went down to the market", open_ended=True)


def test_due_names_the_times_at_which_something_may_leave() -> None:
    c = chunker(least=10)
    assert c.due(0.0, 0.0) is None
    c.push("I went down to the market with ", 10.0)
    assert c.due(10.0, 5.0) == pytest.approx(10.0 + BALANCED.idle)
    assert c.due(11.0, 5.0) == pytest.approx(11.0 + 5.0 - BALANCED.relaxed)
    assert c.due(11.0, 1.0) == pytest.approx(11.0 + 1.0 - BALANCED.hurry)


def test_a_finished_sentence_leaves_after_a_pause_without_a_flush() -> None:
    c = chunker()
    c.push("It costs $3.14.", 0.0)
    assert take_all(c, now=0.0) == []
    assert texts(take_all(c, now=BALANCED.idle)) == ["It costs $3.14."]


def test_a_pause_does_not_cut_a_word() -> None:
    c = chunker()
    c.push("I think par", 0.0)
    assert texts(take_all(c, now=1.0)) == ["I think"]
    c.push("rots talk. ", 1.0)
    assert texts(take_all(c, now=2.0)) == ["parrots talk."]


def test_flush_releases_everything() -> None:
    c = chunker()
    c.push("It costs $3.14. An unfinished [tag", 0.0)
    c.flush()
    assert texts(take_all(c, ahead=RELAXED)) == ["It costs $3.14. An unfinished [tag"]
    assert c.pending == 0


def test_text_after_a_flush_is_a_new_beginning() -> None:
    c = chunker()
    c.push("One", 0.0)
    c.flush()
    c.push("two three", 0.0)
    assert texts(take_all(c)) == ["One"]
    c.flush()
    assert texts(take_all(c)) == ["two three"]


@pytest.mark.parametrize(
    "text", ["3 < 5 and so on.", "See [1] here.", "A [ b.", "x <| y.", "<|speaker:x|> no."]
)
def test_what_only_looks_like_markup_does_not_stall(text: str) -> None:
    c = chunker(least=1)
    c.push(text + " Next one. And", 0.0)
    assert "".join(texts(take_all(c))).replace(" ", "").startswith(text.replace(" ", ""))


def test_speakers_take_turns() -> None:
    segments = spoken(pieces("Zero. <|speaker:1|>One here. One more. <|speaker:12|>Twelve", 1))
    assert [(segment.speaker, segment.text) for segment in segments] == [
        (0, "Zero."),
        (1, "One here."),
        (1, "One more."),
        (12, "Twelve"),
    ]


def test_a_turn_is_never_joined_with_the_next() -> None:
    segments = spoken(["<|speaker:0|>Hi<|speaker:1|>Hi<|speaker:0|>Bye"], RELAXED)
    assert [(segment.speaker, segment.text) for segment in segments] == [(0, "Hi"), (1, "Hi"), (0, "Bye")]


def test_open_ended_says_that_the_sentence_goes_on() -> None:
    segments = spoken(["Well, that is that. Is it? Yes"])
    assert [segment.open_ended for segment in segments] == [True, False, False, False]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("你好。今天天气很好！你呢？", ["你好。", "今天天气很好！", "你呢？"]),
        ("これはペンです。あれは本です。", ["これはペンです。", "あれは本です。"]),
        ("यह एक वाक्य है। यह दूसरा है।", ["यह एक वाक्य है।", "यह दूसरा है।"]),
        ("هل أنت هنا؟ نعم.", ["هل أنت هنا؟", "نعم."]),
        ("Wirklich? Ja! Gut.", ["Wirklich?", "Ja!", "Gut."]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_sentence_ends_of_other_scripts(text: str, sentences: list[str], size: int) -> None:
    assert texts(spoken(pieces(text, size))) == sentences


def test_work_is_linear_in_the_text() -> None:
    """A megabyte is cut with about as many steps for each segment as a kilobyte is: counted, not timed."""

    def steps(repeats: int) -> tuple[int, int]:
        c = chunker()
        c.push("This is a sentence of some words. " * repeats, 0.0)
        c.flush()
        looked_at = segments = 0
        while c.take(0.0, RELAXED):
            looked_at += len(c._marks)
            segments += 1
        return looked_at, segments

    (few, segments), (many, more_segments) = steps(30), steps(3000)
    assert many / more_segments < 2 * few / segments


def test_random_tokens_of_a_long_text() -> None:
    rng = random.Random(7)
    text = " ".join(rng.choice(WHOLE) for _ in range(200))
    position, tokens = 0, []
    while position < len(text):
        size = rng.randint(1, 6)
        tokens.append(text[position : position + size])
        position += size
    assert spoken(tokens) == spoken([text])
