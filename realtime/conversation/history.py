"""What was said and heard in a conversation."""

from collections.abc import Iterable
from dataclasses import replace

from realtime.ears.recogniser import joined
from realtime.mind.base import Message
from realtime.turns import plain

MAX_TURN = 100_000
"""Characters of what a caller says without being answered; beyond, the oldest are forgotten."""


class History:
    """The messages by now, at most ``limit`` of them: the oldest are forgotten, turn by turn."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._messages: list[Message] = []

    @property
    def messages(self) -> tuple[Message, ...]:
        """All of them."""
        return tuple(self._messages)

    @property
    def unanswered(self) -> str | None:
        """What the caller said last, if nothing was heard since."""
        last = self._messages[-1] if self._messages else None
        return last.content if last is not None and last.role == "user" else None

    def caller(self, text: str, *, again: bool = False) -> None:
        """The caller's next words, which join those that had no answer.

        If he had to say it ``again``, and has, they take the place of those.
        """
        before = self.take_back()
        if before is not None and not (again and f" {plain(before)} " in f" {plain(text)} "):
            text = joined([before, text])[-MAX_TURN:]
        self._messages.append(Message("user", text))
        self._forget()

    def take_back(self) -> str | None:
        """Remove and return what the caller said last, if nothing was heard since."""
        if (text := self.unanswered) is not None:
            self._messages.pop()
        return text

    def agent(self, messages: Iterable[Message]) -> None:
        """What was heard of a reply, and the tools that were called in it."""
        self._messages += messages
        self._forget()

    def result(self, call_id: str, content: str) -> None:
        """The result of a tool that nobody waits for any more."""
        for index, message in enumerate(self._messages):
            if message.tool_call_id == call_id:
                self._messages[index] = replace(message, content=content)

    def _forget(self) -> None:
        """Drop the oldest turns. A history begins with the caller, or what greeted him."""
        if len(self._messages) > self._limit:
            first = len(self._messages) - self._limit
            while first < len(self._messages) and self._messages[first].role != "user":
                first += 1
            if first < len(self._messages):
                del self._messages[:first]
