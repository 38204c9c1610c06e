"""Recognisers that hear how long something is: for what has to happen at a certain moment."""

import threading
from collections.abc import Sequence

from engine.speech import Pcm
from realtime.ears import HEARING_RATE, HeardSegment, RecogniserInfo


class Counting:
    """Says how many milliseconds it was given; waits for leave if it is told to."""

    def __init__(self, *, held: bool = False, max_seconds: float = 7.0, parallel: int = 1) -> None:
        self.info = RecogniserInfo("counting", ("en", "de"), max_seconds, parallel=parallel)
        self.leave = threading.Semaphore(0)
        self.held = held
        self.begun = threading.Semaphore(0)
        self.given: list[float] = []
        self.closed = False

    def transcribe(self, pcm: Pcm, language: str | None) -> Sequence[HeardSegment]:
        self.begun.release()
        if self.held:
            assert self.leave.acquire(timeout=30)
        self.given.append(len(pcm) / HEARING_RATE)
        return [HeardSegment(0.0, self.given[-1], f"{self.given[-1] * 1000:.0f}")]

    def close(self) -> None:
        self.closed = True
