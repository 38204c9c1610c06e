"""The thin driver between a speaker and a line: packets in real time, and what was heard of them."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from types import TracebackType
from typing import Self

from engine.logs import UserText
from realtime.heard import HeardWords
from realtime.line import PACKET_SECONDS, Line, LinePlayed, PacketCutter
from realtime.player import Player
from realtime.request import SpeechRequest
from realtime.speaker import Audio, Output, Speaker
from realtime.utterance import Finished, Log, SpokenWord
from realtime.watch import Watch

_REPORT_SECONDS = 0.5  # between two reports to the speaker of what was heard

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Began:
    """The first packet of an utterance leaves."""

    context: str


@dataclass(frozen=True, slots=True)
class WordsHeard:
    """Words of an utterance that were heard since the last ones."""

    context: str
    words: tuple[SpokenWord, ...]


@dataclass(frozen=True, slots=True)
class EndHeard:
    """An utterance was heard to its end, or as far as it could be spoken: then ``error`` says why no further."""

    context: str
    error: str | None = None


MouthEvent = Began | WordsHeard | EndHeard


@dataclass(slots=True)
class _Utterance:
    """One context on its way to the line. ``packets`` wait for those of the utterance before it."""

    context: str
    request: SpeechRequest
    cutter: PacketCutter
    words: HeardWords = field(default_factory=HeardWords)
    packets: list[bytes] = field(default_factory=list)
    made: int = 0
    began: bool = False
    over: bool = False
    error: str | None = None
    reported: float = 0.0
    watch: Watch | None = None  # until its first sound has left


class Mouth:
    """Speaks one utterance after the other on a line; to be used in an ``async with``.

    Each has a context of its own, never used again. ``told`` is called with what happens, on the event loop; it
    may call anything here but must not block. The speaker is the mouth's alone, and disconnected at the end.
    ``spoken`` is called with what the speaker gives, as it is made, before it is heard.
    """

    def __init__(
        self,
        speaker: Speaker,
        line: Line,
        told: Callable[[MouthEvent], None],
        spoken: Callable[[Output], None] = lambda _: None,
    ) -> None:
        self._speaker = speaker
        self._line = line
        self._told = told
        self._spoken = spoken
        self._loop = asyncio.get_running_loop()
        self._player = Player(packet_seconds=PACKET_SECONDS, lead=line.format.lead)
        self._utterances: dict[str, _Utterance] = {}  # in order; the first is being heard
        self._wake = asyncio.Event()
        self._clearing = False
        self._cuts = 0  # how often what was about to be sent became void
        self._clears = 0
        self._on_line = 0.0  # seconds sent since the last clear
        self._offset = 0.0  # the player's position is the line's and this
        self._noticing = False
        self._group = asyncio.TaskGroup()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        self._tasks = [self._group.create_task(self._listen()), self._group.create_task(self._pace())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        self._speaker.disconnect()
        await self._group.__aexit__(kind, error, trace)

    @property
    def error(self) -> BaseException | None:
        """What ended it before its time: the ``async with`` raises that at its end, in a group."""
        over = [task for task in self._tasks if task.done() and not task.cancelled()]
        return next((error for task in over if (error := task.exception()) is not None), None)

    # -- what to say --------------------------------------------------------------------------------

    def start(self, request: SpeechRequest, context: str) -> None:
        """Begin an utterance, to be heard after those before it. Its output has to be the line's."""
        self._utterances[context] = _Utterance(context, request, PacketCutter(request.output))
        self._speaker.start(request, context)

    def text(self, text: str, context: str) -> None:
        """More text of an utterance. Void if it is over."""
        if self._open(context):
            self._speaker.text(text, context)

    def flush(self, context: str) -> None:
        """Speak all text that is there."""
        if self._open(context):
            self._speaker.flush(context)

    def stop(self, context: str) -> None:
        """No more text: speak what is there, then :class:`EndHeard`."""
        if self._open(context):
            self._speaker.stop(context)

    # -- when to be silent --------------------------------------------------------------------------

    def hold(self) -> None:
        """Fall silent; what is spoken meanwhile waits for :meth:`resume`."""
        if self._player.held:
            return
        self.notice()
        self._clear()
        self._player.hold(self._loop.time())
        self._report()

    def resume(self) -> None:
        """Go on where the listener was."""
        if self._player.held:
            self._player.resume(self._loop.time())
            self._report()
            self._wake.set()

    def drop(self, context: str) -> None:
        """Forget an utterance: no packet of it is sent any more. If it was held, the next one is not."""
        self.notice()
        current = self._current
        if (dropped := self._utterances.get(context)) is not None:
            if not dropped.over:
                self._report()
                self._speaker.cancel(context)
            del self._utterances[context]
            if dropped is current:
                self._clear()
                self._next()
        if dropped is current:
            self.resume()

    # -- what was heard -----------------------------------------------------------------------------

    def played(self, report: LinePlayed) -> None:
        """The line knows what it has played."""
        if report.clears == self._clears and not self._clearing:
            self._player.report(max(0.0, report.seconds + self._offset), self._loop.time())
            self._wake.set()

    def notice(self) -> None:
        """Tell what was heard by now, which otherwise is told with the next packet."""
        self._notice_at(self._loop.time())

    # -- inside -------------------------------------------------------------------------------------

    @property
    def _current(self) -> _Utterance | None:
        return next(iter(self._utterances.values()), None)

    def _open(self, context: str) -> bool:
        utterance = self._utterances.get(context)
        return utterance is not None and not utterance.over

    def _notice_at(self, now: float) -> None:
        if self._noticing or (current := self._current) is None:
            return
        self._noticing = True
        try:
            self._notice(current, now)
        finally:
            self._noticing = False

    def _notice(self, current: _Utterance, now: float) -> None:
        position = self._player.heard(now)
        if self._player.sent and not current.began:
            current.began = True
            self._told(Began(current.context))
        if words := current.words.take(position):
            self._told(WordsHeard(current.context, words))
        if self._current is not current:
            return
        if current.words.speech(position) >= current.reported + _REPORT_SECONDS:
            self._report()
        if current.over and self._player.idle(now):
            del self._utterances[current.context]
            self._next()
            self._told(EndHeard(current.context, current.error))

    def _report(self) -> None:
        """Let the speaker know what was heard: it counts on a listener who plays without a break."""
        if (current := self._current) is not None and not current.over:
            current.reported = current.words.speech(self._player.heard(self._loop.time()))
            self._speaker.played(current.reported, current.context)

    def _clear(self) -> None:
        """Have the line drop what it has not played, before anything else is sent."""
        self._cuts += 1
        if self._on_line and not self._player.idle(self._loop.time()):
            self._clearing = True
        self._wake.set()

    def _next(self) -> None:
        """The utterance before is over or dropped: the next one's turn."""
        held = self._player.held
        self._player.drop()
        self._cuts += 1
        self._offset = -self._on_line
        if (current := self._current) is not None:
            self._player.push(current.packets)
            current.packets = []
        if held:
            self._player.hold(self._loop.time())
        self._wake.set()

    async def _listen(self) -> None:
        """Take what is spoken."""
        async for output in self._speaker:
            self._spoken(output)
            context, event, _ = output
            if (utterance := self._utterances.get(context)) is None or utterance.over:
                continue
            match event:
                case Audio():
                    if utterance.watch is None and not utterance.made:
                        utterance.watch = event.watch
                    packets = utterance.cutter.push(event.data)
                    if event.silence:
                        packets += utterance.cutter.flush()
                    utterance.made += len(packets)
                    utterance.words.add(event.seconds, event.words)
                    if event.silence:
                        utterance.words.fill(utterance.made * PACKET_SECONDS)
                    if utterance is self._current:
                        self._player.push(packets)
                    else:
                        utterance.packets += packets
                case Finished(error):
                    utterance.over, utterance.error = True, error
                case Log(message):
                    log.info("%s: %s", context, UserText(message))
            self._wake.set()
        raise ConnectionError("the speaker was disconnected by somebody else")

    async def _pace(self) -> None:
        """Send what is due."""
        while True:
            self._wake.clear()
            if self._clearing:
                self._clearing = False
                self._clears += 1
                self._on_line = 0.0
                self._offset = self._player.sent
                await self._line.clear()
                continue
            cuts = self._cuts
            for packet in self._player.take(self._loop.time()):
                if self._cuts != cuts:
                    break
                self._on_line += PACKET_SECONDS
                await self._line.send(packet)
                if (current := self._current) is not None and current.watch is not None:
                    current.watch.sent(monotonic())
                    if current.watch.audible:
                        current.watch = None
            now = self._loop.time()
            self._notice_at(now)
            if not self._wake.is_set():
                await self._sleep(now)

    async def _sleep(self, now: float) -> None:
        """Until something happens, or the next packet is due or has been heard.

        ``now`` is when was last told what was heard: an end that has come since is still to be told.
        """
        timer = None
        if self._current is not None and not self._player.held and not self._player.idle(now):
            due = self._player.due
            timer = self._loop.call_at(
                now + PACKET_SECONDS if due is None else max(now, min(due, now + PACKET_SECONDS)),
                self._wake.set,
            )
        try:
            await self._wake.wait()
        finally:
            if timer is not None:
                timer.cancel()
