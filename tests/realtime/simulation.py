"""Many clients of one engine in virtual time: hours of conversation in seconds, the same for each seed.

Real are the :class:`Session` of each client and the engine's :class:`Scheduler`. Simulated are time, the clients,
the model (what a step costs, and words timed by their characters), and the two thin drivers that connect all
these: the engine's worker and the session's speaker. What must never happen raises :class:`Violation`.
"""

import heapq
import itertools
import random
import re
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from engine import Overloaded, Segment, StreamOptions, WordTime
from engine.audio import output_format
from engine.scheduler import Scheduler, SchedulerConfig
from engine.speech import StreamId
from realtime.request import Latency, SpeechRequest
from realtime.session import Session
from realtime.utterance import (
    Cancel,
    Cancelled,
    Drain,
    EndSpeech,
    Finished,
    Flushed,
    Log,
    Open,
    Played,
    Say,
    SpokenWord,
)

FRAME_SECONDS = 0.1
CHARACTER_SECONDS = 0.05
GULP_SECONDS = 0.5
ENCODE_SECONDS = 0.001
MAX_OUTPUTS = 1000
TIMER_EARLY = 0.001  # clocks that count milliseconds wake a sleeper too early
MAX_QUEUED = 4
SPEAKER_MARK = re.compile(r"<\|speaker:(\d{1,3})\|>")
_PCM = output_format("pcm")

Process = Generator[float, None, None]
"""What a simulated party does, yielding the seconds until it goes on."""


class Violation(AssertionError):
    """Something happened that never may."""


def demand(condition: bool, *what: object) -> None:
    """Raise :class:`Violation` unless the condition holds."""
    if not condition:
        raise Violation(" ".join(map(str, what)))


class World:
    """Virtual time: an agenda of calls, a random source, and a trace of what happened last."""

    def __init__(self, seed: int, *, begins: float) -> None:
        self.random = random.Random(seed)
        self.now = self.begins = begins
        self.trace: deque[str] = deque(maxlen=60)
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, time: float, call: Callable[[], None]) -> None:
        heapq.heappush(self._agenda, (max(time, self.now), next(self._numbers), call))

    def go(self, process: Process) -> None:
        """Let a process take its course."""

        def on() -> None:
            for seconds in process:
                self.at(self.now + seconds, on)
                return

        self.at(self.now, on)

    def note(self, *what: object) -> None:
        self.trace.append(f"{self.now:.4f} " + " ".join(map(str, what)))

    def run(self) -> None:
        """Until nothing will ever happen any more."""
        while self._agenda:
            self.now, _, call = heapq.heappop(self._agenda)
            call()


# -- the engine ---------------------------------------------------------------------------------------


class Frame(NamedTuple):
    seconds: float
    words: tuple[WordTime, ...]
    last: bool


def speak(segment: Segment, begins: float) -> Iterator[Frame]:
    """The frames of a segment that begins at so many seconds of its stream: each character takes its time."""
    length = segment.pause + len(segment.text) * CHARACTER_SECONDS
    words = deque(
        WordTime(
            match[0],
            begins + segment.pause + match.start() * CHARACTER_SECONDS,
            begins + segment.pause + match.end() * CHARACTER_SECONDS,
            *match.span(),
        )
        for match in re.finditer(r"\S+", segment.text)
    )
    done = 0.0
    while True:
        seconds = min(FRAME_SECONDS, length - done)
        done += seconds
        last = length - done < 1e-9
        heard = []
        while words and (last or words[0].start < begins + done):
            heard.append(words.popleft())
        yield Frame(seconds, tuple(heard), last)
        if last:
            return


class Stream:
    """An utterance of the engine, from both sides."""

    def __init__(
        self, name: StreamId, engine: "SimulatedEngine", arrived: Callable[[], None], *, paced: bool
    ) -> None:
        self.id = name
        self.paced = paced
        self.engine = engine
        self.arrived = arrived
        self.queue: deque[Segment] = deque()
        self.frames: deque[Frame] = deque()
        self.speaking: Iterator[Frame] | None = None
        self.unspoken = 0
        self.seconds = 0.0
        self.untaken = 0.0
        self.finished = False
        self.closed = False
        self.dry_at = 0.0
        self.owed_since: float | None = (
            None  # since when it might have been served, and its listener is silent
        )

    def say(self, segment: Segment) -> None:
        demand(not self.finished and not self.closed, "say after the end of stream", self.id)
        self.unspoken += 1
        self.queue.append(segment)
        self.engine.scheduler.queue(self.id, self.engine.world.now)
        self.owe()
        self.engine.wake()

    def take(self) -> Frame:
        frame = self.frames.popleft()
        self.untaken -= frame.seconds
        if not self.closed:
            self.engine.scheduler.taken(self.id, frame.seconds)
            self.owe()
            self.engine.wake()
        return frame

    def played(self, ahead: float) -> None:
        now = self.engine.world.now
        self.engine.scheduler.played(self.id, ahead, now)
        self.dry_at = now + ahead + self.untaken
        self.owed_since = None
        self.owe()
        self.engine.wake()

    def owe(self) -> None:
        """Note from when on the listener waits for the engine, and for nobody else."""
        idle = not self.queue and self.speaking is None
        if idle or self.untaken >= self.engine.scheduler.config.max_untaken:
            self.owed_since = None
        elif self.owed_since is None:
            self.owed_since = max(self.engine.world.now, self.dry_at)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.engine.forget(self)

    @property
    def done(self) -> bool:
        return self.finished and not self.unspoken and not self.frames


class SimulatedEngine:
    """The worker around the real scheduler; a model whose step costs some milliseconds."""

    def __init__(self, world: World, *, max_streams: int, max_batch: int, patience: float | None) -> None:
        self.world = world
        self.scheduler = Scheduler(SchedulerConfig(max_streams, max_batch))
        self.streams: dict[StreamId, Stream] = {}
        self.steps = 0
        self.refused = 0
        self._patience = patience
        self._ids = itertools.count(1)
        self._computing = False
        self._alarm: float | None = None

    def open(self, *, paced: bool, arrived: Callable[[], None]) -> Stream:
        name = StreamId(next(self._ids))
        try:
            self.scheduler.open(name, paced=paced)
        except Overloaded:
            self.refused += 1
            raise
        self.streams[name] = Stream(name, self, arrived, paced=paced)
        return self.streams[name]

    def forget(self, stream: Stream) -> None:
        self.scheduler.close(stream.id)
        del self.streams[stream.id]
        demand(stream.id not in self.scheduler, "a closed stream keeps its slot")
        self.wake()

    def wake(self) -> None:
        """Something has changed: look at once, unless a step is being computed."""
        if not self._computing:
            self._turn()

    def _turn(self) -> None:
        now = self.world.now
        plan = self.scheduler.plan(now)
        if plan.step:
            self._computing = True
            cost = 0.004 + 0.0008 * len(plan.step)
            for name in plan.prefill:
                stream = self.streams[name]
                segment = stream.queue.popleft()
                demand(stream.speaking is None, "prefilled before the last frame of the segment before")
                stream.speaking = speak(segment, stream.seconds)
                cost += 0.006 + 0.00005 * len(segment.text)
            at_work = [self.streams[name] for name in plan.step]
            self.world.at(now + cost, lambda: self._stepped(plan.prefill, at_work))
        elif plan.wake_at is not None and (self._alarm is None or not now < self._alarm <= plan.wake_at):
            demand(plan.wake_at > now, "the scheduler wakes in the past")
            self._alarm = plan.wake_at
            self.world.at(plan.wake_at, self.wake)

    def _stepped(self, prefilled: Sequence[StreamId], at_work: list[Stream]) -> None:
        now = self.world.now
        self._computing = False
        self.steps += 1
        for name in prefilled:
            self.scheduler.prefilled(name)
        for stream in at_work:
            if stream.closed:
                continue
            demand(stream.speaking is not None, "stepped without a segment")
            assert stream.speaking is not None
            if self._patience is not None and stream.paced and stream.owed_since is not None:
                waited = now - stream.owed_since
                demand(waited <= self._patience, f"stream {stream.id} starved for {waited:.2f} s")
            frame = next(stream.speaking)
            self.scheduler.stepped(stream.id, frame.seconds, last=frame.last, now=now)
            stream.dry_at = max(stream.dry_at, now) + frame.seconds
            stream.seconds += frame.seconds
            stream.untaken += frame.seconds
            stream.frames.append(frame)
            if frame.last:
                stream.speaking = None
                stream.unspoken -= 1
            stream.owed_since = None
            stream.owe()
            stream.arrived()
            limit = self.scheduler.config.max_untaken + FRAME_SECONDS
            demand(stream.untaken <= limit + 1e-6, "more untaken than allowed:", stream.untaken)
        self.wake()


# -- the driver of a session --------------------------------------------------------------------------


@dataclass(eq=False)
class Turn:
    """What was written in one utterance and what came of it, as its client sees it."""

    request: SpeechRequest
    plain: frozenset[str]  # words that are said as they are written
    written: str = ""
    flushes: list[int] = field(default_factory=list)  # where the text was flushed
    said: list[Segment] = field(default_factory=list)
    spoken: int = 0  # segments of which the last sound has left
    seconds: float = 0.0
    words: list[SpokenWord] = field(default_factory=list)
    flushed: int = 0
    held_back: bool = False  # the encoder has audio that was not pushed out
    stopped: bool = False
    ending: Cancelled | Finished | None = None

    @property
    def heard_to(self) -> int:
        """Characters of the text up to the last word of which audio has come."""
        return self.words[-1].end_char if self.words else 0


class Sounding(NamedTuple):
    """Audio as the client gets it."""

    seconds: float
    words: tuple[SpokenWord, ...]


class Client:
    """One client and the driver of its session: carries out tasks, takes frames, sends what is to be told.

    ``reading`` is how long it takes to read one output; None is a client that never reads.
    """

    def __init__(
        self, world: World, engine: SimulatedEngine, session: Session, name: str, reading: float | None
    ) -> None:
        self.world, self.engine, self.session, self.name = world, engine, session, name
        self.turns: list[Turn] = []
        self.closed = False
        self.cut_off = False
        self.peak_outputs = 0
        self._reading = reading
        self._open: dict[str, Turn] = {}
        self._streams: dict[str, tuple[Turn, Stream]] = {}
        self._drains: dict[Stream, int] = {}
        self._outputs: deque[tuple[str, Turn | None, object]] = deque()
        self._timer: float | None = None
        self._alarms = 0
        self._idle_polls = 0
        self._overdue = 0
        self._pumping = False
        self._next_plain: frozenset[str] = frozenset()

    # -- what the client does

    def start(self, request: SpeechRequest, context: str, plain: frozenset[str]) -> Turn | None:
        """The turn that was begun, if one was."""
        self._next_plain = plain
        before = len(self.turns)
        self._do("start", context, lambda now: self.session.start(request, now, context))
        return self.turns[-1] if len(self.turns) > before else None

    def text(self, text: str, context: str) -> None:
        turn = self._open.get(context)
        if turn and not turn.stopped:
            turn.written += text
        self._do(f"text {text!r}", context, lambda now: self.session.text(text, now, context))

    def flush(self, context: str) -> bool:
        """Flush, but not within a speaker mark: what is said then depends on what follows in time."""
        turn = self._open.get(context)
        if turn and "<" in turn.written[-len("<|speaker:999|") :].rpartition(">")[2]:
            return False
        if turn and not turn.stopped:
            turn.flushes.append(len(turn.written))
        self._do("flush", context, lambda now: self.session.flush(now, context))
        return True

    def stop(self, context: str) -> None:
        if turn := self._open.get(context):
            turn.stopped = True
        self._do("stop", context, lambda now: self.session.stop(now, context))

    def cancel(self, context: str) -> None:
        stream = self._streams[context][1] if context in self._streams else None
        self._do("cancel", context, lambda now: self.session.cancel(now, context))
        demand(stream is None or stream.closed, "the slot outlived the cancel")
        demand(not self.session.active(context), "the context outlived the cancel")

    def played(self, context: str, share: float) -> None:
        turn = self._open.get(context)
        seconds = share * turn.seconds if turn else 1.0
        self._do("played", context, lambda now: self.session.played(seconds, now, context))

    def reject(self, context: str) -> None:
        self._do("reject", context, lambda now: self.session.reject("not understood", context))

    def disconnect(self) -> None:
        if not self.closed:
            self.closed = True
            self._do("disconnect", "", lambda now: self.session.disconnect())
            demand(not self._streams, "a slot outlived the socket")
            demand(self.session.due is None, "something is due after the end")

    def _do(self, what: str, context: str, call: Callable[[float], None]) -> None:
        if self.closed and what != "disconnect":
            return
        self.world.note(self.name, repr(context), what)
        self._idle_polls = 0
        call(self.world.now)
        self._act()

    # -- what the driver does

    def _act(self) -> None:
        while tasks := self.session.tasks():
            self._idle_polls = 0
            for context, action, _ in tasks:
                self._carry_out(context, action)
        self._pump()
        self.peak_outputs = max(self.peak_outputs, len(self._outputs))
        if len(self._outputs) > MAX_OUTPUTS and not self.closed:
            self.cut_off = True
            self.disconnect()
        self._set_timer()

    def _carry_out(self, context: str, action: object) -> None:
        turn, stream = self._streams.get(context, (None, None))
        match action:
            case Open(request):
                demand(context not in self._open, "opened twice")
                opened = Turn(request, self._next_plain)
                self.turns.append(opened)
                self._open[context] = opened
                try:
                    granted = self.engine.open(paced=request.options.paced, arrived=self._pump)
                except Overloaded as error:
                    self.session.failed(context, error)
                else:
                    self._streams[context] = opened, granted
            case Say(segment):
                if stream and turn:
                    self._tell_flushed(context, turn, self._drains.pop(stream, 0))
                    turn.said.append(segment)
                    demand(len(turn.said) - turn.spoken <= MAX_QUEUED, "too many lines in the engine")
                    stream.say(segment)
            case EndSpeech():
                if stream:
                    stream.finished = True
            case Drain(flushes):
                if stream:
                    self._drains[stream] = flushes
            case Played(ahead):
                if stream:
                    stream.played(ahead)
            case Cancel():
                if stream:
                    del self._streams[context]
                    self._drains.pop(stream, None)
                    stream.close()
                    demand(stream.id not in self.engine.scheduler, "a cancelled stream keeps its slot")
                if self.closed:
                    self._open.pop(context, None)
            case Log():
                self._outputs.append((context, None, action))
            case Flushed():
                demand(context in self._open, "flushed without an utterance")
                if stream in self._drains:  # what the encoder holds back has to leave before
                    self._drains[stream] += 1
                else:
                    self._tell_flushed(context, self._open[context], 1)
            case Cancelled() | Finished():
                self._outputs.append((context, self._open.pop(context, None), action))
            case _:
                raise Violation(f"unknown action {action}")

    def _tell_flushed(self, context: str, turn: Turn, times: int) -> None:
        self._outputs += [(context, turn, Flushed())] * times

    def _set_timer(self) -> None:
        due = self.session.due
        if due == self._timer:
            return
        self._timer = due
        self._alarms += 1
        alarm = self._alarms
        if due is None:
            return

        def ring() -> None:
            if self._alarms == alarm and not self.closed:
                self._timer = None
                self._poll()

        early = self.world.random.uniform(0.0, TIMER_EARLY)
        self.world.at(max(due - early, self.world.now + TIMER_EARLY / 2), ring)

    def _poll(self) -> None:
        self._idle_polls += 1
        self.session.poll(self.world.now)
        due = self.session.due
        self._act()
        demand(self._idle_polls < 30, f"{self.name}: polled again and again for nothing; due {due}")
        self._overdue = self._overdue + 1 if due is not None and due <= self.world.now else 0
        demand(self._overdue < 2, f"{self.name}: polled at {self.world.now}, and still due at {due}")

    def _pump(self) -> None:
        if not self._pumping and not self.closed:
            self._pumping = True
            self.world.go(self._send())

    def _send(self) -> Process:
        """Send all there is, each output as fast as it is read."""
        while not self.closed:
            if self._outputs:
                context, turn, event = self._outputs.popleft()
            elif (sounding := (yield from self._sound())) is not None:
                context, turn, event = sounding
            elif self._outputs or self._drains or any(s.frames or s.done for _, s in self._streams.values()):
                continue  # something came while another's audio was encoded in vain
            else:
                break
            if self.closed:
                return
            self._receive(context, turn, event)
            if self._reading is None:
                return  # nothing is read, ever
            if self._reading:
                yield self._reading
        self._pumping = False

    def _sound(self) -> Generator[float, None, tuple[str, Turn, object] | None]:
        """The next audio of any context; contexts take turns."""
        for context, (turn, stream) in list(self._streams.items()):
            if self._streams.get(context, (None, None))[1] is not stream:
                continue
            frames: list[Frame] = []
            while stream.frames and sum(frame.seconds for frame in frames) < GULP_SECONDS:
                frames.append(stream.take())
                if frames[-1].last:
                    break
            draining = stream in self._drains
            if not frames and not draining and not stream.done:
                continue
            flushes = 0 if frames else self._drains.pop(stream, 0)
            yield ENCODE_SECONDS
            if self._streams.get(context, (None, None))[1] is not stream:
                if self._outputs or self.closed:
                    return None
                continue
            written: tuple[SpokenWord, ...] = ()
            seconds = sum(frame.seconds for frame in frames)
            if frames:
                words = [word for frame in frames for word in frame.words]
                turn.spoken += frames[-1].last
                self._idle_polls = 0
                chunk, written = self.session.spoke(
                    context, seconds, words, self.world.now, last=frames[-1].last
                )
                demand(chunk.text in turn.written, "a chunk that was never written:", chunk.text)
                self._streams[context] = self._streams.pop(context)
                self._act()
            elif draining:
                self._tell_flushed(context, turn, flushes)
            else:
                del self._streams[context]
                stream.close()
                self.session.ended(context)
                self._act()
            return context, turn, Sounding(seconds, written)
        return None

    # -- what the client sees

    def _receive(self, context: str, turn: Turn | None, event: object) -> None:
        self.world.note(self.name, repr(context), "<-", event)
        if turn is None:
            demand(isinstance(event, Log | Finished), "told of no utterance:", event)
            demand(not isinstance(event, Finished) or event.error is not None, "finished without a start")
            return
        demand(turn.ending is None or isinstance(event, Log), "came after the end:", event)
        match event:
            case Sounding(seconds, words):
                self._hear(turn, seconds, words)
            case Flushed():
                demand(turn.flushed < len(turn.flushes), "flushed more often than asked")
                upto = turn.flushes[turn.flushed]
                turn.flushed += 1
                under_way = turn.spoken < len(turn.said)
                demand(under_way or not turn.held_back, "flushed, but the encoder was not")
                demand(
                    not must_be_heard(turn, turn.written[turn.heard_to : upto]),
                    f"flushed at {upto}, heard only to {turn.heard_to} of {turn.written!r}",
                )
            case Cancelled(heard, characters, word):
                turn.ending = event
                demand(
                    -1e-6 <= heard <= turn.seconds + GULP_SECONDS + 1e-6, "heard more than was sent:", heard
                )
                demand(turn.written[:characters].endswith(word), "the last word is another one:", word)
            case Finished():
                turn.ending = event

    @staticmethod
    def _hear(turn: Turn, seconds: float, words: tuple[SpokenWord, ...]) -> None:
        for word in words:
            here = turn.written[word.start_char : word.end_char]
            demand(here == word.text, f"{word} is not what stands there: {here!r}")
            if turn.words and turn.words[-1].start_char == word.start_char:
                demand(turn.words[-1].end <= word.end + 1e-6, "a word shrank:", word)
                turn.words.pop()  # one word, spoken as several
            if turn.words:
                before = turn.words[-1]
                demand(before.end_char <= word.start_char, "words out of order:", before, word)
                demand(before.end <= word.start + 1e-6, "words at the same time:", before, word)
            turn.words.append(word)
        turn.seconds += seconds
        turn.held_back = seconds > 0


# -- what must be true of a turn ----------------------------------------------------------------------


def must_be_heard(turn: Turn, text: str) -> str:
    """What of a piece of the text must be heard: all but marks if it is spoken as it is, else its plain words."""
    if turn.request.normalize:
        return " ".join(word for word in re.findall(r"[a-z]+", text) if word in turn.plain)
    return squeezed(SPEAKER_MARK.sub("", text))


def squeezed(text: str) -> str:
    """Text without white space, and without the signs of which control tokens are made."""
    return re.sub(r"[\s<|>]+", "", text)


def voiced(turn: Turn) -> list[tuple[int, str]]:
    """The characters of a text with the speakers that must say them; marks are cut by the flushes only."""
    speaker, parts, begin = 0, [], 0
    for end in [*turn.flushes, len(turn.written)]:
        pieces = SPEAKER_MARK.split(turn.written[begin:end])
        for index, piece in enumerate(pieces):
            if index % 2:
                speaker = int(piece)
            else:
                parts += [(speaker, character) for character in squeezed(piece)]
        begin = max(begin, end)
    return parts


def audit(turn: Turn) -> None:
    """No text lost, said twice or in another order, all of it if the turn came to its natural end."""
    whole = isinstance(turn.ending, Finished) and turn.ending.error is None
    if turn.request.normalize:
        expected = [word for word in re.findall(r"[a-z]+", turn.written) if word in turn.plain]
        said: list[Any] = [
            word
            for segment in turn.said
            for word in re.findall(r"[a-z]+", segment.text)
            if word in turn.plain
        ]
        if not whole and said and len(said) <= len(expected) and expected[: len(said)] != said:
            said.pop()  # the last word may be the first half of one that nobody completed
    else:
        expected = voiced(turn)
        said = [(segment.speaker, character) for segment in turn.said for character in squeezed(segment.text)]
    demand(
        said == expected if whole else said == expected[: len(said)],
        f"written {turn.written!r} with flushes {turn.flushes}, said {[s.text for s in turn.said]}",
    )
    for segment in turn.said:
        demand("<|" not in segment.text and "|>" not in segment.text, "a control token:", segment.text)
    if whole:
        demand(turn.flushed == len(turn.flushes), f"{turn.flushed} of {len(turn.flushes)} flushes told")
        demand(turn.spoken == len(turn.said), "a line was not spoken to its end")
        if turn.written:
            left = must_be_heard(turn, turn.written[turn.heard_to :])
            demand(not left, f"{left!r} was never heard")


def footprint(session: Session) -> int:
    """How many things a session holds on to, in all its containers."""
    seen: set[int] = set()
    pile: list[object] = [session]
    count = 0
    while pile:
        thing = pile.pop()
        if id(thing) in seen or isinstance(thing, str | int | float | type | SpeechRequest | None):
            continue
        seen.add(id(thing))
        if isinstance(thing, dict):
            count += len(thing)
            pile += [*thing.keys(), *thing.values()]
        elif isinstance(thing, list | tuple | set | deque):
            count += len(thing)
            pile += thing
        elif type(thing).__module__.startswith("realtime"):
            names = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
            pile += [getattr(thing, name) for name in names]
            pile += getattr(thing, "__dict__", {}).values()
    return count


def request_of(random: random.Random, *, normalize: bool) -> SpeechRequest:
    chunk_length = random.choice([100, 120, 200, 300])
    return SpeechRequest(
        StreamOptions(("a", "b"), paced=random.random() < 0.85),
        _PCM,
        random.choice(list(Latency)),
        chunk_length,
        random.choice([0, 20, 50, 100]),
        normalize=normalize,
        reads_tags=not normalize,
    )
