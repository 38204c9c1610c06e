"""What thinks of replies."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the mind wants to be run; ``arguments`` are JSON. Its result is a message with its ``id``."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation's history, as chat models know it.

    Of what the assistant said it holds what was heard. A "tool" message answers the call ``tool_call_id``.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the mind may call; ``parameters`` is the JSON schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next characters of the reply."""

    text: str


Thought = TextDelta | ToolCall


class MindError(Exception):
    """No reply, or no more of it.

    ``reason`` is all that a client is told, ``brief`` what stands in logs: it may name what only the operator
    needs to know. ``said`` is what the other side has to say of it. It may quote the conversation, or the
    operator's account, and is told to those alone who have asked for texts in their logs.
    """

    def __init__(self, reason: str, brief: str = "", said: str = "") -> None:
        self.reason = reason
        self.brief = brief or reason
        super().__init__(f"{self.brief}: {said}" if said else self.brief)


class Mind(Protocol):
    """Thinks of replies, for any number of conversations at a time."""

    def reply(self, messages: Sequence[Message], tools: Sequence[Tool]) -> AsyncIterator[Thought]:
        """The reply to the last of ``messages``, as it is being written.

        Closing or cancelling the iteration stops it. Raises :class:`MindError`.
        """
        ...
