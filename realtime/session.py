"""The conversation with one client as a state machine: several utterances, one after the other or side by side.

Sans-I/O: what the client does and what the engine did go in with a time, what is to be done comes out as
actions. It decides what is legal and when something has been forgotten; an utterance's own logic is in
:mod:`realtime.utterance`.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

from engine import EngineError, WordTime
from realtime.request import SpeechRequest
from realtime.utterance import Action, ChunkInfo, Finished, Log, SpokenWord, Utterance

# The one context of a client that names none: Fish Audio's own protocol.
DEFAULT_CONTEXT = ""
# A client that goes on sending text to a context that is not open is told so once, for so many contexts.
_TOLD = 64


class Task(NamedTuple):
    """Something to be done, or to be told to the client, for one of its contexts.

    ``request`` is that of the utterance which it is about, if it is about one.
    """

    context: str
    action: Action
    request: SpeechRequest | None = None


class Session:
    """One client's session. Each context has one utterance at a time; contexts know nothing of each other.

    After each call, :meth:`tasks` says what to do, and :attr:`due` when to call :meth:`poll` at the latest.
    ``max_contexts`` may be open at once; one that is silent and untouched for ``context_seconds`` is closed.
    """

    def __init__(
        self,
        *,
        max_queued: int = 4,
        max_pending: int = 1_000_000,
        max_contexts: int = 16,
        context_seconds: float = 3600.0,
    ) -> None:
        self._max_queued = max_queued
        self._max_pending = max_pending
        self._max_contexts = max_contexts
        self._context_seconds = context_seconds
        self._utterances: dict[str, tuple[Utterance, list[Action]]] = {}
        self._told: OrderedDict[str, bool] = OrderedDict()  # and whether a stop has come since
        self._tasks: list[Task] = []

    def tasks(self) -> list[Task]:
        """What is to be done now, in order. Each is returned once."""
        tasks, self._tasks = self._tasks, []
        return tasks

    @property
    def due(self) -> float | None:
        """When something may have to be done although nothing happens."""
        times = [self._forgotten_at(utterance) for utterance, _ in self._utterances.values()]
        times += [utterance.due for utterance, _ in self._utterances.values() if utterance.due is not None]
        return min(times, default=None)

    @property
    def pending(self) -> int:
        """Characters of text that have not been given to the engine yet."""
        return sum(utterance.pending for utterance, _ in self._utterances.values())

    def active(self, context: str = DEFAULT_CONTEXT) -> bool:
        """Whether an utterance is open in the context."""
        return context in self._utterances

    def takes_text(self, context: str = DEFAULT_CONTEXT) -> bool:
        """Whether text of the context would be spoken: its utterance is open, and has not been stopped."""
        open_ = self._utterances.get(context)
        return open_ is not None and not open_[0].stopped

    # -- what the client does -----------------------------------------------------------------------

    def start(self, request: SpeechRequest, now: float, context: str = DEFAULT_CONTEXT) -> None:
        """Begin an utterance. While one is open in the context this is an error, and ends it."""
        self._told.pop(context, None)
        if (open_ := self._utterances.get(context)) is not None:
            open_[0].break_off("start: the utterance before has not been stopped; send stop and await finish")
            self._collect(context)
        elif len(self._utterances) >= self._max_contexts:
            self._refuse(context, f"start: {self._max_contexts} contexts are open, and no more may be")
        else:
            actions: list[Action] = []
            utterance = Utterance(
                request,
                actions,
                now,
                max_queued=self._max_queued,
                max_pending=self._max_pending,
            )
            self._utterances[context] = utterance, actions
            self._collect(context)

    def text(self, text: str, now: float, context: str = DEFAULT_CONTEXT, *, last: bool = False) -> None:
        """More text of the context's utterance; the ``last`` of it is as good as a stop, and better cut."""
        if utterance := self._taking(context, "text"):
            utterance.text(text, now, last=last)
            self._collect(context)

    def flush(self, now: float, context: str = DEFAULT_CONTEXT) -> None:
        """Speak all text that is there; the utterance goes on."""
        if utterance := self._taking(context, "flush"):
            utterance.flush(now)
            self._collect(context)

    def stop(self, now: float, context: str = DEFAULT_CONTEXT) -> None:
        """No more text: speak what is there, then finish."""
        if utterance := self._taking(context, "stop"):
            utterance.stop(now)
            self._collect(context)

    def cancel(self, now: float, context: str = DEFAULT_CONTEXT) -> None:
        """Stop speaking, and say what was heard. Legal until the finish, and even then no error."""
        if (open_ := self._utterances.get(context)) is not None:
            open_[0].cancel(now)
            self._collect(context)
        else:
            self._tasks.append(Task(context, Log("cancel: no utterance is open; nothing to cancel")))

    def played(self, seconds: float, now: float, context: str = DEFAULT_CONTEXT) -> None:
        """The client has played so many seconds of the utterance's audio. Void if it is over."""
        if (open_ := self._utterances.get(context)) is not None:
            open_[0].played(seconds, now)
            self._collect(context)

    def warn(self, message: str, context: str = DEFAULT_CONTEXT) -> None:
        """Tell the client something; nothing ends."""
        self._tasks.append(Task(context, Log(message)))

    def reject(self, reason: str, context: str = DEFAULT_CONTEXT, *, start: bool = False) -> None:
        """The client sent something that cannot be done: that ends the context's utterance.

        If it was a ``start`` it is answered in any case.
        """
        if start:
            self._told.pop(context, None)
        if (open_ := self._utterances.get(context)) is not None:
            open_[0].break_off(reason)
            self._collect(context)
        else:
            self._refuse(context, reason)

    def disconnect(self) -> None:
        """The client is gone."""
        for context, (utterance, _) in list(self._utterances.items()):
            utterance.disconnect()
            self._collect(context)

    # -- what the engine did ------------------------------------------------------------------------

    def spoke(
        self, context: str, seconds: float, words: Sequence[WordTime], now: float, *, last: bool
    ) -> tuple[ChunkInfo, tuple[SpokenWord, ...]]:
        """Speech of one line of the context's open utterance leaves; see :meth:`Utterance.spoke`."""
        told = self._utterances[context][0].spoke(seconds, words, now, last=last)
        self._collect(context)
        return told

    def ended(self, context: str) -> None:
        """The context's utterance was spoken to its end and its container is complete."""
        self._utterances[context][0].ended()
        self._collect(context)

    def failed(self, context: str, cause: EngineError) -> None:
        """The context's utterance cannot be spoken (further). Void if it is over."""
        if (open_ := self._utterances.get(context)) is not None:
            open_[0].break_off(str(cause), cause)
            self._collect(context)

    # -- time ---------------------------------------------------------------------------------------

    def poll(self, now: float) -> None:
        """Give the engine what is due by now, and close what was forgotten."""
        for context, (utterance, _) in list(self._utterances.items()):
            if now >= self._forgotten_at(utterance):
                if utterance.silent:
                    utterance.break_off(f"nothing was sent for {self._context_seconds:g} s", forgotten=True)
                else:
                    utterance.touched = now  # it is still speaking
            elif utterance.due is not None and utterance.due <= now:
                utterance.poll(now)
            self._collect(context)

    # -- inside -------------------------------------------------------------------------------------

    def _forgotten_at(self, utterance: Utterance) -> float:
        """When an utterance that is left alone is given up: one sum for all who ask, since sums are rounded."""
        return utterance.touched + self._context_seconds

    def _taking(self, context: str, event: str) -> Utterance | None:
        """The utterance if ``event`` is legal now; otherwise the client is told.

        Of text only once until its next start, for it comes in many pieces. The first stop behind the finish that
        told it was answered by that: it may have been on its way.
        """
        open_ = self._utterances.get(context)
        if open_ is None:
            reason = f"{event}: no utterance is open; send start first"
            told_of_stop = self._told.get(context)
            if told_of_stop and event == "stop":
                del self._told[context]
            if told_of_stop is not None and event == "flush":
                self._tasks.append(Task(context, Log(reason)))
            self._refuse(context, reason)
            if event == "stop":
                self._told[context] = True
            return None
        if open_[0].stopped:
            self._tasks.append(
                Task(context, Log(f"{event}: ignored after stop; await finish, then send start"))
            )
            return None
        return open_[0]

    def _refuse(self, context: str, reason: str) -> None:
        """Answer something that has no utterance to belong to, unless the client has been told already."""
        if context not in self._told:
            self._tasks += [Task(context, Log(reason)), Task(context, Finished(reason))]
            self._tell(context)

    def _tell(self, context: str) -> None:
        self._told[context] = False
        while len(self._told) > _TOLD:
            self._told.popitem(last=False)

    def _collect(self, context: str) -> None:
        """Take over what an utterance wants done, and forget it when it is over."""
        utterance, actions = self._utterances[context]
        self._tasks += [Task(context, action, utterance.request) for action in actions]
        if utterance.over:
            del self._utterances[context]
            if any(isinstance(action, Finished) and action.error for action in actions):
                self._tell(context)
        actions.clear()
