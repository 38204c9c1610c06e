"""What is to be dubbed, and what became of it."""

from dataclasses import dataclass
from typing import Literal

Outcome = Literal["spoken", "cut", "silent", "missed"]
"""Spoken whole; broken off for the line behind it; without a word that can be spoken; not spoken at all."""


@dataclass(frozen=True, slots=True)
class Caption:
    """A text that is to be heard from ``start`` to ``end``, in seconds of its timeline.

    Captions of one ``voice`` ("" is the usual one) never sound at the same time; those of several may, unless
    whoever speaks them knows that they are one.
    """

    id: str
    start: float
    end: float
    text: str
    voice: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How far a line may be bent to fit its time, and how much is spoken ahead of it.

    ``max_speed`` is how many times as fast as by nature it may be; no pause in it is made shorter than
    ``pause_floor`` seconds, and none between two lines of a voice shorter than ``breath``. No line begins more
    than ``max_drift`` seconds late.
    ``at_once`` lines are spoken at a time, up to ``ahead`` lines before their time and no earlier than
    ``speak_ahead`` seconds before it: what has been spoken may still be revised.
    """

    max_speed: float = 1.3
    max_drift: float = 2.0
    pause_floor: float = 0.15
    breath: float = 0.08
    at_once: int = 4
    ahead: int = 8
    speak_ahead: float = float("inf")


@dataclass(frozen=True, slots=True)
class LineReport:
    """What became of a caption. Times are in seconds of its timeline.

    ``start`` and ``end`` are when it was really heard; both are None if it was not. It took ``natural`` seconds
    by nature, was spoken ``speed`` times as fast, and ``trimmed`` seconds of its pauses were left out. Of a line
    that was ``cut``, ``unsaid`` natural seconds were left out. ``reason`` says why it was missed.
    """

    caption: Caption
    outcome: Outcome
    start: float | None = None
    end: float | None = None
    natural: float = 0.0
    speed: float = 1.0
    trimmed: float = 0.0
    unsaid: float = 0.0
    reason: str = ""

    @property
    def drift(self) -> float | None:
        """How many seconds too late it began, None if it did not."""
        return None if self.start is None else self.start - self.caption.start
