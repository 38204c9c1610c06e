"""What a model thinks aloud before it answers, left out of what is spoken. Decides; does no I/O."""

from enum import Enum, auto

_OPEN, _CLOSE = "<think>", "</think>"


class _At(Enum):
    BEGINNING = auto()
    INSIDE = auto()
    BEHIND = auto()  # the blank lines that follow a thought belong to it
    ANSWER = auto()


class ThinkingFilter:
    """Leaves out ``<think>…</think>`` at the beginning of a reply, however the text is cut into pieces.

    Servers that do not parse it for their clients let it through. Further on it is text like any other.
    """

    def __init__(self) -> None:
        self._at = _At.BEGINNING
        self._held = ""

    def push(self, text: str) -> str:
        """What of the next characters may be spoken by now."""
        if self._at is _At.ANSWER:
            return text
        self._held += text
        if self._at is _At.BEGINNING:
            begun = self._held.lstrip()
            if begun.startswith(_OPEN):
                self._at, self._held = _At.INSIDE, begun[len(_OPEN) :]
            elif not _OPEN.startswith(begun):
                return self._release(self._held)
        if self._at is _At.INSIDE:
            _, closed, rest = self._held.partition(_CLOSE)
            if closed:
                self._at, self._held = _At.BEHIND, rest
            else:
                self._held = self._held[-len(_CLOSE) :]
        if self._at is _At.BEHIND and (answer := self._held.lstrip()):
            return self._release(answer)
        return ""

    def end(self) -> str:
        """What is left when the reply is complete."""
        return self._release(self._held) if self._at is _At.BEGINNING else ""

    def _release(self, text: str) -> str:
        self._at, self._held = _At.ANSWER, ""
        return text
