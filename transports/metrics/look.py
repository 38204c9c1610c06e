"""What is looked at when somebody asks: the engine's numbers, and how many connections there are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from engine import EngineState
from engine.numbers import Distribution, WorkerNumbers
from transports.version import VERSION

_ENGINE = "parrotfish_engine"


@dataclass(frozen=True, slots=True)
class Look:
    """A server at one moment. ``connections`` by what they are."""

    model: str
    state: EngineState
    workers: Sequence[WorkerNumbers]
    connections: Mapping[str, int]

    def families(self) -> Iterator[Metric]:
        """The same as Prometheus has it."""
        build = GaugeMetricFamily(
            "parrotfish_build_info", "What runs here; always 1.", labels=("version", "model")
        )
        build.add_metric((VERSION, self.model), 1)
        yield build
        state = GaugeMetricFamily(f"{_ENGINE}_state", "1 for what the engine does now.", labels=("state",))
        for one in EngineState:
            state.add_metric((one.value,), float(one is self.state))
        yield state
        connections = GaugeMetricFamily(
            "parrotfish_connections", "Sockets, calls and peers that are open.", labels=("kind",)
        )
        for kind, count in self.connections.items():
            connections.add_metric((kind,), count)
        yield connections
        yield from self._streams()
        yield from self._work()
        yield from self._pages()

    def _streams(self) -> Iterator[Metric]:
        streams = GaugeMetricFamily(
            f"{_ENGINE}_streams",
            "Streams that are open, that have something to say, and that wait for the first sound of it.",
            labels=("worker", "what"),
        )
        limit = GaugeMetricFamily(
            f"{_ENGINE}_streams_limit", "Streams that may speak at a time.", labels=("worker",)
        )
        up = GaugeMetricFamily(
            f"{_ENGINE}_worker_up", "1 for a worker that lives, 0 for one that has died.", labels=("worker",)
        )
        restarts = CounterMetricFamily(
            f"{_ENGINE}_restarts", "How often a worker had died and was started again.", labels=("worker",)
        )
        for one in self.workers:
            worker = str(one.worker)
            for what, count in (("open", one.open), ("speaking", one.speaking), ("waiting", one.waiting)):
                streams.add_metric((worker, what), count)
            limit.add_metric((worker,), one.max_streams)
            up.add_metric((worker,), float(one.alive))
            restarts.add_metric((worker,), one.restarts)
        yield from (streams, limit, up, restarts)

    def _work(self) -> Iterator[Metric]:
        busy = CounterMetricFamily(
            f"{_ENGINE}_busy_seconds",
            "Time in which the model computed; over that of audio, the real-time factor.",
            labels=("worker",),
        )
        audio = CounterMetricFamily(f"{_ENGINE}_audio_seconds", "Speech that it made.", labels=("worker",))
        for one in self.workers:
            busy.add_metric((str(one.worker),), one.busy)
            audio.add_metric((str(one.worker),), one.audio)
        yield from (busy, audio)
        yield self._histogram(
            "step_seconds",
            "Steps: each is a frame of all streams in it.",
            [one.steps for one in self.workers],
        )
        yield self._histogram("batch_streams", "Streams in a step.", [one.batch for one in self.workers])
        yield self._histogram(
            "prefill_seconds", "Segments taken in by the model.", [one.prefill for one in self.workers]
        )
        yield self._histogram(
            "release_seconds",
            "From the end of a stream, such as by a cancel, until the model had let go of it.",
            [one.release for one in self.workers],
        )

    def _histogram(self, name: str, doc: str, values: Sequence[Distribution]) -> Metric:
        family = HistogramMetricFamily(f"{_ENGINE}_{name}", doc, labels=("worker",))
        for one, value in zip(self.workers, values, strict=True):
            bounds = [*map(str, value.bounds), "+Inf"]
            buckets = list(zip(bounds, map(float, accumulate(value.counts)), strict=True))
            family.add_metric((str(one.worker),), buckets, value.total)
        return family

    def _pages(self) -> Iterator[Metric]:
        pages = GaugeMetricFamily(
            f"{_ENGINE}_pages",
            "Pages of the KV cache that streams use, that can be found again, and that are free.",
            labels=("worker", "what"),
        )
        asked = CounterMetricFamily(
            f"{_ENGINE}_prefix_asked", "Positions of prompts and histories to be read.", labels=("worker",)
        )
        found = CounterMetricFamily(
            f"{_ENGINE}_prefix_found", "Of those, the ones that were in the cache.", labels=("worker",)
        )
        for one in self.workers:
            if (cache := one.pages) is None:
                continue
            worker, free = str(one.worker), cache.pages - cache.used - cache.cached
            for what, count in (("used", cache.used), ("cached", cache.cached), ("free", free)):
                pages.add_metric((worker, what), count)
            asked.add_metric((worker,), cache.asked)
            found.add_metric((worker,), cache.found)
        yield from (pages, asked, found)
