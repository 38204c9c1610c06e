"""What became of each act, by what the caller noted. Pure: no clock, no I/O."""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.conversation.acts import Act, Call, Kind
from benchmarks.conversation.caller import RATE, Notes
from benchmarks.conversation.playback import Clear, Played, Timeline, goes_on_at, play, waits
from benchmarks.conversation.voices import MIC_RATE
from benchmarks.decoding import Message
from benchmarks.listener import Arrival, Samples
from realtime.normalizer import normalize

VOICED = 0.1
"""Seconds of sound after which a caller has been heard, at the latest."""

PACKET = 0.02
_WORD = re.compile(r"[a-z']+")


@dataclass(frozen=True, slots=True)
class Answer:
    """A turn and its reply. Seconds from the last audible sample that the caller spoke; None without.

    ``transcript`` to ``first_token`` are when the client was told of it, ``first_byte`` is the first audio, and
    ``onset`` the first audible sample when it is played. ``server`` is what the server says of itself.
    ``cut_in``: a turn was taken for over before it was; ``talked_over``: and the agent was heard before the end.
    ``understood`` is what the mind was given, ``reply`` what was to be heard, ``pcm`` what was.
    """

    text: str
    problem: str | None
    cut_in: bool = False
    talked_over: bool = False
    transcript: float | None = None
    decided: float | None = None
    first_token: float | None = None
    first_byte: float | None = None
    onset: float | None = None
    longest_wait: float | None = None
    understood: str = ""
    server: dict[str, float] = field(default_factory=dict)
    reply: str = ""
    pcm: Samples = field(default_factory=lambda: np.zeros(0, np.float32), repr=False)

    @property
    def ours(self) -> float | None:
        """From when the turn was decided to be over."""
        return None if self.onset is None or self.decided is None else self.onset - self.decided


@dataclass(frozen=True, slots=True)
class Interruption:
    """Seconds to the last audible sample of the agent that is played, from the caller's first and after 100 ms.

    ``told`` is when the client is told of it, from the first sample.
    """

    text: str
    problem: str | None
    from_voice: float | None = None
    from_voiced: float | None = None
    told: float | None = None
    longest_wait: float | None = None


@dataclass(frozen=True, slots=True)
class Alarm:
    """A sound that is no interruption. ``noticed``: the agent fell silent. ``resumed``: and spoke on.

    ``hole`` is its silence from sound to sound. ``twice`` are the seconds before it that are heard again; what is
    negative was lost. ``understood`` is the transcript of the sound, if there was one. ``pcm`` is all that was
    played of the reply, which was to say ``reply``.
    """

    text: str
    problem: str | None
    noticed: bool = False
    resumed: bool = False
    hole: float | None = None
    twice: float | None = None
    longest_wait: float | None = None
    understood: str = ""
    reply: str = ""
    pcm: Samples = field(default_factory=lambda: np.zeros(0, np.float32), repr=False)


Judgement = Answer | Interruption | Alarm


def judge(call: Call) -> list[Judgement]:
    """All acts of a call."""
    notes = call.notes
    played = play([_samples(one) for one in notes.came], RATE)
    mouth = Timeline(notes.said, MIC_RATE)
    heard = Timeline([(one.start, one.pcm) for one in played], RATE)
    judges: dict[Kind, Callable[..., Judgement]]
    judges = {"answer": _answer, "interruption": _interruption, "alarm": _alarm}
    return [judges[act.kind](act, notes, mouth, heard, played) for act in call.acts]


def _answer(act: Act, notes: Notes, mouth: Timeline, heard: Timeline, played: Sequence[Played]) -> Answer:
    if act.problem:
        return Answer(act.line.text, act.problem)
    ended = mouth.last_sound(act.end, act.start)
    events = _between(notes, act.start, act.over)
    last = next(event for at, event in events if event["type"] == "reply_ended" and at >= act.end)
    of_turn = [(at, event) for at, event in events if event.get("turn") == last["turn"]]
    told = {event["type"]: at for at, event in reversed(of_turn)}
    decided = told.get("turn_ended")
    if ended is None or decided is None or decided < ended:
        return Answer(act.line.text, "it was answered before it was at its end", cut_in=True)
    finals = [at for at, event in of_turn if event["type"] == "transcript_final"]
    audio = [one for one in played if decided <= one.arrived <= act.over]
    onset = heard.onset(audio[0].start, act.over) if audio else None
    server = next((event for _, event in of_turn if event["type"] == "latencies"), {})
    return Answer(
        act.line.text,
        None if onset is not None else "nothing was heard",
        cut_in=any(event["type"] == "turn_ended" and at < ended for at, event in events),
        talked_over=heard.onset(act.start, ended) is not None,
        transcript=_less(finals[-1] if finals else None, ended),
        decided=_less(decided, ended),
        first_token=_less(told.get("reply_text"), ended),
        first_byte=_less(audio[0].arrived if audio else None, ended),
        onset=_less(onset, ended),
        longest_wait=max(waits(audio, RATE), default=0.0),
        understood=next(event["text"] for _, event in of_turn if event["type"] == "turn_ended"),
        server={name: value for name, value in server.items() if name not in ("type", "turn")},
        reply=last["text"],
        pcm=_joined(audio),
    )


def _interruption(
    act: Act, notes: Notes, mouth: Timeline, heard: Timeline, played: Sequence[Played]
) -> Interruption:
    if act.problem:
        return Interruption(act.line.text, act.problem)
    first, voiced = mouth.onset(act.start, act.end), mouth.sounded(VOICED, act.start)
    events = _between(notes, act.start, act.over)
    at = next((at for at, event in events if event["type"] == "interrupted"), None)
    if at is None or first is None or voiced is None:
        return Interruption(act.line.text, "the agent was not interrupted")
    thinking = next(
        (since for since, event in events if event["type"] == "thinking" and since >= at), act.over
    )
    stale = any(isinstance(one, Message) and at < one.at < thinking for one in notes.came)
    silent = heard.last_sound(at)
    audio = [one for one in played if act.begun <= one.arrived <= at]
    return Interruption(
        act.line.text,
        "audio came after the interruption" if stale else None,
        from_voice=max(0.0, silent - first) if silent else 0.0,
        from_voiced=max(0.0, silent - voiced) if silent else 0.0,
        told=at - first,
        longest_wait=max(waits(audio, RATE), default=0.0),
    )


def _alarm(act: Act, notes: Notes, mouth: Timeline, heard: Timeline, played: Sequence[Played]) -> Alarm:
    if act.problem:
        return Alarm(act.line.text, act.problem)
    events = _between(notes, act.start, act.over)
    understood = next((event["text"] for _, event in events if event["type"] == "transcript_final"), "")
    ended = next((at for at, event in events if event["type"] == "reply_ended"), None)
    interrupted = next((at for at, event in events if event["type"] == "interrupted"), None)
    if ended is None or (interrupted is not None and interrupted < ended):
        return Alarm(act.line.text, None, noticed=True, understood=understood)
    reply = next(event["text"] for at, event in events if at == ended and event["type"] == "reply_ended")
    audio = [one for one in played if act.begun <= one.arrived <= ended]
    pcm = _joined(audio)
    came = [one for one in notes.came if act.begun <= one.at <= ended]
    longest = max(waits(audio, RATE), default=0.0)
    clear = next((one.at for one in came if isinstance(one, Clear) and one.at >= act.start), None)
    if clear is None:
        return Alarm(act.line.text, None, longest_wait=longest, understood=understood, reply=reply, pcm=pcm)
    before, after = heard.last_sound(clear), heard.onset(clear, ended)
    return Alarm(
        act.line.text,
        None,
        noticed=True,
        resumed=after is not None,
        hole=_less(after, before),
        twice=heard_twice(came),
        longest_wait=longest,
        understood=understood,
        reply=reply,
        pcm=pcm,
    )


def heard_twice(came: Sequence[Message | Clear]) -> float:
    """Seconds of a reply that were heard a second time after its clears; less than 0 if more was lost.

    What is sent after a clear repeats packets that were sent before it: of these, those that had been played are
    heard twice, and those that had not and are not sent again are lost.
    """
    runs: list[list[Message | Clear]] = [[]]
    for one in came:
        runs[-1].append(one)
        if isinstance(one, Clear):
            runs.append([])
    sent: list[bytes] = []
    twice = position = 0.0
    for run in runs:
        if packets := [one.data for one in run if isinstance(one, Message)]:
            first = goes_on_at(sent, packets)
            if sent:
                twice += position - first * PACKET
            sent[first : first + len(packets)] = packets
            heard = play([_samples(one) for one in run], RATE)
            position = first * PACKET + sum(one.pcm.size for one in heard) / RATE
    return twice


def words_wrong(expected: str, got: str) -> tuple[int, int, int]:
    """Words that are missing, words that are too many (what is other is both), and words in all.

    A recogniser may write "12" where "twelve" was to be said: both are read as they are spoken.
    """
    wanted, heard = (
        _WORD.findall(normalize(text, "en").text.lower().replace("-", " ")) for text in (expected, got)
    )
    matcher = difflib.SequenceMatcher(None, wanted, heard, autojunk=False)
    same = sum(block.size for block in matcher.get_matching_blocks())
    return len(wanted) - same, len(heard) - same, len(wanted)


def _samples(one: Message | Clear) -> Arrival | Clear:
    if isinstance(one, Clear):
        return one
    return Arrival(one.at, np.frombuffer(one.data, "<i2").astype(np.float32) / np.float32(32768))


def _joined(played: Sequence[Played]) -> Samples:
    return np.concatenate([np.zeros(0, np.float32), *(one.pcm for one in played)])


def _between(notes: Notes, since: float, until: float) -> list[tuple[float, dict[str, Any]]]:
    return [one for one in notes.events if since <= one[0] <= until]


def _less(at: float | None, ended: float | None) -> float | None:
    return None if at is None or ended is None else at - ended
