"""The metrics on a port of their own, which nobody but this machine reaches: Prometheus' own small server."""

import asyncio
import logging
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from transports.metrics.look import Look

HOST = "127.0.0.1"
# An event loop that does not look for so long is the news: the page then has what was seen last.
_PATIENCE_SECONDS = 2.0

log = logging.getLogger(__name__)


class Port(Collector):
    """Serves pages on threads, none of which is the event loop's; raises OSError if the port is not to be had.

    ``look`` is called on the event loop that made this; what ``counted`` has needs none.
    """

    def __init__(self, port: int, look: Callable[[], Look], counted: CollectorRegistry) -> None:
        self._look = look
        self._counted = counted
        self._last = look()
        self._loop = asyncio.get_running_loop()
        registry = CollectorRegistry()
        registry.register(self)
        self._server, self._thread = start_http_server(port, HOST, registry)
        self.number = self._server.server_port

    def collect(self) -> Iterator[Metric]:
        """Everything; called on a thread of the server."""
        coroutine = self._look_now()
        try:
            self._last = asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_PATIENCE_SECONDS)
        except TimeoutError:
            log.warning("the event loop did not answer for %g s", _PATIENCE_SECONDS)
        except RuntimeError:  # it is closed
            coroutine.close()
        yield from self._last.families()
        yield from self._counted.collect()

    def close(self) -> None:
        """Serve no more. Blocks for a moment."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    async def _look_now(self) -> Look:
        return self._look()
