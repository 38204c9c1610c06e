"""A caller's audio on its way from a line to an ear."""

import asyncio
from collections import deque

import numpy as np

from engine.audio import Resampler
from engine.speech import Pcm
from realtime.ears import HEARING_RATE, Ear

_MOST_WAITING = 5.0  # seconds for the ear, before no more is taken from the line
_STALL = 0.4  # seconds without a sample, after which a line is silent: some send nothing then
_GRACE = 0.04
_MOST_SILENCE = 2.0  # so much is filled in: enough to end any turn


class Microphone:
    """Audio at ``sample_rate`` Hz: put in by who reads the line, fed to an ear by another task.

    Where a line sends nothing for a while, silence is filled in: else a caller who switches his microphone off
    behind his last word would never have finished. The last ``kept`` seconds are there for a judge of turns.
    """

    def __init__(self, sample_rate: int, kept: float) -> None:
        self._rate = sample_rate
        self._waiting: deque[Pcm] = deque()
        self._samples = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._kept = int(kept * sample_rate)
        self._lately: deque[Pcm] = deque()
        self._lately_samples = 0

    async def put(self, pcm: Pcm) -> None:
        """The next samples; waits while the ear is too far behind."""
        self._waiting.append(pcm)
        self._samples += pcm.size
        self._news.set()
        while self._samples > _MOST_WAITING * self._rate:
            self._room.clear()
            await self._room.wait()

    async def feed(self, ear: Ear) -> None:
        """Give the ear all there is, as it comes. Never returns."""
        loop = asyncio.get_running_loop()
        silence = 0.0
        while True:
            self._news.clear()
            if self._waiting:
                pcm = np.concatenate(self._waiting)
                self._waiting.clear()
                self._samples = 0
                silence = 0.0
                self._room.set()
            else:
                began = loop.time()
                try:
                    async with asyncio.timeout(_STALL if silence < _MOST_SILENCE else None):
                        await self._news.wait()
                    continue
                except TimeoutError:
                    await asyncio.sleep(_GRACE)  # it may have been this loop that was late, not the line
                    if self._waiting:
                        continue
                    missing = loop.time() - began
                    silence += missing
                    pcm = np.zeros(round(missing * self._rate), np.float32)
            self._keep(pcm)
            await ear.push(pcm)

    def forget(self) -> None:
        """What was kept is of an earlier turn."""
        self._lately.clear()
        self._lately_samples = 0

    def lately(self) -> list[Pcm]:
        """The last samples, for :meth:`joined`."""
        return list(self._lately)

    def joined(self, pieces: list[Pcm]) -> Pcm:
        """Pieces as one, at :data:`HEARING_RATE`. For threads."""
        resampler = Resampler(self._rate, HEARING_RATE)
        pcm = np.concatenate([np.zeros(0, np.float32), *pieces])
        return np.concatenate([resampler.push(pcm), resampler.drain()])

    def _keep(self, pcm: Pcm) -> None:
        self._lately.append(pcm)
        self._lately_samples += pcm.size
        while self._lately_samples - self._lately[0].size >= self._kept:
            self._lately_samples -= self._lately.popleft().size
