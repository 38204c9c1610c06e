"""A tiny checkpoint of random weights, made once for a whole run, and models that babble with it."""

import tempfile
from functools import cache
from pathlib import Path

import numpy as np

from engine.errors import SpeechError
from engine.models.dual_ar import DualARModel, DualAROptions, load_dual_ar
from engine.models.dual_ar.checkpoint import write_checkpoint
from engine.models.dual_ar.config import Layout
from engine.models.dual_ar.presets import Scale
from engine.speech import Frame, Pcm, Segment, StreamId, StreamOptions, WordTime

RATE = 44_100
FRAME = 2048


@cache
def folder(like: Layout) -> Path:
    """The checkpoint; it goes with the process."""
    place = _kept() / like
    write_checkpoint(place, like, Scale.TINY, seed=1)
    return place


@cache
def _kept() -> Path:
    _kept.directory = tempfile.TemporaryDirectory()  # type: ignore[attr-defined]
    return Path(_kept.directory.name)  # type: ignore[attr-defined]


def model(like: Layout = Layout.S2_PRO, **options: object) -> DualARModel:
    """A model of its own, of two streams unless ``options`` say otherwise."""
    return load_dual_ar(folder(like), DualAROptions(**{"device": "cpu", "max_streams": 2, **options}))  # type: ignore[arg-type]


class Speaking:
    """Streams of one model, spoken together, and what was heard of each."""

    def __init__(self, model: DualARModel) -> None:
        self.model = model
        self.pcm: dict[StreamId, list[Pcm]] = {}
        self.words: dict[StreamId, list[WordTime]] = {}
        self.errors: dict[StreamId, SpeechError] = {}
        self._going: list[StreamId] = []

    def say(self, stream: int, segment: Segment | str, options: StreamOptions) -> None:
        name = StreamId(stream)
        self.model.prefill(name, Segment(segment) if isinstance(segment, str) else segment, options)
        self.pcm.setdefault(name, [])
        self.words.setdefault(name, [])
        self._going.append(name)

    def step(self) -> None:
        for stream, outcome in zip(tuple(self._going), self.model.step(tuple(self._going)), strict=True):
            if isinstance(outcome, Frame):
                self.pcm[stream].append(outcome.pcm)
                self.words[stream] += outcome.words
                if outcome.last:
                    self._going.remove(stream)
            else:
                self.errors[stream] = outcome
                self._going.remove(stream)

    def finish(self) -> None:
        """Until all that was said has been heard, or failed."""
        for _ in range(3000):
            if not self._going:
                return
            self.step()
        raise AssertionError(f"{self._going} came to no end")

    def heard(self, stream: int) -> Pcm:
        """All samples of a stream; forgets them."""
        pcm, self.pcm[StreamId(stream)] = self.pcm[StreamId(stream)], []
        return np.concatenate(pcm)
