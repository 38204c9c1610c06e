"""Which language a text is in, as far as its letters tell."""

import regex

# In this order: Japanese is written with Han characters, too.
_LETTERS = {
    "ja": regex.compile(r"[\p{Hiragana}\p{Katakana}]"),
    "ko": regex.compile(r"\p{Hangul}"),
    "zh": regex.compile(r"\p{Han}"),
    "ru": regex.compile(r"\p{Cyrillic}"),
    "ar": regex.compile(r"\p{Arabic}"),
    "he": regex.compile(r"\p{Hebrew}"),
    "el": regex.compile(r"\p{Greek}"),
    "th": regex.compile(r"\p{Thai}"),
    "hi": regex.compile(r"\p{Devanagari}"),
    "en": regex.compile(r"\p{Latin}"),
}
LANGUAGES = frozenset(_LETTERS)
"""All that :func:`language_of` tells."""


def language_of(text: str) -> str | None:
    """The most common language that is written with the text's letters; None if it has none.

    Of what is written with Latin letters nothing more is told than "en".
    """
    return next((language for language, letter in _LETTERS.items() if letter.search(text)), None)
