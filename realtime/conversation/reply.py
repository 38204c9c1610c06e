"""One reply while it is thought of, spoken and heard; and what of it belongs into the history."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from realtime.mind.base import Message, ToolCall
from realtime.turns import Turn

# What the mind is told of a tool whose result nobody waited for.
UNANSWERED = "no result: the caller interrupted"


@dataclass(slots=True)
class _Part:
    """What becomes one message: text that begins at ``start`` of the reply's, and the tools called with it.

    Of a part that is not ``kept`` nothing enters the history.
    """

    start: int
    kept: bool
    text: str = ""
    calls: list[ToolCall] = field(default_factory=list)


@dataclass(slots=True)
class Reply:
    """What the agent says in one go: the answer to a turn, or something of its own accord.

    ``answers`` is the caller's turn, if it was spoken; ``asked`` when it was over, ``first_token`` when the mind
    began to write, ``first_audio`` when the first sound left, which may be a filler's; ``silent_since`` since
    when nothing has come of it or of a tool. ``thinking`` says that the mind is at work, ``called`` that it has
    called tools since it was asked last, ``begun`` that there is an utterance for the reply, ``closed`` that no
    text will follow, ``filled`` that the wait for it was. ``heard`` counts characters; ``results`` are by the id
    of the call, as are those that are ``overdue``.
    """

    turn: int
    answer: bool
    protected: bool = False
    answers: Turn | None = None
    asked: float = 0.0
    first_token: float | None = None
    first_audio: float | None = None
    silent_since: float = 0.0
    rounds: int = 0
    thinking: bool = False
    called: bool = False
    begun: bool = False
    closed: bool = False
    filled: bool = False
    heard: int = 0
    text: str = ""
    results: dict[str, str] = field(default_factory=dict)
    overdue: set[str] = field(default_factory=set)
    _parts: list[_Part] = field(default_factory=list)

    @property
    def audible(self) -> bool:
        """Whether its first sound has left."""
        return self.first_audio is not None

    @property
    def calls(self) -> list[ToolCall]:
        """All tools that were called."""
        return [call for part in self._parts for call in part.calls]

    @property
    def waits(self) -> bool:
        """Whether the result of a tool is missing."""
        return any(call.id not in self.results for call in self.calls)

    @property
    def works(self) -> bool:
        """Whether more is to come of the mind or of a tool."""
        return self.thinking or (self.called and not self.closed)

    def nearly_over(self, words: int) -> bool:
        """Whether all its text is there, and so few words of it have not been heard."""
        return self.closed and len(self.text[self.heard :].split()) <= words

    def think(self) -> None:
        """The mind is asked: what it says now is a message of its own."""
        self.thinking, self.called = True, False
        self.rounds += 1
        self._parts.append(_Part(len(self.text), kept=True))

    def call(self, call: ToolCall) -> None:
        """The mind calls a tool."""
        self.called = True
        self._part(kept=True).calls.append(call)

    def write(self, text: str, *, kept: bool) -> str:
        """More text; returns what is to be spoken: each message is set apart from the one before."""
        part = self._part(kept)
        if not part.text:
            text = text.lstrip()
            if text and self.text and not self.text[-1].isspace():
                text = " " + text
        part.text += text
        self.text += text
        return text

    def messages(self, heard: int | None = None) -> Iterator[Message]:
        """The messages of the first ``heard`` characters; of all of them if None."""
        for part in self._parts:
            if not part.kept:
                continue
            text = (part.text if heard is None else part.text[: max(0, heard - part.start)]).strip()
            if part.calls or text:
                yield Message("assistant", text, tuple(part.calls))
            for call in part.calls:
                yield Message("tool", self.results.get(call.id, UNANSWERED), tool_call_id=call.id)

    def spoken(self, heard: int | None = None) -> str:
        """The text of these messages."""
        return " ".join(
            message.content for message in self.messages(heard) if message.role == "assistant"
        ).strip()

    def _part(self, kept: bool) -> _Part:
        """The one that is being written, or a new one."""
        if not self._parts or self._parts[-1].kept != kept:
            self._parts.append(_Part(len(self.text), kept))
        return self._parts[-1]
