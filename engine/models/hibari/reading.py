"""Sentences to phonemes, with the word of the original text that every phoneme belongs to."""

import re
from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from typing import NamedTuple

from hibari.g2p import G2P
from hibari.g2p.normalize import normalize
from hibari.g2p.token import Tok

from engine.models.hibari.sentences import LINK, Word, pause_after, split_sentences

_LINK = re.compile(LINK)
_PLACEHOLDER = "\ue000"
_LONG_WORD = 40
_PIECE = re.compile(r"[^\W\d_]{1,20}|\d|[^\w]{1,3}|_")
_LONG_NUMBER = re.compile(r"\d{13,}")
_PUNCTUATION = frozenset(';:,.!?—…"“”() ')
_JOINERS = frozenset(
    "and or but so because that which who when while where if as than to of for with from in on at by".split()
)


class Reading(NamedTuple):
    """Phonemes to be spoken in one go.

    ``origins[i]`` is the word that phoneme character ``i`` is part of, None for spaces and punctuation.
    ``pause`` is the silence to leave after it, in seconds at normal speed. ``unfinished`` says that the
    sentence goes on in the next reading.
    """

    phonemes: str
    origins: tuple[Word | None, ...]
    pause: float
    unfinished: bool


class _Unit(NamedTuple):
    """The phonemes of one word of the original text, with what follows up to the next word."""

    word: Word
    phonemes: str


class Reader:
    """Turns English text into phonemes. ``knows`` says which phoneme characters can be spoken."""

    def __init__(self, knows: Callable[[str], bool]) -> None:
        self._g2p = G2P()
        self._knows = knows

    def read(self, text: str, open_ended: bool, limit: int) -> Iterator[Reading]:
        """Readings of about ``limit`` phoneme characters at most, each made when it is asked for.

        Sentences are read apart; one that is too long is cut at a clause, or else between words. Any string
        is fine: what cannot be spoken is passed over, so that there may be no reading at all.
        """
        for sentence in split_sentences(text, open_ended):
            parts = [part for part in _split(self._phonemize(sentence.words), limit) if _speakable(part)]
            for part in parts[:-1]:
                yield _reading(part, pause_after(part[-1].phonemes.rstrip()), unfinished=True)
            if parts:
                yield _reading(parts[-1], sentence.pause, sentence.unfinished)

    def _phonemize(self, words: list[Word]) -> list[_Unit]:
        try:
            return self._phonemize_together(words)
        except Exception:
            # The G2P is rules over whatever people type: what trips it should cost a word and no more.
            if len(words) == 1:
                return []
            return [unit for word in words for unit in self._phonemize([word])]

    def _phonemize_together(self, words: list[Word]) -> list[_Unit]:
        links = [link for word in words for link in _LINK.findall(word.text)]
        spoken = [(piece, word) for word in words for piece in _speakable_pieces(word.text)]
        pieces = [piece for piece, _ in spoken]
        normal = normalize(" ".join(pieces))
        sources = _align(pieces, normal.split(" "))
        units: list[_Unit] = []
        place = 0
        for token in self._g2p.phonemize_tokens(self._tokens(normal, links)):
            word = spoken[sources[place]][1]
            phonemes = "".join(filter(self._knows, token.phonemes or "")) + (" " if token.whitespace else "")
            if units and units[-1].word is word:
                units[-1] = _Unit(word, units[-1].phonemes + phonemes)
            else:
                units.append(_Unit(word, phonemes))
            place += bool(token.whitespace)
        return units

    def _tokens(self, text: str, links: list[tuple[str, str]]) -> list[Tok]:
        """What ``G2P.tokenize`` gives, with the links in the places that were kept for them."""
        tokens: list[Tok] = []
        for index, piece in enumerate(text.split(_PLACEHOLDER)):
            if index:
                spelling, phonemes = links[index - 1]
                tokens.append(Tok(spelling, "NN", " " if piece.startswith(" ") else "", phonemes, rating=5))
            pairs = self._g2p.tokenizer(piece)
            tags = self._g2p.tagger([token for token, _ in pairs])
            tokens += [Tok(token, tag, space) for (token, space), tag in zip(pairs, tags, strict=True)]
        return tokens


def _speakable_pieces(word: str) -> list[str]:
    """A word as the G2P can take it: without unprintable characters, links as placeholders, cut where it is
    too long to be one word; digits beyond the trillions are read one by one.
    """
    parts = _LINK.split(word)[::3]  # between the links; each link adds its two groups
    clean = ["".join(c if c.isprintable() else " " for c in part) for part in parts]
    cut = [
        " ".join(_PIECE.findall(part)) if len(part) > _LONG_WORD else _LONG_NUMBER.sub(_spaced, part)
        for part in clean
    ]
    return _PLACEHOLDER.join(cut).split()


def _spaced(digits: re.Match[str]) -> str:
    return " ".join(digits.group())


def _align(before: list[str], after: list[str]) -> list[int]:
    """For each word after normalisation, the index of the word before it that it came from. Never falls."""
    sources: list[int] = []
    for tag, i, i_end, j, j_end in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag == "equal":
            sources += range(i, i_end)
        elif i == i_end:  # said in addition to what was there: "$5 million" -> "5 million dollars"
            sources += [max(i - 1, 0)] * (j_end - j)
        else:
            apart = [(word, k) for k in range(i, i_end) for word in normalize(before[k]).split(" ")]
            if [word for word, _ in apart] == after[j:j_end]:
                sources += [k for _, k in apart]
            else:
                sources += [i + (k - j) * (i_end - i) // (j_end - j) for k in range(j, j_end)]
    return sources


def _speakable(part: list[_Unit]) -> bool:
    return any(phoneme not in _PUNCTUATION for unit in part for phoneme in unit.phonemes)


def _split(units: list[_Unit], limit: int) -> list[list[_Unit]]:
    """Cut where a speaker would, near the middle, until no part is longer than the limit."""
    ends = [0]
    for unit in units:
        ends.append(ends[-1] + len(unit.phonemes))
    if ends[-1] <= limit:
        return [units]
    if len(units) == 1:
        word, phonemes = units[0]
        return [[_Unit(word, phonemes[at : at + limit])] for at in range(0, len(phonemes), limit)]

    def cost(cut: int) -> float:
        off_centre = abs(ends[cut] / ends[-1] - 0.5)
        if pause_after(units[cut - 1].phonemes.rstrip()):
            return off_centre
        return off_centre + (0.3 if units[cut].word.text.lower() in _JOINERS else 0.5)

    cut = min(range(1, len(units)), key=cost)
    return _split(units[:cut], limit) + _split(units[cut:], limit)


def _reading(part: list[_Unit], pause: float, unfinished: bool) -> Reading:
    """Phonemes of a part; one that goes on without a comma gets one, lest the voice fall as at an end."""
    characters = [(phoneme, unit.word) for unit in part for phoneme in unit.phonemes]
    while characters[-1][0] == " ":
        characters.pop()
    if unfinished and characters[-1][0] not in _PUNCTUATION:
        characters.append((",", part[-1].word))
    phonemes = "".join(phoneme for phoneme, _ in characters)
    origins = tuple(None if phoneme in _PUNCTUATION else word for phoneme, word in characters)
    return Reading(phonemes, origins, pause, unfinished)
