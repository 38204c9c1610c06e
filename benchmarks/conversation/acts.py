"""What a caller does in a conversation: says something, interrupts, coughs. Whether it went well is for later."""

import asyncio
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.client import clock
from benchmarks.conversation.caller import Caller, NoEvent, Notes
from benchmarks.conversation.stub import EXPLAIN, STORY
from benchmarks.conversation.voices import Line, Repertoire

Kind = Literal["answer", "interruption", "alarm"]

_DECK: tuple[Kind, ...] = (
    "answer",
    "answer",
    "interruption",
    "alarm",
    "answer",
    "answer",
    "interruption",
    "alarm",
)
_LISTENS = (1.0, 3.0)  # seconds of a reply, before the caller opens his mouth
_RESTS = (0.3, 1.0)
_NOT_MEANT = 10.0


@dataclass(slots=True)
class Act:
    """Something that happened between ``begun`` and ``over``: ``line`` was said from ``start`` to ``end``.

    ``problem`` says what did not come of it. Times are those of the notes.
    """

    kind: Kind
    line: Line
    begun: float
    start: float = 0.0
    end: float = 0.0
    over: float = 0.0
    problem: str | None = None


@dataclass(slots=True)
class Call:
    """One caller's conversation: all he did, and all he noted."""

    acts: list[Act] = field(default_factory=list)
    notes: Notes = field(default_factory=Notes)


def deck(repertoire: Repertoire, rng: random.Random) -> Iterator[tuple[Kind, Line]]:
    """What he does next, over and over: half of it are plain turns, and all lines have their turn."""
    lines = {"answer": repertoire.lines, "interruption": repertoire.interruptions, "alarm": repertoire.alarms}
    at = {kind: rng.randrange(len(those)) for kind, those in lines.items()}
    first = rng.randrange(len(_DECK))
    while True:
        for index in range(len(_DECK)):
            kind = _DECK[(first + index) % len(_DECK)]
            at[kind] += 1
            yield kind, lines[kind][at[kind] % len(lines[kind])]


async def converse(caller: Caller, repertoire: Repertoire, until: float, rng: random.Random) -> list[Act]:
    """One act after the other until that time."""
    acts = []
    for kind, line in deck(repertoire, rng):
        if clock() >= until or caller.over:
            break
        act = Act(kind, line, clock())
        acts.append(act)
        try:
            await perform(caller, act, rng)
        except NoEvent as error:
            act.problem = str(error)
            await caller.tell(type="interrupt")
        act.over = clock()
        await asyncio.sleep(rng.uniform(*_RESTS))
    return acts


async def perform(caller: Caller, act: Act, rng: random.Random) -> None:
    """Do it, until the agent has said what it had to say. Raises :class:`NoEvent`."""
    if act.kind == "answer":
        await _say(caller, act)
        await caller.until("reply_ended", since=act.end)
        return
    await caller.tell(type="user_text", text=STORY if act.kind == "interruption" else EXPLAIN)
    await caller.sound(act.begun)
    await asyncio.sleep(rng.uniform(*_LISTENS))
    await _say(caller, act)
    at, event = await caller.until("interrupted", "reply_ended", since=act.start)
    if event["type"] == "interrupted":
        with suppress(NoEvent):
            await caller.until("reply_ended", since=at, seconds=_NOT_MEANT)


async def _say(caller: Caller, act: Act) -> None:
    act.start, act.end = caller.say(act.line.pcm)
    await asyncio.sleep(max(0.0, act.end - clock()))
