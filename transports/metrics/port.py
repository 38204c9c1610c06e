"""The metrics on a port of their own, which nobody but this machine reaches; on threads, not the event loop."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from transports.metrics.look import Look

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

HOST = "127.0.0.1"
# By other names a page in a browser here may ask, whose owner has made them mean this machine.
NAMES = frozenset((HOST, "localhost"))
# An event loop that does not look for so long is the news: the page then has what was seen last.
_PATIENCE_SECONDS = 2.0

log = logging.getLogger(__name__)


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = 10  # seconds that a client may take to ask

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Port(Collector):
    """Serves pages; raises OSError if the port is not to be had.

    ``look`` is called on the event loop that made this; what ``counted`` has needs none.
    """

    def __init__(self, port: int, look: Callable[[], Look], counted: CollectorRegistry) -> None:
        self._look = look
        self._counted = counted
        self._last = look()
        self._loop = asyncio.get_running_loop()
        registry = CollectorRegistry()
        registry.register(self)
        self._pages = make_wsgi_app(registry)
        self._server = make_server(HOST, port, self._answer, _Server, _Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="parrotfish-metrics", daemon=True
        )
        self._thread.start()

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

    def _answer(self, environ: dict[str, Any], start: "StartResponse") -> Iterable[bytes]:
        if environ.get("HTTP_HOST", HOST).partition(":")[0] in NAMES:
            page: Iterable[bytes] = self._pages(environ, start)
            return page
        start("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"metrics are for programs of this machine: ask for them at 127.0.0.1\n"]

    async def _look_now(self) -> Look:
        return self._look()
