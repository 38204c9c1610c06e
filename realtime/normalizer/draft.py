"""A text that is being rewritten, and where each character of it came from."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

Words = str | tuple[str | int | tuple[int, str], ...]
"""What is said instead of a match. A string stands for all of it. A tuple is put together from parts: ``n`` is
group n as it is, ``(n, words)`` says group n in other words, and a string is an addition to the part before it.
"""

Saying = Words | None
"""None leaves the match as it is."""

_WORD = re.compile(r"\S+")
# One private character stands for a stretch that no rule may touch; private use is removed from all input.
_HOLD = "\ue000"


class Rule(NamedTuple):
    """Says what a pattern matches in other words. A pattern never matches the empty string.

    ``needs`` saves time: without any of these characters the pattern is not looked for.
    """

    pattern: re.Pattern[str]
    say: Callable[[re.Match[str]], Saying]
    needs: frozenset[str] = frozenset()


def when(needs: str, *rules: Rule) -> tuple[Rule, ...]:
    """The rules, for texts with any of these characters. A rule that has its own needs keeps them."""
    return tuple(rule._replace(needs=rule.needs or frozenset(needs)) for rule in rules)


@dataclass(frozen=True, slots=True)
class Origin:
    """The word ``text[start:end]`` of the output says ``[source_start:source_end]`` of the raw text."""

    start: int
    end: int
    source_start: int
    source_end: int


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a person would say, with one origin for each word (run of non-space) of it, ascending.

    Several words may share one source span; different source spans do not overlap.
    """

    text: str
    origins: tuple[Origin, ...]


class Draft:
    """A text under rules. Each rule costs time linear in the text."""

    def __init__(self, text: str) -> None:
        self.text = text
        # Character i says the source text [starts[i]:ends[i]].
        self._starts = list(range(len(text)))
        self._ends = list(range(1, len(text) + 1))
        self._held: list[tuple[str, list[int], list[int]]] = []

    def apply(self, rules: Iterable[Rule]) -> None:
        """Apply the rules one after the other, each from left to right."""
        present = set(self.text)
        for pattern, say, needs in rules:
            if (not needs or not needs.isdisjoint(present)) and self.sub(pattern, say):
                present = set(self.text)

    def sub(self, pattern: re.Pattern[str], say: Callable[[re.Match[str]], Saying]) -> bool:
        """Say in other words what the pattern matches; whether that changed anything."""
        edit = _Edit(self.text, self._starts, self._ends)
        for match in pattern.finditer(self.text):
            saying = say(match)
            if saying is not None and not (self._held and _loses_held(match, saying)):
                edit.replace(match, saying)
        if edit.done:
            self.text, self._starts, self._ends = edit.finish()
        return edit.done

    def drop(self, pattern: re.Pattern[str]) -> None:
        """Leave out what the pattern matches."""
        self.sub(pattern, lambda _: "")

    def hold(self, pattern: re.Pattern[str]) -> None:
        """Keep what the pattern matches from all rules up to :meth:`release`."""

        def put_by(match: re.Match[str]) -> str:
            here = slice(*match.span())
            held.append((match[0], self._starts[here], self._ends[here]))
            return _HOLD

        held: list[tuple[str, list[int], list[int]]] = []
        self.sub(pattern, put_by)
        self._held = held

    def release(self) -> None:
        """Put back what was held, as it was."""
        if not self._held:
            return
        pieces = self.text.split(_HOLD)
        text, starts, ends = [pieces[0]], self._starts[: len(pieces[0])], self._ends[: len(pieces[0])]
        at = len(pieces[0])
        for piece, (words, held_starts, held_ends) in zip(pieces[1:], self._held, strict=True):
            at += 1
            text += words, piece
            starts += held_starts + self._starts[at : at + len(piece)]
            ends += held_ends + self._ends[at : at + len(piece)]
            at += len(piece)
        self.text, self._starts, self._ends, self._held = "".join(text), starts, ends, []

    def origins(self) -> tuple[Origin, ...]:
        """An origin for each word. Words whose sources overlap share all of these."""
        spans: list[list[int]] = []
        words: list[tuple[int, int, int]] = []
        for match in _WORD.finditer(self.text):
            start, end = match.span()
            first, last = min(self._starts[start:end]), max(self._ends[start:end])
            if spans and first < spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], last)
            else:
                spans.append([first, last])
            words.append((start, end, len(spans) - 1))
        return tuple(Origin(start, end, *spans[index]) for start, end, index in words)


def _loses_held(match: re.Match[str], words: Words) -> bool:
    """Whether something that is held would be gone: then its surroundings stay as they are."""
    kept = [match[part] for part in words if isinstance(part, int)] if isinstance(words, tuple) else []
    return match[0].count(_HOLD) != sum(text.count(_HOLD) for text in kept)


class _Edit:
    """The new text of a draft in the making, and where its characters came from."""

    def __init__(self, text: str, starts: list[int], ends: list[int]) -> None:
        self._old = text, starts, ends
        self._text: list[str] = []
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._at = 0
        self.done = False

    def replace(self, match: re.Match[str], saying: Words) -> None:
        self._keep(self._at, match.start())
        self._at = match.end()
        self.done = True
        added = len(self._starts)
        for part in (saying,) if isinstance(saying, str) else saying:
            if isinstance(part, int):
                self._keep(*match.span(part))
            elif isinstance(part, tuple):
                self._say(part[1], *match.span(part[0]))
            elif len(self._starts) > added:
                self._text.append(part)
                self._starts += self._starts[-1:] * len(part)
                self._ends += self._ends[-1:] * len(part)
            elif part:
                self._say(part, *match.span())

    def finish(self) -> tuple[str, list[int], list[int]]:
        self._keep(self._at, len(self._old[0]))
        return "".join(self._text), self._starts, self._ends

    def _keep(self, start: int, end: int) -> None:
        text, starts, ends = self._old
        self._text.append(text[start:end])
        self._starts += starts[start:end]
        self._ends += ends[start:end]

    def _say(self, words: str, start: int, end: int) -> None:
        text, starts, ends = self._old
        # The space around a sign is matched with it, but it is not what is said.
        while end - start > 1 and text[start].isspace():
            start += 1
        while end - start > 1 and text[end - 1].isspace():
            end -= 1
        self._text.append(words)
        self._starts += [min(starts[start:end])] * len(words)
        self._ends += [max(ends[start:end])] * len(words)
