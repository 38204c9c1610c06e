"""When the caller's turn is over, and what he said in it. Decides; does no I/O."""

from dataclasses import dataclass

from realtime.ears import Final, Finalized, ListeningEvent, Partial, VoiceStarted, VoiceStopped
from realtime.ears.recogniser import joined
from realtime.turns.threshold import PauseSettings, PauseThreshold

HEARING_PAUSE = 0.3
"""What pause ends a phrase for the ear: recognising begins then, long before the turn counts as over."""

_COMPLETE = 0.5
_ROUNDING = 1e-3


@dataclass(frozen=True, slots=True)
class Turn:
    """What a caller said in one go. Times are those that were given with the events.

    ``ended`` is when his voice ended, ``known`` when the last of his words was.
    """

    text: str
    ended: float
    known: float


class Turns:
    """One caller's turns, of the events of an ear that ends its phrases with a pause of ``hearing_pause`` s.

    A turn is over when the silence is long enough and all of it has been recognised; :meth:`take` hands it out
    once. :attr:`question` is a number that changes with each silence that a judge should be asked about.
    """

    def __init__(self, settings: PauseSettings, hearing_pause: float = HEARING_PAUSE) -> None:
        self._settings = settings
        self._threshold = PauseThreshold(settings)
        self._hearing_pause = hearing_pause
        self._parts: list[str] = []
        self._partial = ""
        self._paused = False  # within this turn
        self._fluent = False  # the turn that was taken last had no pause, as far as is known
        self._insisted = ""  # words of the open phrase that were acted upon
        self._worded = False  # there were words in the voice that is heard, or was the last
        # In seconds of the stream: when the voice stopped, and how far it has been recognised.
        self._stopped = self._final = 0.0
        self._ended = self._known = 0.0
        self._wait = settings.pause
        self.speaking = False
        self.question = 0

    @property
    def text(self) -> str:
        """What is known of the turn for certain."""
        return joined(self._parts)

    @property
    def guess(self) -> str:
        """What the turn sounds like by now."""
        return joined([*self._parts, self._partial])

    @property
    def threshold(self) -> float:
        """Seconds of silence after which a turn of this speaker counts as over, if nobody judges it."""
        return self._threshold.seconds

    @property
    def open(self) -> bool:
        """Whether the caller speaks, or has spoken and not finished, as far as is known."""
        return self.speaking or not self._recognised or bool(self._parts)

    @property
    def due(self) -> float | None:
        """When :meth:`take` may have a turn although nothing happens."""
        ended = self._recognised and not self.speaking
        return self._ended + self._wait if ended and self._parts else None

    def hear(self, event: ListeningEvent, now: float) -> None:
        """Something was heard."""
        match event:
            case VoiceStarted(at):
                if self._worded and at - self._stopped <= self._settings.longest:
                    self._threshold.went_on(at - self._stopped)
                    self._paused = True
                elif self._fluent:
                    self._threshold.fluent()
                self._fluent = False
                self.speaking, self._worded = True, False
            case VoiceStopped(at):
                self.speaking, self._stopped = False, at
                self._ended = now - self._hearing_pause
                self._wait = self._threshold.seconds
                self.question += 1
            case Partial(text=text):
                self._partial = text
                self._worded |= bool(text)
            case Final(end=end, text=text):
                text = text or self._acted_upon
                self._partial = self._insisted = ""
                self._final = end
                if text:
                    self._parts.append(text)
                    self._known = now
                    self._worded = True
            case Finalized():
                pass

    def judged(self, question: int, complete: float) -> None:
        """The judge's answer: how probable it is that the turn was complete. Void if he has gone on."""
        if question == self.question and not self.speaking:
            if complete >= _COMPLETE:
                self._wait = self._settings.shortest
            else:
                self._wait = self._settings.longest

    def take(self, now: float) -> Turn | None:
        """The turn that is over by now, if one is."""
        if (due := self.due) is None or now < due - _ROUNDING:
            return None
        turn = Turn(self.text, self._ended, self._known)
        self._fluent = not self._paused  # unless it turns out that he was not done
        self._forget()
        return turn

    def discard(self) -> None:
        """Forget what was said by now: it is no turn."""
        self._forget()
        self._worded = False

    def insist(self) -> None:
        """What the open phrase sounds like was acted upon: it counts, even if no word is found in it later."""
        self._insisted = self._partial

    def deafened(self) -> None:
        """The ear began anew: nothing comes of what it had not recognised, and its times are others."""
        if words := self._acted_upon:
            self._parts.append(words)
        self.speaking = self._worded = False
        self._stopped = self._final = 0.0
        self._partial = self._insisted = ""

    def reopen(self, text: str) -> None:
        """A turn that was taken is not over after all: what is said belongs to it."""
        self._parts.insert(0, text)

    @property
    def _recognised(self) -> bool:
        """Whether everything up to the last silence has been."""
        return self._final >= self._stopped - _ROUNDING

    @property
    def _acted_upon(self) -> str:
        return self._insisted and (self._partial or self._insisted)

    def _forget(self) -> None:
        self._parts.clear()
        self._partial = self._insisted = ""
        self._paused = False
