"""A collector of traces: a real OTLP receiver over HTTP, which keeps the spans that it is sent."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

SECONDS = 30.0


@dataclass(frozen=True)
class Span:
    """One span: ids in hexadecimal digits, times in nanoseconds; ``server`` says who made it."""

    name: str
    trace: str
    id: str
    parent: str
    start: int
    end: int
    attributes: dict[str, Any]
    events: tuple[str, ...]
    failed: bool
    server: dict[str, Any]


@dataclass
class Receiver:
    """What was sent to ``url`` by now; ``raw`` are the bodies."""

    url: str
    spans: list[Span] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    news: threading.Condition = field(default_factory=threading.Condition)

    def until(self, enough: Callable[[list[Span]], bool], what: str) -> list[Span]:
        """All spans, as soon as those that are wanted are among them."""
        with self.news:
            found = self.news.wait_for(lambda: enough(self.spans), SECONDS)
            names = [(span.name, span.attributes) for span in self.spans]
            assert found, f"no {what} within {SECONDS:g} s; there are {names}"
            return list(self.spans)

    def one(self, name: str, trace: str | None = None) -> Span:
        """The first span of a name, in a trace; waits for it."""

        def fits(span: Span) -> bool:
            return span.name == name and trace in (None, span.trace)

        spans = self.until(lambda all_: any(map(fits, all_)), f"{name} in {trace}")
        return next(span for span in spans if fits(span))

    def below(self, parent: Span) -> list[Span]:
        """The children of a span that have come, by their beginnings."""
        with self.news:
            children = [span for span in self.spans if span.parent == parent.id]
        return sorted(children, key=lambda span: span.start)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces", self.path
            request = ExportTraceServiceRequest.FromString(body)
            with receiver.news:
                receiver.raw.append(body)
                receiver.headers.append(dict(self.headers.items()))
                receiver.spans += _spans(request)
                receiver.news.notify_all()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield receiver
        finally:  # or the thread would outlive a test that fails, and pytest with it
            server.shutdown()
            thread.join()


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        server = _values(resource.resource.attributes)
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield _span(span, server)


def _span(span: WireSpan, server: dict[str, Any]) -> Span:
    return Span(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _values(span.attributes),
        tuple(event.name for event in span.events),
        span.status.code == Status.STATUS_CODE_ERROR,
        server,
    )


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
