"""A conversation in virtual time: a caller, a mind and a mouth, which check what the state machine does."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

from engine import StreamOptions
from engine.audio import output_format
from realtime import SpeechRequest
from realtime.conversation import AgentConfig, Conversation
from realtime.conversation.actions import (
    Action,
    BeginReply,
    CancelReply,
    EndReply,
    HangUp,
    Hold,
    Judge,
    Resume,
    SayText,
    StopThinking,
    Tell,
    Think,
)
from realtime.conversation.events import (
    Command,
    ConversationEvent,
    Ended,
    Interrupted,
    ReplyEnded,
)
from realtime.ears import Final, Partial, VoiceStarted, VoiceStopped
from realtime.mind.base import Message, TextDelta, ToolCall
from realtime.turns import HEARING_PAUSE
from realtime.utterance import SpokenWord

SPEECH = SpeechRequest(StreamOptions(("heart",)), output_format("pcm", 16000))
TICK = 0.02
PACE = 15.0  # characters that the agent speaks in a second
ONSET = 0.1  # from a voice's beginning until it is noticed
RECOGNISING = 0.1
EARLY = 0.25  # from a voice's end until it is understood, if it was quick


@dataclass(frozen=True)
class Thoughts:
    """What the mind does when it is asked: texts and calls after ``delay``, ``gap`` seconds apart."""

    thoughts: Sequence[str | ToolCall] = ()
    delay: float = 0.05
    gap: float = 0.02
    fails: str | None = None
    never_ends: bool = False


@dataclass
class Utterance:
    """What the mouth has of a reply."""

    turn: int
    text: str = ""
    closed: bool = False
    flushed: int = 0  # up to where the text is not waited for
    began: bool = False
    position: float = 0.0
    told: int = 0  # characters of words that were told as heard

    def heard(self) -> list[SpokenWord]:
        """Words that were heard to their half and not told yet."""
        words, at = [], self.told
        while at < len(self.text):
            while at < len(self.text) and self.text[at].isspace():
                at += 1
            end = at
            while end < len(self.text) and not self.text[end].isspace():
                end += 1
            whole = self.closed or end < len(self.text) or end <= self.flushed
            if at == end or not whole or (at + end) / 2 > self.position:
                break
            words.append(SpokenWord(self.text[at:end], at / PACE, end / PACE, at, end))
            at = self.told = end
        return words


@dataclass
class Stage:
    """Plays all parts but the conversation's, and asserts what must hold of every action."""

    config: AgentConfig = field(default_factory=lambda: AgentConfig(SPEECH))
    mind: Sequence[Thoughts] = ()  # one for each time it is asked; the last one for ever
    now: float = 100.0

    def __post_init__(self) -> None:
        self.conversation = Conversation(self.config)
        self.told: list[tuple[float, ConversationEvent]] = []
        self.actions: list[tuple[float, Action]] = []
        self.sounds: list[tuple[float, int]] = []  # when which reply was audible
        self.utterance: Utterance | None = None
        self.begun: set[int] = set()
        self.held = False
        self.asked: list[tuple[Message, ...]] = []
        self.active: int | None = None  # the turn that is being thought about
        self.thinking = 0  # which time
        self.hung_up = False
        self.spoken_of: dict[int, str] = {}  # what was heard of each reply, by the mouth
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    # -- time -----------------------------------------------------------------------------------------

    def at(self, when: float, what: Callable[[], None]) -> None:
        heappush(self._later, (when, next(self._order), what))

    def run(self, seconds: float) -> "Stage":
        until = self.now + seconds
        while self.now < until:
            self.now = min(until, self.now + TICK)
            while self._later and self._later[0][0] <= self.now:
                heappop(self._later)[2]()
                self.act()
            due = self.conversation.due
            if due is not None and due <= self.now:
                self.conversation.poll(self.now)
                self.act()
                again = self.conversation.due
                assert again is None or again > self.now, "it would be polled for ever"
            self._speak()
        return self

    def start(self) -> "Stage":
        self.conversation.start(self.now)
        self.act()
        return self

    # -- the caller -----------------------------------------------------------------------------------

    def say(
        self, text: str, seconds: float | None = None, after: float = 0.0, *, final: str | None = None
    ) -> float:
        """The caller speaks ``after`` some time; returns how long until he is silent and understood.

        In the end he is understood to have said ``final``, if that is not what it had sounded like.
        """
        seconds = max(0.3, len(text) / PACE) if seconds is None else seconds
        start, hear = self.now + after, self._hear
        self.at(start + ONSET, lambda: hear(VoiceStarted(start)))
        for moment in range(1, int(seconds) + 1):
            words = text.split()
            guess = " ".join(words[: max(1, round(len(words) * moment / seconds))])
            self.at(
                start + moment + RECOGNISING,
                lambda g=guess, until=start + moment: hear(Partial(start, until, g)),  # type: ignore[misc]
            )
        end = start + seconds
        if text:  # the ear looks early at what may be all of it
            self.at(end + EARLY, lambda: hear(Partial(start, end, text)))
        self.at(end + HEARING_PAUSE, lambda: hear(VoiceStopped(end)))
        known = text if final is None else final
        self.at(end + HEARING_PAUSE + RECOGNISING, lambda: hear(Final(start, end, known)))
        return after + seconds + HEARING_PAUSE + RECOGNISING

    def _hear(self, event: VoiceStarted | VoiceStopped | Partial | Final) -> None:
        self.conversation.hear(event, self.now)

    def do(self, command: Command) -> None:
        self.conversation.command(command, self.now)
        self.act()

    def digit(self, digit: str) -> None:
        self.conversation.digit(digit, self.now)
        self.act()

    def hang_up(self) -> None:
        self.conversation.hang_up(self.now)
        self.hung_up = True
        self.act(cleanup=True)
        assert self.active is None
        assert self.utterance is None

    # -- what it does ---------------------------------------------------------------------------------

    def act(self, *, cleanup: bool = False) -> None:
        for action in self.conversation.actions():
            self.actions.append((self.now, action))
            if self.hung_up:
                assert cleanup, f"{action} after the end"
                assert isinstance(action, StopThinking | CancelReply | Resume | Tell)
            self._check(action)

    def _check(self, action: Action) -> None:
        match action:
            case Think(turn, messages):
                assert self.active is None, "two thoughts at a time"
                self.active = turn
                self.asked.append(messages)
                assert messages[-1].role in ("user", "tool")
                self._ponder(turn)
            case StopThinking(turn):
                assert self.active == turn
                self.active = None
            case BeginReply(turn):
                assert self.utterance is None, "two replies at a time"
                assert turn not in self.begun
                self.begun.add(turn)
                self.utterance = Utterance(turn)
            case SayText(turn, text, flush):
                utterance = self._uttered(turn)
                assert not utterance.closed
                utterance.text += text
                if flush:
                    utterance.flushed = len(utterance.text)
            case EndReply(turn):
                assert not self._uttered(turn).closed
                self._uttered(turn).closed = True
            case CancelReply(turn):
                utterance = self._uttered(turn)
                self.spoken_of[turn] = utterance.text[: utterance.told]
                self.utterance, self.held = None, False
            case Hold():
                assert not self.held
                self.held = True
            case Resume():
                assert self.held
                self.held = False
            case Tell(event):
                self.told.append((self.now, event))
            case HangUp():
                assert self.utterance is None
            case Judge():
                pass

    def _uttered(self, turn: int) -> Utterance:
        assert self.utterance is not None
        assert self.utterance.turn == turn, "that reply is over"
        return self.utterance

    def _speak(self) -> None:
        """The mouth speaks for one tick."""
        utterance = self.utterance
        if utterance is None or self.held:
            return
        if utterance.position < len(utterance.text):
            self.sounds.append((self.now, utterance.turn))
            utterance.position = min(len(utterance.text), utterance.position + PACE * TICK)
            if not utterance.began:
                utterance.began = True
                self.conversation.began(utterance.turn, self.now)
                self.act()
            if self.utterance is utterance and (words := utterance.heard()):
                self.conversation.heard(utterance.turn, tuple(words), self.now)
                self.act()
        if self.utterance is utterance and utterance.closed and utterance.position >= len(utterance.text):
            self.spoken_of[utterance.turn] = utterance.text
            self.utterance = None
            self.conversation.reply_over(utterance.turn, None, self.now)
            self.act()

    def _ponder(self, turn: int) -> None:
        """The mind does what it does at this question."""
        script = self.mind[min(len(self.asked), len(self.mind)) - 1] if self.mind else Thoughts(["Well."])
        self.thinking += 1
        mine, at = self.thinking, self.now + script.delay

        def ask(what: Callable[[], None], ends: bool) -> Callable[[], None]:
            def run() -> None:
                if self.active == turn and self.thinking == mine:
                    if ends:
                        self.active = None
                    what()

            return run

        conversation = self.conversation
        for thought in script.thoughts:
            made = TextDelta(thought) if isinstance(thought, str) else thought
            self.at(at, ask(lambda made=made: conversation.thought(turn, made, self.now), ends=False))  # type: ignore[misc]
            at += script.gap
        if script.fails is not None:
            reason = script.fails
            self.at(at, ask(lambda: conversation.thought_failed(turn, reason, self.now), ends=True))
        elif not script.never_ends:
            self.at(at, ask(lambda: conversation.thought_done(turn, self.now), ends=True))

    # -- what came of it ------------------------------------------------------------------------------

    def events(self, *kinds: type[ConversationEvent]) -> list[ConversationEvent]:
        return [event for _, event in self.told if isinstance(event, kinds)]

    def when(self, kind: type) -> float:
        """When the first action or event of a kind came."""
        return next(at for at, thing in [*self.actions, *self.told] if isinstance(thing, kind))

    @property
    def history(self) -> list[tuple[str, str]]:
        return [(message.role, message.content) for message in self.conversation.history]

    def check_history(self, *fillers: str) -> None:
        """Of every reply that is over, the history holds what the mouth spoke aloud, but for what is not kept."""
        said = []
        for event in self.events(Interrupted, ReplyEnded):
            assert isinstance(event, Interrupted | ReplyEnded)
            heard = self.spoken_of.get(event.turn, "")
            for filler in fillers:
                for length in range(len(filler), 0, -1):  # it may have been broken off
                    if filler[:length] in heard:
                        heard = heard.replace(filler[:length], "", 1)
                        break
            assert event.text.split() == heard.split()
            said += event.text.split()
        kept = [word for role, text in self.history if role == "assistant" for word in text.split()]
        assert kept == said

    def ended(self) -> bool:
        return bool(self.events(Ended))
