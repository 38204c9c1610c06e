"""What is no turn: in each language, and in the ways that recognisers write it."""

import pytest

from realtime.turns import is_backchannel, is_interjection


@pytest.mark.parametrize(
    "text", ["Mhm.", "mm-hmm", "Uh-huh!", "Yeah, yeah.", "Okay, I see.", "All right.", "...", "", "You"]
)
def test_a_listeners_sounds_are_no_turn(text: str) -> None:
    assert is_backchannel(text)
    assert is_backchannel(text, "en-US")


@pytest.mark.parametrize(
    "text",
    ["No.", "Stop.", "Wait", "Yeah, but listen.", "Okay, stop", "I see a bird", "yes yes yes yes yes", "7"],
)
def test_words_are(text: str) -> None:
    assert not is_backchannel(text, "en")


@pytest.mark.parametrize(
    ("language", "sound", "words"),
    [
        ("de", "Ach so, ja.", "Ja, aber nein."),
        ("fr", "D’accord.", "Non."),
        ("es", "Sí, claro.", "Espera."),
        ("it", "Va bene.", "No, aspetta."),
        ("pt", "Tá bom.", "Espera aí."),
        ("zh", "嗯,对。", "不对。"),
        ("ja", "なるほどね。", "ちょっと待って。"),
        ("ko", "네, 알겠습니다.", "잠깐만요."),
    ],
)
def test_other_languages(language: str, sound: str, words: str) -> None:
    assert is_backchannel(sound, language)
    assert is_backchannel(sound)
    assert not is_backchannel(words, language)
    assert not is_backchannel(words)


def test_the_words_of_one_language_are_turns_in_another() -> None:
    assert not is_backchannel("Genau.", "en")
    assert is_backchannel("Genau.", "xx")


@pytest.mark.parametrize(
    "text", ["No!", "Stop it.", "Wait, wait.", "What?", "Two.", "不对!", "Moment mal", "ちょっと待って"]
)
def test_what_people_interrupt_with(text: str) -> None:
    assert is_interjection(text)
    assert not is_backchannel(text)


@pytest.mark.parametrize("text", ["", "Thank you.", "You", "Mama.", "Her.", "no no no", "stop that story"])
def test_what_a_recogniser_hears_in_a_cough_is_not_among_it(text: str) -> None:
    assert not is_interjection(text, "en")
