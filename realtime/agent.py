"""The thin driver of a conversation: a line on one side; ears, a mind and a mouth on the other."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import replace
from time import monotonic
from typing import Any, Literal, Protocol

from engine.origin import current
from engine.speech import Pcm
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
    Held,
    Interrupted,
    Latencies,
    ReplyEnded,
    Resumed,
)
from realtime.ears import Ears, Final, HearingOverloaded, RecogniserFailed
from realtime.line import Digit, Heard, Line, LinePlayed
from realtime.microphone import Microphone
from realtime.mind.base import Message, Mind, MindError
from realtime.mouth import Began, EndHeard, Mouth, MouthEvent, WordsHeard
from realtime.observer import NOBODY, Answered, Floor, Observer, Thought
from realtime.outbox import Outbox
from realtime.speaker import Speaker
from realtime.turns import HEARING_PAUSE, JUDGED_SECONDS, TurnJudge

_MOST_WAITING = 1000  # events that a client has not taken, before it is given up
_LAST_WORDS = 1.0  # seconds in which a client has to take what it is told at the end
_BILLED_SECONDS = 1.0
_BETWEEN_QUESTIONS = 0.1  # seconds between two requests to a mind, however fast a client's turns follow
_MOST_FAILURES = 3  # of a recogniser, one after the other, before the conversation is given up

log = logging.getLogger(__name__)


class ClientGone(ConnectionError):
    """A client does not take what it is told."""


class Meter(Protocol):
    """Counts what a conversation uses. What it raises ends it, and is raised by :meth:`Agent.run`."""

    async def heard(self, seconds: float) -> None:
        """So much of the caller was listened to."""
        ...

    async def spoke(self, size: int) -> None:
        """So many bytes of text, in UTF-8, are being spoken."""
        ...


class Agent:
    """Converses with one caller, once. Engine, ears, mind and judge may be shared with others.

    It talks as ``config`` says; ``speaker`` makes it a voice. All its tasks are gone when :meth:`run` returns.
    """

    def __init__(
        self,
        speaker: Callable[[], Speaker],
        ears: Ears,
        mind: Mind,
        config: AgentConfig,
        *,
        meter: Meter | None = None,
        judge: TurnJudge | None = None,
        observer: Observer = NOBODY,
    ) -> None:
        self._speaker = speaker
        self._ears = ears
        self._mind = mind
        self._config = config
        self._meter = meter
        self._judge = judge
        self._observer = observer
        self._conversation = Conversation(_as_heard(config, ears))
        self._loop = asyncio.get_running_loop()
        self._mouth: Mouth | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopped: set[asyncio.Task[None]] = set()  # of these
        self._thinking: asyncio.Task[None] | None = None
        self._judging = asyncio.Lock()
        self._question = 0
        self._asked = float("-inf")  # when the mind was, last
        self._timer: asyncio.TimerHandle | None = None
        self._acting = False
        self._over = asyncio.Event()
        self._error: Exception | None = None
        self._untold = Outbox(_MOST_WAITING)
        self._used = asyncio.Event()  # something was that is to be counted
        self._seconds = 0.0  # heard and not counted
        self._bytes = 0  # of text, spoken and not counted
        self._all_used = False

    @property
    def history(self) -> tuple[Message, ...]:
        """What was said and heard by now, but for the reply that is under way."""
        return self._conversation.history

    def command(self, command: Command) -> None:
        """Have it do something, as its client could ask it to. Void unless it is running."""
        if self._mouth is not None:
            self._do(self._conversation.command, command)

    async def run(self, line: Line) -> None:
        """Converse until the line is hung up, or the agent hangs up.

        Raises :class:`HearingError` if the caller cannot be listened to, :class:`ClientGone`, what the meter
        raises, and what breaks.
        """
        self._speech = replace(self._config.speech, output=line.format.output)
        self._microphone = Microphone(line.format.hears_at, JUDGED_SECONDS)
        try:
            async with Mouth(self._speaker(), line, self._spoken) as self._mouth:
                await self._converse(line)
        except ExceptionGroup as group:  # the mouth is two tasks
            raise group.exceptions[0] from None
        finally:
            self._mouth = None
        if self._error is not None:
            raise self._error

    async def _converse(self, line: Line) -> None:
        closing = [self._own(self._tell(line))]
        if self._meter is not None:
            closing.append(self._own(self._count(self._meter)))
        try:
            self._own(self._take_in(line))
            self._own(self._hear(line.format.hears_at))
            await self._over.wait()
        finally:
            error = self._error or (self._mouth.error if self._mouth else None)
            self._do(self._conversation.hang_up, error=error and (str(error) or type(error).__name__))
            if self._timer is not None:
                self._timer.cancel()
            await _to_the_end(self._let_go(closing))

    async def _let_go(self, closing: Sequence[asyncio.Task[None]]) -> None:
        """End all tasks, those that are ``closing`` when they have told and counted the last of it."""
        others = self._tasks.difference(closing)
        for task in others:
            self._stop(task)
        await asyncio.gather(*others, return_exceptions=True)
        self._untold.close()
        self._all_used = True
        self._used.set()
        await asyncio.wait(closing, timeout=_LAST_WORDS)
        for task in closing:
            task.cancel()
        await asyncio.gather(*closing, return_exceptions=True)

    # -- events in, actions out ---------------------------------------------------------------------

    def _do(self, event: Callable[..., None], *about: object, **more: object) -> None:
        """Tell the conversation of something, and carry out what it decides."""
        assert self._mouth is not None
        self._mouth.notice()  # so that it knows what was heard by now
        event(*about, now=self._loop.time(), **more)
        self._act()

    def _spoken(self, event: MouthEvent) -> None:
        """The mouth tells what was heard."""
        conversation, turn, now = self._conversation, int(event.context), self._loop.time()
        match event:
            case Began():
                self._microphone.forget()
                conversation.began(turn, now)
            case WordsHeard(_, words):
                conversation.heard(turn, words, now)
            case EndHeard(_, error):
                conversation.reply_over(turn, error, now)
        self._act()

    def _act(self) -> None:
        if self._acting:  # what is being done had consequences: they are done next
            return
        self._acting = True
        try:
            while actions := self._conversation.actions():
                for action in actions:
                    self._carry_out(action)
        finally:
            self._acting = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if (due := self._conversation.due) is not None:
            self._timer = self._loop.call_at(due, self._poll)

    def _poll(self) -> None:
        try:
            self._do(self._conversation.poll)
        except Exception as error:
            log.exception("a conversation broke")
            self._fail(error)

    def _carry_out(self, action: Action) -> None:
        assert self._mouth is not None
        match action:
            case Think(turn, messages):
                self._thinking = self._own(self._think(turn, messages))
            case StopThinking():
                if self._thinking is not None:
                    self._stop(self._thinking)
                    self._thinking = None
            case BeginReply(turn):
                self._mouth.start(self._speech, str(turn))
            case SayText(turn, text, flush):
                self._bytes += len(text.encode())
                self._used.set()
                self._mouth.text(text, str(turn))
                if flush:
                    self._mouth.flush(str(turn))
            case EndReply(turn):
                self._mouth.stop(str(turn))
            case Hold():
                self._mouth.hold()
            case Resume():
                self._mouth.resume()
            case CancelReply(turn):
                self._mouth.drop(str(turn))
            case Judge(question):
                self._question = question
                if self._judge is not None:
                    self._own(self._ask(self._judge, question, self._microphone.lately()))
            case Tell(event):
                self._observe(event)
                if not self._untold.put(event):
                    self._fail(ClientGone("the client does not take what it is told"))
            case HangUp():
                self._over.set()

    def _observe(self, event: ConversationEvent) -> None:
        now = monotonic()
        match event:
            case Latencies(turn, transcript, decided, first_token, first_audio):
                ended = now - max(first_token, first_audio)  # behind a filler the token is the later one
                times = ended + transcript, ended + decided, ended + first_token
                self._observer.note(Answered(current(), ended + first_audio, turn, ended, *times))
            case Held(turn):
                self._observer.note(Floor(current(), now, turn, "held"))
            case Resumed(turn):
                self._observer.note(Floor(current(), now, turn, "resumed"))
            case Interrupted(turn):
                self._observer.note(Floor(current(), now, turn, "interrupted"))
            case ReplyEnded(turn):
                self._observer.note(Floor(current(), now, turn, "ended"))
            case _:
                pass

    # -- tasks --------------------------------------------------------------------------------------

    def _own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A task that ends the call if it fails."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _stop(self, task: asyncio.Task[None]) -> None:
        """Cancel a task of ours once: a second time would break off how it lets go of what it holds.

        ``task.cancelling()`` does not say whether that was done: a timeout of its own that is just running out
        counts there, too.
        """
        if not task.done() and task not in self._stopped:
            self._stopped.add(task)
            task.cancel()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._stopped.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        if self._over.is_set():
            log.warning("at the end of a conversation: %r", error)
            return
        self._error = error if isinstance(error, Exception) else RuntimeError(repr(error))
        self._over.set()

    async def _take_in(self, line: Line) -> None:
        """What comes from the line, until it is hung up."""
        async for event in line:
            match event:
                case Heard(pcm):
                    self._seconds += len(pcm) / line.format.hears_at
                    if self._seconds >= _BILLED_SECONDS:
                        self._used.set()
                    await self._microphone.put(pcm)
                case Digit(digit):
                    self._do(self._conversation.digit, digit)
                case LinePlayed():
                    assert self._mouth is not None
                    self._mouth.played(event)
                case command:
                    self._do(self._conversation.command, command)
        self._over.set()

    async def _hear(self, rate: int) -> None:
        """Listen; the conversation begins when that works. A recogniser that fails is tried again."""
        failures = 0
        started = False
        while True:
            language = self._config.language
            listening = self._ears.listen(rate, language, pause=HEARING_PAUSE, conversation=True)
            async with listening as ear:
                if not started:
                    self._do(self._conversation.start)
                    started = True
                feeding = self._own(self._microphone.feed(ear))
                try:
                    async for event in ear:
                        if isinstance(event, Final):
                            failures = 0
                        self._do(self._conversation.hear, event)
                    return
                except (RecogniserFailed, HearingOverloaded) as error:  # one far away may be asked too much
                    failures += 1
                    if failures == _MOST_FAILURES:
                        raise
                    log.warning("a caller was not understood: %s", error)
                    self._do(self._conversation.deafened)
                finally:
                    self._stop(feeding)
                    await asyncio.gather(feeding, return_exceptions=True)

    async def _think(self, turn: int, messages: Sequence[Message]) -> None:
        """Hand on what the mind thinks."""
        conversation = self._conversation
        if (early := self._asked + _BETWEEN_QUESTIONS - self._loop.time()) > 0:
            await asyncio.sleep(early)
        self._asked = self._loop.time()
        thoughts = self._mind.reply(messages, self._config.tools)
        asked, first = monotonic(), None
        outcome: Literal["stop", "error", "cancelled"] = "cancelled"
        try:
            async for thought in thoughts:
                first = first or monotonic()
                self._do(conversation.thought, turn, thought)
                await asyncio.sleep(0)  # hundreds may be in one packet: everybody else has his turn, too
        except MindError as error:
            log.warning("no reply: %s", error)
            outcome = "error"
            self._do(conversation.thought_failed, turn, error.reason)
        except Exception:
            log.exception("a mind broke")
            outcome = "error"
            self._do(conversation.thought_failed, turn, "internal error")
        else:
            outcome = "stop"
            self._do(conversation.thought_done, turn)
        finally:
            self._observer.note(Thought(current(), monotonic(), turn, asked, first, outcome))
            if isinstance(thoughts, AsyncGenerator):
                await thoughts.aclose()

    async def _ask(self, judge: TurnJudge, question: int, pieces: list[Pcm]) -> None:
        """Ask whether the caller's turn is complete, one question at a time."""
        async with self._judging:
            if question == self._question:
                complete = await asyncio.to_thread(lambda: judge.complete(self._microphone.joined(pieces)))
                self._do(self._conversation.judged, question, complete)

    async def _tell(self, line: Line) -> None:
        """Tell the client what happens, until there is nothing more to tell."""
        async for event in self._untold:
            await line.tell(event)

    async def _count(self, meter: Meter) -> None:
        """Have counted what is used, until that was the last of it."""
        over = False
        while not over:
            await self._used.wait()
            self._used.clear()
            over = self._all_used
            if self._bytes:
                size, self._bytes = self._bytes, 0
                await meter.spoke(size)
            if self._seconds >= _BILLED_SECONDS or (over and self._seconds):
                seconds, self._seconds = self._seconds, 0.0
                await meter.heard(seconds)


def _as_heard(config: AgentConfig, ears: Ears) -> AgentConfig:
    """With the language in which the caller's words will be written, if there is no other."""
    languages = ears.info.languages if ears.info else ()
    return replace(config, language=languages[0]) if len(languages) == 1 else config


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Have this done whole, also if who waits for it is cancelled; he is, when it is done."""
    task, cancelled = asyncio.create_task(work), None
    while not task.done():
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()
