"""The conversation with one caller as a state machine.

Sans-I/O: what is heard, thought and spoken goes in with a time, what is to be done comes out as actions. When a
turn is over is decided in :mod:`realtime.turns`.
"""

from collections import deque

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
from realtime.conversation.config import AgentConfig
from realtime.conversation.events import (
    CallerStarted,
    CallerStopped,
    Command,
    ConversationEvent,
    Ended,
    Held,
    Instruct,
    Interrupt,
    Interrupted,
    Latencies,
    Leave,
    MindFailed,
    ReplyEnded,
    ReplyText,
    Resumed,
    Say,
    SpeechFailed,
    SpokenWords,
    Thinking,
    ToolCalled,
    ToolResult,
    TranscriptFinal,
    TranscriptPartial,
    TurnEnded,
    UserText,
)
from realtime.conversation.history import MAX_TURN, History
from realtime.conversation.keypad import Keypad
from realtime.conversation.reply import Reply
from realtime.ears import Final, ListeningEvent, Partial, VoiceStarted, VoiceStopped
from realtime.ears.recogniser import joined
from realtime.mind.base import Message, TextDelta, Thought
from realtime.turns import HEARING_PAUSE, Turn, Turns, is_backchannel, is_interjection
from realtime.utterance import SpokenWord

# Who says "yes" over the last words of a question answers it.
_NEARLY_OVER_WORDS = 2
_MOST_SAYS = 100
# Nobody says a word in less.
_SHORTEST = 0.2


class Conversation:
    """Who speaks when. The agent listens, thinks, speaks, or is held while it is open whether it is interrupted.

    After each call, :meth:`actions` says what to do, and :attr:`due` when to call :meth:`poll` at the latest.
    There is one reply at a time. A voice holds it at once; words, but for back-channels, cancel it. What was
    heard of it is in the history; if nothing was, the caller's next words join those before.
    """

    def __init__(self, config: AgentConfig, hearing_pause: float = HEARING_PAUSE) -> None:
        self._config = config
        self._instructions = config.instructions
        self._turns = Turns(config.pauses, hearing_pause)
        self._keypad = Keypad(config.digits_pause)
        self._history = History(config.max_history)
        self._actions: list[Action] = []
        self._numbers = 0
        self._turn: int | None = None  # the caller's, if he has said something
        self._reply: Reply | None = None
        self._held_since: float | None = None
        self._voice_since = 0.0  # when the last voice began
        self._wordless = False  # the voice has been listened to, and has no words so far
        self._failed_him = False  # the mind had no answer to his last turn, and he may say it again
        self._pending = ""  # what the caller said while he could not interrupt
        self._says: deque[Say] = deque()
        self._leaving = False
        self.over = False

    @property
    def history(self) -> tuple[Message, ...]:
        """What was said and heard by now, without the reply that is under way."""
        return self._history.messages

    @property
    def held(self) -> bool:
        """Whether the agent waits to find out if it is interrupted."""
        return self._held_since is not None

    def actions(self) -> list[Action]:
        """What is to be done now, in order. Each is returned once."""
        actions, self._actions = self._actions, []
        return actions

    # -- beginning and end --------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """The caller is there."""
        if self._config.greeting:
            self._says.append(Say(self._config.greeting, self._config.greeting_protected))
            self._next(now)

    def hang_up(self, now: float, error: str | None = None) -> None:
        """The caller is gone, or cannot be served any longer."""
        if self.over:
            return
        self._break_off()
        self.over = True
        self._tell(Ended(error))

    # -- the caller ---------------------------------------------------------------------------------

    def hear(self, event: ListeningEvent, now: float) -> None:
        """The ear has heard something of the caller."""
        if self.over:
            return
        known = self._turns.text
        self._turns.hear(event, now)
        self._wordless |= isinstance(event, Partial | Final)
        match event:
            case VoiceStarted():
                self._tell(CallerStarted())
                self._voice_since = now
                self._wordless &= self.held  # what holds the agent is still the same
                self._hold(now)
            case VoiceStopped():
                self._tell(CallerStopped())
                self._actions.append(Judge(self._turns.question))
            case Partial(start, end, text) if text:
                guess = self._turns.guess
                self._tell(TranscriptPartial(self._callers_turn(), guess))
                alone = guess == text.strip()
                if not self._listens(guess) and self._meant(guess, end - start if alone else None):
                    self._go_on()
            case Final(start, end, text):
                if self._turns.text != known:
                    self._tell(TranscriptFinal(self._callers_turn(), self._turns.text))
                alone = self._turns.text == text.strip()
                self._decide(end - start if alone else None)
        self._take_turn(now)
        self._next(now)

    def deafened(self, now: float) -> None:
        """The ear began anew: what was under way in it is lost."""
        if self.over:
            return
        if self._turns.speaking:
            self._tell(CallerStopped())
        self._turns.deafened()
        self._decide()
        self._take_turn(now)
        self._next(now)

    def judged(self, question: int, complete: float, now: float) -> None:
        """The judge's answer to :class:`Judge`."""
        self._turns.judged(question, complete)
        self._take_turn(now)

    def digit(self, digit: str, now: float) -> None:
        """The caller pressed a key."""
        if self.over:
            return
        if self._config.digits_interrupt and self._reply is not None and not self._reply.protected:
            self._break_off()
        self._keypad.press(digit, now)
        self._take_turn(now)

    def command(self, command: Command, now: float) -> None:
        """The client wants something."""
        if self.over:
            return
        match command:
            case Say():
                if len(self._says) < _MOST_SAYS:
                    self._says.append(command)
            case Interrupt():
                self._says.clear()
                self._pending = ""
                self._break_off()
            case UserText(text) if text.strip():
                self._interrupt()
                said = joined([self._turns.text, text])
                self._turns.discard()
                self._ended(said, now)
            case ToolResult(call_id, content):
                self._result(call_id, content, now)
            case Instruct(instructions):
                self._instructions = instructions
            case Leave():
                self._leaving = True
        self._next(now)

    # -- the mind -----------------------------------------------------------------------------------

    def thought(self, turn: int, thought: Thought, now: float) -> None:
        """The mind goes on with its reply."""
        if (reply := self._thinking(turn)) is None:
            return
        reply.silent_since = now
        if reply.first_token is None:
            reply.first_token = now
            self._tell_latencies(reply)
        if isinstance(thought, TextDelta):
            self._speak(reply, thought.text)
        else:
            reply.call(thought)
            self._tell(ToolCalled(turn, thought.id, thought.name, thought.arguments))

    def thought_done(self, turn: int, now: float) -> None:
        """The mind's reply is complete."""
        if (reply := self._thinking(turn)) is None:
            return
        reply.thinking = False
        reply.silent_since = now
        if not reply.called:
            self._close(reply, now)
        elif not reply.waits:
            self._think(reply, now)
        elif reply.begun:
            self._actions.append(SayText(turn, "", flush=True))

    def thought_failed(self, turn: int, reason: str, now: float) -> None:
        """The mind has no (further) reply."""
        if (reply := self._thinking(turn)) is None:
            return
        reply.thinking = False
        self._failed(reply, reason, now)

    # -- the mouth ----------------------------------------------------------------------------------

    def began(self, turn: int, now: float) -> None:
        """The reply's first sound has left."""
        if (reply := self._speaking(turn)) is None or reply.audible:
            return
        reply.first_audio = now
        self._tell_latencies(reply)

    def heard(self, turn: int, words: tuple[SpokenWord, ...], now: float) -> None:
        """The caller has heard words of the reply."""
        if (reply := self._speaking(turn)) is not None:
            reply.heard = max(reply.heard, *(word.end_char for word in words))
            self._tell(SpokenWords(turn, words))

    def reply_over(self, turn: int, error: str | None, now: float) -> None:
        """The reply was heard to its end, or as far as it could be spoken."""
        if (reply := self._speaking(turn)) is None:
            return
        if error is not None:
            self._tell(SpeechFailed(turn, error))
        else:
            reply.heard = len(reply.text)
        self._finish(reply)
        self._next(now)

    # -- time ---------------------------------------------------------------------------------------

    @property
    def due(self) -> float | None:
        """When something may have to be done although nothing happens."""
        if self.over:
            return None
        times = [
            self._turns.due,
            self._keypad.due,
            self._release_at,
            self._claim_at,
            self._fill_at,
            self._give_up_at,
        ]
        return min((time for time in times if time is not None), default=None)

    def poll(self, now: float) -> None:
        """Do what is due by now."""
        if self.over:
            return
        if self._release_at is not None and now >= self._release_at:
            self._resume()
        if (reply := self._reply) is not None and self._fill_at is not None and now >= self._fill_at:
            reply.filled = True
            self._speak(reply, self._config.filler, kept=False)
        if self._give_up_at is not None and now >= self._give_up_at:
            self._give_up(now)
        self._take_turn(now)
        self._next(now)

    @property
    def _release_at(self) -> float | None:
        return None if self._held_since is None else self._held_since + self._patience

    @property
    def _claim_at(self) -> float | None:
        """When the agent stops waiting for a voice without words to say what it has to, or to leave."""
        if self._reply is not None or self._keypad.due is not None or not (self._says or self._leaving):
            return None
        return self._voice_since + self._patience if self._turns.open and not self._turns.guess else None

    @property
    def _patience(self) -> float:
        # A recogniser that is slow gets as much time again.
        return self._config.max_hold * (1 if self._wordless else 2)

    @property
    def _fill_at(self) -> float | None:
        reply = self._reply
        if reply is None or not reply.works or reply.filled or not self._config.filler or reply.text:
            return None
        return reply.asked + self._config.filler_after

    @property
    def _give_up_at(self) -> float | None:
        reply = self._reply
        if reply is None or not reply.works:
            return None
        patience = self._config.mind_seconds if reply.thinking else self._config.tool_seconds
        return reply.silent_since + patience

    def _give_up(self, now: float) -> None:
        """Neither the mind nor a tool is waited for any longer."""
        reply = self._reply
        assert reply is not None
        if reply.thinking:
            reply.thinking = False
            self._actions.append(StopThinking(reply.turn))
            self._failed(reply, f"nothing came for {self._config.mind_seconds:g} s", now)
        else:
            for call in reply.calls:
                if call.id not in reply.results:
                    reply.results[call.id] = f"no result within {self._config.tool_seconds:g} s"
                    reply.overdue.add(call.id)
            self._think(reply, now)

    # -- whose turn it is ---------------------------------------------------------------------------

    def _take_turn(self, now: float) -> None:
        if self.over:
            return
        if (turn := self._turns.take(now)) is not None:
            self._ended(turn.text, now, turn)
        if (digits := self._keypad.take(now)) is not None:
            self._ended(digits, now)

    def _ended(self, text: str, now: float, turn: Turn | None = None) -> None:
        """The caller's turn is over; ``turn`` if he spoke it."""
        if self._reply is not None:
            self._pending = joined([self._pending, text])[-MAX_TURN:]
            return
        number = self._callers_turn()
        self._turn = None
        self._history.caller(text, again=self._failed_him)
        self._failed_him = False
        self._tell(TurnEnded(number, text))
        self._reply = Reply(number, answer=True, answers=turn, asked=now)
        self._tell(Thinking(number))
        self._think(self._reply, now)
        if self._turns.speaking:
            self._hold(now)

    def _next(self, now: float) -> None:
        """With nothing to be said, go on with what waits."""
        while self._reply is None and not self.over:
            if self._says and (self._says[0].protected or not self._has_floor(now)):
                self._say(self._says.popleft())
            elif self._pending:
                text, self._pending = self._pending, ""
                self._ended(text, now)
            else:
                if self._leaving and not self._says and not self._has_floor(now):
                    self._leaving = False
                    self._actions.append(HangUp())
                return

    def _has_floor(self, now: float) -> bool:
        """Whether the caller is saying something, or pressing keys."""
        if self._keypad.due is not None:
            return True
        return self._turns.open and (bool(self._turns.guess) or now < self._voice_since + self._patience)

    def _decide(self, seconds: float | None = None) -> None:
        """A phrase is known: is the agent interrupted by it, or did the caller cough, or show that he listens?"""
        if (reply := self._reply) is None:
            return
        text = self._turns.text
        # What cannot be stopped goes on anyhow, so that nothing speaks against an answer after it.
        answers = not self._interruptible(reply) or reply.nearly_over(_NEARLY_OVER_WORDS)
        worded = any(map(str.isalnum, text))
        if self._meant(text, seconds) and (not self._listens(text) or (worded and answers)):
            self._go_on()
        else:
            self._turns.discard()
            if not self._turns.speaking:
                self._resume()

    def _listens(self, text: str) -> bool:
        """Whether these words are no turn while the agent speaks."""
        return is_backchannel(text, self._config.language)

    def _meant(self, text: str, seconds: float | None) -> bool:
        """Whether a turn of a single phrase as short as this was really said in these words."""
        if (reply := self._reply) is None or seconds is None:
            return True
        if not reply.audible or reply.nearly_over(_NEARLY_OVER_WORDS):  # little is lost if it was not
            return seconds >= _SHORTEST
        if seconds >= self._config.cough or is_interjection(text, self._config.language):
            return True
        return seconds >= _SHORTEST and self._listens(text) and not self._interruptible(reply)

    def _go_on(self) -> None:
        """The caller speaks words: he interrupts the agent, or goes on with a turn that was taken for over."""
        reply = self._reply
        if reply is None or not self._interrupt():
            return
        self._turns.insist()
        if self._failed_him and reply.audible:  # he was asked to say it again
            return
        if reply.answer and (text := self._history.take_back()) is not None:
            self._turns.reopen(text)

    def _interrupt(self) -> bool:
        """Break the reply off, if that is allowed."""
        if self._reply is None or not self._interruptible(self._reply):
            return False
        self._break_off()
        return True

    def _interruptible(self, reply: Reply) -> bool:
        return not reply.protected and (self._config.interruptible or not reply.audible)

    def _hold(self, now: float) -> None:
        """Somebody speaks: be silent until it is known what he says."""
        if (reply := self._reply) is None or self.held or not self._interruptible(reply):
            return
        self._held_since = now
        self._wordless = False
        self._actions.append(Hold())
        if reply.audible:
            self._tell(Held(reply.turn))

    def _resume(self) -> None:
        if self._reply is not None and self.held:
            self._held_since = None
            self._actions.append(Resume())
            if self._reply.audible:
                self._tell(Resumed(self._reply.turn))

    def _callers_turn(self) -> int:
        """The number of what the caller is saying."""
        if self._turn is None:
            self._numbers += 1
            self._turn = self._numbers
        return self._turn

    # -- replies ------------------------------------------------------------------------------------

    def _thinking(self, turn: int) -> Reply | None:
        return self._reply if self._reply and self._reply.turn == turn and self._reply.thinking else None

    def _speaking(self, turn: int) -> Reply | None:
        return self._reply if self._reply and self._reply.turn == turn and self._reply.begun else None

    def _say(self, say: Say) -> None:
        """Begin to speak of the agent's own accord."""
        self._numbers += 1
        self._reply = Reply(self._numbers, answer=False, protected=say.protected)
        self._speak(self._reply, say.text)
        if self._reply.begun:
            self._reply.closed = True
            self._actions.append(EndReply(self._reply.turn))
        else:
            self._reply = None

    def _think(self, reply: Reply, now: float) -> None:
        """Ask the mind, for the first time or with what came of its tools."""
        reply.silent_since = now
        if reply.rounds > self._config.max_tool_rounds:
            self._failed(reply, f"tools were called {reply.rounds} times in one reply", now)
            return
        system = (Message("system", self._instructions),) if self._instructions else ()
        messages = (*system, *self._history.messages, *reply.messages())
        reply.think()
        self._actions.append(Think(reply.turn, messages))

    def _speak(self, reply: Reply, text: str, *, kept: bool = True) -> None:
        """Have text spoken; at once if it is not ``kept``, for then nobody knows what follows."""
        if not (text := reply.write(text, kept=kept)):
            return
        if not reply.begun:
            reply.begun = True
            self._actions.append(BeginReply(reply.turn))
        self._actions.append(SayText(reply.turn, text, flush=not kept))
        self._tell(ReplyText(reply.turn, text))

    def _failed(self, reply: Reply, reason: str, now: float) -> None:
        self._failed_him = True
        self._tell(MindFailed(reply.turn, reason))
        self._speak(reply, self._config.apology, kept=False)
        self._close(reply, now)

    def _close(self, reply: Reply, now: float) -> None:
        """No more text comes."""
        if reply.begun:
            reply.closed = True
            self._actions.append(EndReply(reply.turn))
        else:
            self._finish(reply)
            self._next(now)

    def _finish(self, reply: Reply) -> None:
        """The reply is over, and was not interrupted."""
        if reply.thinking:
            self._actions.append(StopThinking(reply.turn))
        if self.held:
            self._held_since = None
            self._actions.append(Resume())
        self._reply = None
        self._history.agent(reply.messages(reply.heard))
        self._tell(ReplyEnded(reply.turn, reply.spoken(reply.heard)))

    def _break_off(self) -> None:
        """Not a sound and not a thought of the reply any more."""
        if (reply := self._reply) is None:
            return
        if reply.thinking:
            self._actions.append(StopThinking(reply.turn))
        if reply.begun:
            self._actions.append(CancelReply(reply.turn))
        elif self.held:
            self._actions.append(Resume())
        self._held_since = None
        self._reply = None
        self._history.agent(reply.messages(reply.heard))
        self._tell(Interrupted(reply.turn, reply.spoken(reply.heard)))

    def _result(self, call_id: str, content: str, now: float) -> None:
        """A tool has been run."""
        reply = self._reply
        if reply is None or all(call.id != call_id for call in reply.calls):
            self._history.result(call_id, content)
            return
        if call_id in reply.results and call_id not in reply.overdue:
            return
        reply.results[call_id] = content
        if call_id in reply.overdue:  # the mind has been asked without it; from the next time on it knows
            reply.overdue.remove(call_id)
            return
        reply.silent_since = now
        if reply.works and not reply.thinking and not reply.waits:
            self._think(reply, now)

    def _tell_latencies(self, reply: Reply) -> None:
        """Once both its first token and its first sound are there: a filler's comes before the token."""
        if reply.answers is None or reply.first_token is None or reply.first_audio is None:
            return
        moments = (reply.answers.known, reply.asked, reply.first_token, reply.first_audio)
        self._tell(Latencies(reply.turn, *(moment - reply.answers.ended for moment in moments)))

    def _tell(self, event: ConversationEvent) -> None:
        self._actions.append(Tell(event))
