"""Text to phonemes: pauses, parts, and which word every phoneme came from."""

import pytest

from engine.models.hibari.network import Network
from engine.models.hibari.reading import Reader
from engine.models.hibari.sentences import split_sentences


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader(Network(1).knows)


def _by_word(reader: Reader, text: str) -> dict[str, str]:
    spoken: dict[str, str] = {}
    for reading in reader.read(text, False, 500):
        for phoneme, word in zip(reading.phonemes, reading.origins, strict=True):
            if word:
                assert text[word.start : word.end] == word.text
                spoken[word.text] = spoken.get(word.text, "") + phoneme
    return spoken


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("Dr. Smith and J. K. Rowling met.", ["Dr. Smith and J. K. Rowling met."]),
        ("It costs 3.5 dollars, e.g. today.", ["It costs 3.5 dollars, e.g. today."]),
        ("A title\nand a line\n\nand a paragraph", ["A title", "and a line", "and a paragraph"]),
        ("See [New York](/nˈu jˈɔɹk/). Good.", ["See [New York](/nˈu jˈɔɹk/).", "Good."]),
        ("", []),
    ],
)
def test_sentences(text, sentences):
    found = [" ".join(word.text for word in sentence.words) for sentence in split_sentences(text, False)]
    assert found == sentences


@pytest.mark.parametrize(
    ("text", "open_ended", "pause", "unfinished"),
    [
        ("I know.", False, 0.35, False),
        ("I know.", True, 0.35, False),
        ('"I know?"', False, 0.35, False),
        ("I know;", True, 0.25, True),
        ("I know,", True, 0.08, True),
        ("I know —", True, 0.08, True),
        ("I know", True, 0.0, True),
        ("I know", False, 0.12, False),
    ],
)
def test_pause_by_punctuation(text, open_ended, pause, unfinished):
    (sentence,) = split_sentences(text, open_ended)
    assert (sentence.pause, sentence.unfinished) == (pause, unfinished)


def test_paragraphs_pause_longer_than_sentences_and_lines_as_long():
    pauses = [sentence.pause for sentence in split_sentences("One.\n\nTwo.\nThree\nFour.", False)]
    assert pauses == [0.5, 0.35, 0.35, 0.35]


def test_an_open_end_is_read_like_a_comma(reader):
    (reading,) = reader.read("When you get home", True, 500)
    assert reading.phonemes.endswith(",")
    assert reading.unfinished


def test_every_phoneme_knows_its_word(reader):
    text = "I paid $3.14 to Dr. Smith at 7:30 pm on 3/4/2024, for 5 km. Call 555-1234! 😀 — it's half-baked."
    spoken = _by_word(reader, text)
    assert "😀" not in spoken
    assert "—" not in spoken
    assert list(spoken) == [word for word in text.split() if word not in "😀—"]
    assert spoken["$3.14"] == "θɹˈidˈɑləɹzændfˌɔɹtˈinsˈɛnts"
    assert spoken["7:30"].startswith("sˈɛvən")
    assert spoken["3/4/2024,"].startswith("mˈɑɹʧ")


def test_money_that_moves_its_unit(reader):
    assert list(_by_word(reader, "It took $5 million and more.")) == [
        "It",
        "took",
        "$5",
        "million",
        "and",
        "more.",
    ]


def test_given_pronunciation(reader):
    spoken = _by_word(reader, "Say [tomato paste](/tɑmˈɑtO/), please.")
    assert spoken["[tomato paste](/tɑmˈɑtO/),"] == "tɑmˈɑtO"
    assert list(spoken)[-1] == "please."


def test_long_sentences_are_cut_at_clauses_first(reader):
    text = (
        "The weather will be sunny with a light breeze from the south, and the children will play in the garden"
        " until it gets dark and cold outside"
    )
    parts = list(reader.read(text, False, 110))
    assert len(parts) == 2
    assert parts[0].phonemes.endswith(",")
    assert (parts[0].pause, parts[0].unfinished) == (0.08, True)
    shorter = list(reader.read(text, False, 50))
    assert max(len(part.phonemes) for part in shorter) <= 52
    words = [word for part in shorter for word in dict.fromkeys(part.origins) if word]
    assert [word.text for word in words] == text.split()
    assert all(part.unfinished for part in shorter[:-1])


def test_a_title_is_no_place_for_a_pause(reader):
    parts = list(
        reader.read("We went to the office of old Dr. Smith to ask for some help with it", False, 40)
    )
    assert all(part.pause < 0.2 for part in parts)
