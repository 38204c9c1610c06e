"""From a chunk of raw text to what a person would say."""

import re

from realtime.normalizer.addresses import address_rules
from realtime.normalizer.chinese import CHINESE
from realtime.normalizer.draft import Draft, Rule, Spoken
from realtime.normalizer.english import ENGLISH
from realtime.normalizer.markup import EMPHASIS, SPACE, STRUCTURE, clean, unfence

MULTILINGUAL = "mul"
"""As a language: one of several (ISO 639-2), and Latin letters do not tell which."""

# Once is nearly always enough; what one round brings to light is said in the next.
_MOST_ROUNDS = 8
_KANA = re.compile("[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af]")
_OTHER = re.compile(r"[^\W\d_a-zA-Z\u00aa-\u024f\u1e00-\u1eff\u3400-\u9fff]")
_LATIN_WORD = re.compile("[A-Za-z]+")

_RULES: dict[str | None, tuple[Rule, ...]] = {"en": ENGLISH, "zh": CHINESE}
_NEUTRAL = (*STRUCTURE, *address_rules(None), *EMPHASIS)


class Normalizer:
    """Normalises the chunks of one stream.

    It remembers whether the last one ended inside a block of code, and whether the stream is Japanese: Chinese
    characters alone would not say so.

    >>> Normalizer().normalize("It costs **$3.14**.").text
    'It costs three dollars and fourteen cents.'
    """

    def __init__(self) -> None:
        self._in_code = False
        self._japanese = False

    def normalize(self, text: str, language: str | None = None) -> Spoken:
        """What a person would say for this chunk.

        ``language`` is a tag such as ``en`` or ``zh-CN``; None goes by the script. English and Chinese are
        said in words; of other languages only the markup goes, the digits stay. :data:`MULTILINGUAL` goes by the
        script as well, but takes Latin letters for any language. Any string is fine. The result has no control
        characters but line breaks, and normalising it again changes nothing.
        """
        if language == MULTILINGUAL and self._japanese:
            language = "ja"
        draft = Draft(text)
        self._in_code = _round(draft, language, self._in_code)
        for _ in range(_MOST_ROUNDS):
            before = draft.text
            if before == text:
                break
            _round(draft, language, in_code=False)
            if draft.text == before:
                break
        self._japanese = self._japanese or bool(_KANA.search(draft.text))
        return Spoken(draft.text, draft.origins())


def normalize(text: str, language: str | None = None) -> Spoken:
    """What a person would say for a text that stands alone. See :meth:`Normalizer.normalize`."""
    return Normalizer().normalize(text, language)


def _round(draft: Draft, language: str | None, in_code: bool) -> bool:
    """All rules, once; returns whether the text ends inside a block of code."""
    clean(draft)
    in_code = unfence(draft, in_code)
    draft.apply(_rules(draft.text, language))
    draft.release()
    draft.apply(SPACE)
    return in_code


def _rules(text: str, language: str | None) -> tuple[Rule, ...]:
    if language == MULTILINGUAL:
        language = script_language(text)
        return _NEUTRAL if language == "en" else _RULES.get(language, _NEUTRAL)
    tag = language.replace("_", "-").partition("-")[0].lower() if language else script_language(text)
    return _RULES.get(tag, _NEUTRAL)


def script_language(text: str) -> str | None:
    """The language whose rules a text gets by its script: en, zh, ja, or None."""
    if _KANA.search(text):
        return "ja"
    words = len(_LATIN_WORD.findall(text))
    if len(_HAN.findall(text)) > words:
        return "zh"
    return "en" if len(_OTHER.findall(text)) <= words else None
