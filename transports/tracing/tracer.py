"""Spans of requests and turns, made with OpenTelemetry's SDK and sent as OTLP over HTTP from a thread of its own.

The SDK keeps a bounded queue and drops what does not fit; its environment variables (``OTEL_...``) say how much,
how often, with which headers, which share of the traces is sampled, and what this service is called.
"""

import asyncio
import threading
import time
from collections import OrderedDict
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from engine.origin import Origin, TraceParent
from engine.urls import without_secrets
from realtime.observer import Observation
from transports.access import Served
from transports.tracing.config import TracingError
from transports.tracing.turns import MOST_OPEN, Part, Told, Turn, Turns
from transports.version import VERSION

CLOSE_SECONDS = 5.0
"""How long the end of the server waits for the last spans to be taken."""

_PATH = "/v1/traces"
# A wall clock that was set is followed, but not what differs by the way in which clocks are read.
_STEP_NS = 1_000_000_000


class Tracer:
    """Makes the span of every request, and below it those of its turns. All of it is for one event loop."""

    def __init__(self, endpoint: str | None) -> None:
        try:
            exporter = OTLPSpanExporter(endpoint and _url(endpoint))
        except ValueError as error:  # an environment variable
            raise TracingError(f"no traces can be exported: {error}") from error
        self._provider = TracerProvider(resource=_resource())
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("parrotfish", VERSION)
        self._turns = Turns()
        self._told: OrderedDict[int, SpanContext] = OrderedDict()  # turns, for parts that come later
        self._offset = time.time_ns() - time.monotonic_ns()

    async def close(self) -> None:
        """Send what is left, within :data:`CLOSE_SECONDS`."""
        # In a thread of our own: the end of the event loop waits for asyncio's, however long they take.
        thread = threading.Thread(target=self._provider.shutdown, name="parrotfish-traces", daemon=True)
        thread.start()
        await asyncio.to_thread(thread.join, CLOSE_SECONDS)

    # -- requests -----------------------------------------------------------------------------------

    def begin(self, transport: str, request: str, parent: TraceParent | None) -> "TracedRequest":
        """A request has come. Who samples by attributes can go by those that are known now."""
        offset = time.time_ns() - time.monotonic_ns()
        if abs(offset - self._offset) > _STEP_NS:
            self._offset = offset
        attributes = {"parrotfish.transport": transport, "parrotfish.request_id": request}
        context = _context(parent, remote=True) if parent else Context()
        began = time.monotonic()
        span = self._tracer.start_span(
            transport, context, SpanKind.SERVER, attributes, start_time=self._ns(began)
        )
        return TracedRequest(self, span, transport, request)

    def over(self, traced: "TracedRequest", span: Span, served: Served) -> None:
        """A request is over."""
        origin = Origin(traced.request, traced.transport, trace=traced.place)
        self._tell(self._turns.over(origin))
        if not span.is_recording():
            return
        span.update_name(f"{served.method} {served.path}")
        span.set_attributes(
            {
                "http.request.method": "GET" if served.method == "WS" else served.method,
                "http.route": served.path,
                "http.response.status_code": served.status,
                "parrotfish.bytes_sent": served.sent,
                "parrotfish.bytes_received": served.received,
            }
        )
        if served.key is not None:
            span.set_attribute("parrotfish.key", served.key)
        if served.close is not None:
            span.set_attribute("parrotfish.close_code", served.close)
        if served.failed or served.status >= 500:
            span.set_status(Status(StatusCode.ERROR))
        span.end(self._ns(served.began + served.seconds))

    # -- turns --------------------------------------------------------------------------------------

    def note(self, event: Observation) -> None:
        """This has happened."""
        if told := self._turns.note(event):
            self._tell(told)

    def _tell(self, told: list[Told]) -> None:
        for one in told:
            if isinstance(one, Turn):
                self._turn(one)
            else:
                self._part(one, self._told.get(one.of))

    def _turn(self, turn: Turn) -> None:
        assert turn.origin.trace is not None
        attributes = {
            "parrotfish.transport": turn.origin.transport,
            "parrotfish.request_id": turn.origin.request,
            **turn.attributes,
        }
        context = _context(turn.origin.trace)
        span = self._tracer.start_span(
            "turn", context, attributes=attributes, start_time=self._ns(turn.start)
        )
        self._told[turn.number] = span.get_span_context()
        if len(self._told) > MOST_OPEN:
            self._told.popitem(last=False)
        for part in turn.parts:
            self._part(part, span.get_span_context())
        for mark in turn.marks:
            span.add_event(mark.name, mark.attributes, self._ns(mark.at))
        if turn.failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(self._ns(turn.end))

    def _part(self, part: Part, of: SpanContext | None) -> None:
        assert part.origin.trace is not None
        context = set_span_in_context(NonRecordingSpan(of)) if of else _context(part.origin.trace)
        kind = SpanKind.CLIENT if part.name == "llm" else SpanKind.INTERNAL
        span = self._tracer.start_span(
            part.name, context, kind, part.attributes, start_time=self._ns(part.start)
        )
        if part.failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(self._ns(part.end))

    def _ns(self, at: float) -> int:
        """A time of ``time.monotonic`` in nanoseconds of the epoch."""
        return round(at * 1e9) + self._offset


class TracedRequest:
    """The span of one request."""

    def __init__(self, tracer: Tracer, span: Span, transport: str, request: str) -> None:
        self._tracer = tracer
        self._span = span
        self.transport = transport
        self.request = request
        context = span.get_span_context()
        self.place = TraceParent(
            format_trace_id(context.trace_id),
            format_span_id(context.span_id),
            context.trace_flags.sampled,
            context.trace_state.to_header(),
        )

    def end(self, served: Served) -> None:
        """It is over."""
        self._tracer.over(self, self._span, served)


def _context(place: TraceParent, *, remote: bool = False) -> Context:
    span = SpanContext(
        int(place.trace_id, 16),
        int(place.span_id, 16),
        is_remote=remote,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if place.sampled else TraceFlags.DEFAULT),
        trace_state=TraceState.from_header([place.state]) if place.state else None,
    )
    return set_span_in_context(NonRecordingSpan(span))


def _resource() -> Resource:
    """Who we are, unless the environment says otherwise."""
    ours = {"service.name": "parrotfish", "service.version": VERSION}
    given = OTELResourceDetector().detect().attributes
    return Resource.create({name: value for name, value in ours.items() if name not in given})


def _url(endpoint: str) -> str:
    """The address that spans are posted to, at the base URL of a receiver or as it is given in full."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TracingError(
            f"--otlp-endpoint: got {without_secrets(endpoint)!r}; expected a URL such as http://localhost:4318"
        )
    if parts.path.endswith(_PATH):
        return endpoint
    return parts._replace(path=parts.path.rstrip("/") + _PATH).geturl()
