"""Lists of short phrases by language, however a recogniser writes them."""

import re
import unicodedata
from collections.abc import Mapping

_NO_WORD = re.compile(r"[^\w']+")


class Phrases:
    """Phrases of each language, a "|" between them."""

    def __init__(self, phrases: Mapping[str, str]) -> None:
        self._known = {
            language: frozenset(map(plain, listed.split("|"))) for language, listed in phrases.items()
        }
        self._all = frozenset().union(*self._known.values())
        self._longest = max(len(phrase.split()) for phrase in self._all)

    def count(self, text: str, language: str | None) -> int | None:
        """Of how many of them the text is made; None if there is anything else in it.

        ``language`` is a code such as "en" or "en-US"; None, or one that is not known here: any of them.
        """
        known = self._known.get((language or "").lower().replace("_", "-").partition("-")[0], self._all)
        words = plain(text).split()
        phrases = 0
        while words:
            for length in range(min(self._longest, len(words)), 0, -1):
                if " ".join(words[:length]) in known:
                    del words[:length]
                    phrases += 1
                    break
            else:
                return None
        return phrases


def plain(text: str) -> str:
    """The words alone, a space between them: however they are written, the same."""
    text = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    return " ".join(_NO_WORD.sub(" ", text.replace("-", " ")).split())
