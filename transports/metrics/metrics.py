"""The metrics of one server: what was counted, and what is looked at when somebody asks."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector, disable_created_metrics
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from engine import Engine
from transports.metrics.lag import LagMeter
from transports.metrics.look import Look
from transports.metrics.meters import Meters
from transports.metrics.port import Port

# They would double the page, and nobody's dashboard uses them.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Page(NamedTuple):
    """A page of metrics, and its Content-Type."""

    data: bytes
    mime: str


class Metrics:
    """Counts with :attr:`meters`, an observer; has pages between :meth:`start` and :meth:`close`.

    Everything here belongs to the event loop, which does no more for a page than look at some numbers.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.meters = Meters(self._registry, lambda: self._engine.state.value)
        self._lag = LagMeter(self.meters.lag)
        self._connections: Callable[[], Mapping[str, int]] = dict
        self._port: Port | None = None

    def start(self, connections: Callable[[], Mapping[str, int]], port: int | None = None) -> None:
        """Begin; ``connections`` says how many are open of each kind. Raises OSError if there is no such port."""
        self._connections = connections
        if port is not None:
            self._port = Port(port, self._look, self._registry)
        self._lag.start()

    async def close(self) -> None:
        """End what was started."""
        self._lag.stop()
        if self._port is not None:
            port, self._port = self._port, None
            await asyncio.to_thread(port.close)

    async def page(self, accept: str = "") -> Page:
        """What there is to tell now, in the format that the header ``Accept`` asks for."""
        look = self._look()
        encode, mime = choose_encoder(accept)
        return Page(await asyncio.to_thread(encode, _Both(look, self._registry)), mime)

    def _look(self) -> Look:
        workers = self._engine.numbers()
        model = self._engine.info.name if workers else ""
        return Look(model, self._engine.state, workers, self._connections())


class _Both(Collector):
    """What was looked at and what was counted, as one."""

    def __init__(self, look: Look, registry: CollectorRegistry) -> None:
        self._look = look
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        """All of it."""
        yield from self._look.families()
        yield from self._registry.collect()
