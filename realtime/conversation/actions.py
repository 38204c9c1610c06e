"""What a conversation wants done; what it wants told are :data:`ConversationEvent`."""

from dataclasses import dataclass

from realtime.conversation.events import ConversationEvent
from realtime.mind.base import Message


@dataclass(frozen=True, slots=True)
class Think:
    """Ask the mind; its thoughts go to :meth:`Conversation.thought`, then its end."""

    turn: int
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class StopThinking:
    """The thoughts of the turn are not wanted any more."""

    turn: int


@dataclass(frozen=True, slots=True)
class Judge:
    """Ask the judge of turns, if there is one, about the audio up to now."""

    question: int


@dataclass(frozen=True, slots=True)
class BeginReply:
    """A reply is going to be spoken, in an utterance of its own."""

    turn: int


@dataclass(frozen=True, slots=True)
class SayText:
    """More text of the reply; with ``flush`` it is not to wait for what follows."""

    turn: int
    text: str
    flush: bool = False


@dataclass(frozen=True, slots=True)
class EndReply:
    """No more text follows in this reply."""

    turn: int


@dataclass(frozen=True, slots=True)
class Hold:
    """Fall silent, and stay so until :class:`Resume` or :class:`CancelReply`."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on where the caller was."""


@dataclass(frozen=True, slots=True)
class CancelReply:
    """Not a sound of this reply any more; what was held is held no longer."""

    turn: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the client."""

    event: ConversationEvent


@dataclass(frozen=True, slots=True)
class HangUp:
    """The conversation is over."""


Action = (
    Think
    | StopThinking
    | Judge
    | BeginReply
    | SayText
    | EndReply
    | Hold
    | Resume
    | CancelReply
    | Tell
    | HangUp
)
