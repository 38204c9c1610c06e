"""What a client may ask of a conversation, and what it is told of it."""

from dataclasses import dataclass

from realtime.utterance import SpokenWord

# -- what a client with a channel may ask ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Say:
    """Speak a text, after what is being spoken. ``protected``: neither voice nor key stops it."""

    text: str
    protected: bool = False


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop speaking and thinking."""


@dataclass(frozen=True, slots=True)
class UserText:
    """A turn of the caller that was typed."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a :class:`ToolCalled`."""

    call_id: str
    content: str


@dataclass(frozen=True, slots=True)
class Instruct:
    """Other instructions for the mind, from its next reply on."""

    instructions: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Hang up when what is being said has been heard, and the caller has been answered if he speaks by then."""


Command = Say | Interrupt | UserText | ToolResult | Instruct | Leave


# -- what a client is told ------------------------------------------------------------------------------
# A turn of the caller and the reply to it have one number; what the agent says of its own accord has its own.


@dataclass(frozen=True, slots=True)
class CallerStarted:
    """The caller's voice is heard."""


@dataclass(frozen=True, slots=True)
class CallerStopped:
    """The caller's voice is not heard any more."""


@dataclass(frozen=True, slots=True)
class TranscriptPartial:
    """The caller's turn as far as it is understood; may change."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class TranscriptFinal:
    """The caller's turn as far as it goes; more words may follow, the words before them stay."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The caller's turn is thought to be over: this is what the mind is given.

    One that he goes on with before any of the reply was heard ends again, as the next, with all of its words.
    """

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """The mind was asked for a reply."""

    turn: int


@dataclass(frozen=True, slots=True)
class ReplyText:
    """The next words of the reply, which will be spoken."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class SpokenWords:
    """Words that have just been heard; times and characters are those of the whole reply."""

    turn: int
    words: tuple[SpokenWord, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """The agent fell silent because a voice is heard: :class:`Resumed` or :class:`Interrupted` follows."""

    turn: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """It was no interruption: the agent goes on where it was."""

    turn: int


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The reply was broken off; ``text`` is what was heard of it."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class ReplyEnded:
    """The reply was heard to its end."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The mind wants a tool to be run: :class:`ToolResult` is awaited. ``arguments`` are JSON."""

    turn: int
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class MindFailed:
    """The mind gave no reply, or only part of one."""

    turn: int
    reason: str


@dataclass(frozen=True, slots=True)
class SpeechFailed:
    """The reply could not be spoken (further)."""

    turn: int
    reason: str


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long a reply took, each in seconds from the end of the caller's voice.

    ``transcript`` is when his words were known, ``decided`` when his turn was thought to be over, ``first_token``
    when the mind began to write, ``first_audio`` when the agent was first heard: before the first token if that
    was a filler. Told as soon as both are there.
    """

    turn: int
    transcript: float
    decided: float
    first_token: float
    first_audio: float


@dataclass(frozen=True, slots=True)
class Ended:
    """The conversation is over; with ``error`` if it did not end well."""

    error: str | None = None


ConversationEvent = (
    CallerStarted
    | CallerStopped
    | TranscriptPartial
    | TranscriptFinal
    | TurnEnded
    | Thinking
    | ReplyText
    | SpokenWords
    | Held
    | Resumed
    | Interrupted
    | ReplyEnded
    | ToolCalled
    | MindFailed
    | SpeechFailed
    | Latencies
    | Ended
)
