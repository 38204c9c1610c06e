from benchmarks.live import fragment_token
from benchmarks.texts import LONG, NO_COMMA, SHORT, TEXTS, tokens


def test_the_texts_are_what_they_are_said_to_be() -> None:
    assert len(set(TEXTS)) == len(TEXTS) >= 40
    assert all(30 <= len(text.split()) <= 60 for text in TEXTS)
    assert len(NO_COMMA.split()) == 40
    assert "," not in NO_COMMA
    assert NO_COMMA.count(".") == 1


def test_tokens_are_like_those_of_a_language_model_and_lose_nothing() -> None:
    for text in (*TEXTS, *SHORT, LONG):
        assert "".join(tokens(text)) == text
    assert tokens("Say: 12345 neighbourhoods, don't!") == [
        *("Say", ":", " 123", "45", " neig", "hbou", "rhoods", ",", " don't", "!")
    ]
    sizes = [len(token) for text in TEXTS for token in tokens(text)]
    assert 4 <= sum(sizes) / len(sizes) <= 5


def test_the_first_speakable_fragment_is_complete_when_the_chunker_says_so() -> None:
    assert fragment_token(["Hello", " there", ".", " How", " are", " you"], "balanced", 20) in (2, 3)
    assert fragment_token(["Hello"], "balanced", 20) == 1  # only the stop completes it
