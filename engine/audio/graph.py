"""A filter of FFmpeg's as a stream of samples."""

from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

from engine.speech import Pcm


class Filter:
    """Runs mono samples at ``sample_rate`` Hz through libavfilter's ``name``, once for each of ``arguments``."""

    def __init__(self, sample_rate: int, name: str, *arguments: str) -> None:
        self._sample_rate = sample_rate
        self._graph = Graph()
        # Else each graph starts as many threads as there are cores, which live until it is collected.
        self._graph.threads = 1
        self._graph.link_nodes(
            self._graph.add_abuffer(
                sample_rate=sample_rate, format="flt", layout="mono", time_base=Fraction(1, sample_rate)
            ),
            *(self._graph.add(name, stage) for stage in arguments),
            self._graph.add("abuffersink"),
        ).configure()

    def push(self, pcm: Pcm) -> Pcm:
        """The samples that come out for these. In and out: shape ``(n,)``; at least one in."""
        frame = av.AudioFrame.from_ndarray(pcm[np.newaxis], format="flt", layout="mono")
        frame.sample_rate = self._sample_rate
        self._graph.push(frame)
        return self._pull()

    def end(self) -> Pcm:
        """The samples that the filter held back. Ends the stream."""
        self._graph.push(None)
        return self._pull()

    def _pull(self) -> Pcm:
        parts = []
        while True:
            try:
                parts.append(np.asarray(self._graph.pull().to_ndarray()[0], np.float32))
            except (av.BlockingIOError, av.EOFError):
                return np.concatenate(parts) if parts else np.zeros(0, np.float32)
