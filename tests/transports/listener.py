"""Somebody who waits for callbacks."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson


@dataclass
class Listener:
    """Takes callbacks; answers with the ``answers`` given, then always with 200."""

    url: str
    got: list[dict[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def wait(self) -> dict[str, Any]:
        """The next callback."""
        assert self.arrived.acquire(timeout=60)
        return self.got[-1]


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            listener.got.append(orjson.loads(body))
            self.send_response(listener.answers.pop(0) if listener.answers else 200)
            self.send_header("Location", listener.url)
            self.send_header("Content-Length", "0")
            self.end_headers()
            listener.arrived.release()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        listener = Listener(f"http://127.0.0.1:{server.server_address[1]}/done")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield listener
        finally:  # or the thread would outlive a test that fails, and pytest with it
            server.shutdown()
            thread.join()
