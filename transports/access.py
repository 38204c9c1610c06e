"""The outermost door: every request and socket gets its ids here, and its line in the log when it is over."""

import logging
import re
import time
from typing import Final, Protocol
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine import origin
from engine.logs import hide_secrets
from engine.origin import Origin, TraceParent

REQUEST_ID: Final = "X-Request-Id"
# Long enough for a UUID and for a W3C traceparent; nothing that would mean something to who reads a log.
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_TRANSPORTS = {
    "/v1/tts/live": "live",
    "/v1/tts": "http",
    "/v1/asr/realtime": "asr_live",
    "/v1/asr": "asr",
    "/v1/dub": "dub",
    "/v1/agent": "agent",
    "/v1/webrtc": "webrtc",
    "/v1/telephony": "telephony",
    "/v1/audio": "openai",
    "/compat": "openai",
    "/fish": "gateway",
    "/api/v1": "gateway",
    "/v1/ai": "gateway",
}
"""By the beginning of the path, the longer ones first."""

log = logging.getLogger(__name__)


class RequestSpan(Protocol):
    """The span of a request that is under way."""

    @property
    def place(self) -> TraceParent:
        """Its place in the trace."""
        ...

    def end(self, served: "Served") -> None:
        """It is over."""
        ...


class RequestTracer(Protocol):
    """Makes spans of requests."""

    def begin(self, transport: str, request: str, parent: TraceParent | None) -> RequestSpan:
        """A request has come, because of a ``parent`` elsewhere if it says so."""
        ...


class Served:
    """What became of a request or socket. ``method`` is WS for sockets, whose ``status`` is 101 if it was opened.

    ``path`` is the route's, with names for what varies: addresses hold what others must not read. ``status`` is
    0 if nothing was answered. ``sent`` and ``received`` are bytes of bodies and messages. ``close`` is the code
    with which a socket was closed, by either side. ``key`` is the id of the caller's API key.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.method: str = "WS" if scope["type"] == "websocket" else scope["method"]
        self.status = 0
        self.sent = self.received = 0
        self.close: int | None = None
        self.key: str | None = None
        self.failed = False
        self.began = time.monotonic()
        self.seconds = 0.0

    @property
    def path(self) -> str:
        """The template of the route that has served it, "-" if none has."""
        path = getattr(self._scope.get("route"), "path", None)
        return path if isinstance(path, str) and path else "-"

    def came(self, message: Message) -> None:
        """A message of the client."""
        match message["type"]:
            case "http.request":
                self.received += len(message.get("body", b""))
            case "websocket.receive":
                self.received += _size(message)
            case "websocket.disconnect":
                self.close = message.get("code")

    def goes(self, message: Message) -> None:
        """A message to the client."""
        match message["type"]:
            case "http.response.start" | "websocket.http.response.start":
                self.status = message["status"]
            case "http.response.body" | "websocket.http.response.body":
                self.sent += len(message.get("body", b""))
            case "websocket.accept":
                self.status = 101
            case "websocket.send":
                self.sent += _size(message)
            case "websocket.close":
                self.close = message.get("code", 1000)
                self.status = self.status or 403  # as servers answer a handshake that is closed


class Access:
    """An application whose requests and sockets have ids: in the log, in their answer, and for other servers.

    A client's ``X-Request-Id`` is kept if it is short and plain; its ``traceparent`` is where ``tracer``, if
    there is one, begins its span, and what is told to the servers that are asked because of it.
    """

    def __init__(self, app: ASGIApp, tracer: RequestTracer | None = None) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request, transport = request_id(headers), transport_of(scope["path"])
        trace = trace_parent(headers)
        span = self._tracer.begin(transport, request, trace) if self._tracer else None
        # Not taken back: what the web server logs when the application has failed is of this request, too.
        origin.begin(Origin(request, transport, trace=span.place if span else trace))
        served = Served(scope)

        async def receiving() -> Message:
            message = await receive()
            served.came(message)
            return message

        async def sending(message: Message) -> None:
            if message["type"] in (
                "http.response.start",
                "websocket.accept",
                "websocket.http.response.start",
            ):
                message.setdefault("headers", [])
                MutableHeaders(scope=message)[REQUEST_ID] = request
            served.goes(message)
            await send(message)

        try:
            await self._app(scope, receiving, sending)
        except BaseException:
            served.failed = True
            raise
        finally:
            served.seconds = time.monotonic() - served.began
            if (now := origin.current()) is not None:
                served.key = now.key
            if span is not None:
                span.end(served)
            _tell(served)


def request_id(headers: Headers) -> str:
    """The id that a client gives its request, if it can be one; else a new one."""
    given = headers.getlist(REQUEST_ID)
    if len(given) == 1 and _SAFE.fullmatch(given[0]) and hide_secrets(given[0]) == given[0]:
        return given[0]
    return uuid4().hex


def trace_parent(headers: Headers) -> TraceParent | None:
    """Where in a trace the client is, if it says so properly."""
    given = headers.getlist("traceparent")
    return TraceParent.parse(given[0], ",".join(headers.getlist("tracestate"))) if len(given) == 1 else None


def transport_of(path: str) -> str:
    """Which of the wires an address belongs to; "other" is none of them."""
    for start, transport in _TRANSPORTS.items():
        if path == start or path.startswith(f"{start}/"):
            return transport
    return "other"


def _size(message: Message) -> int:
    return len(message.get("bytes") or message.get("text") or b"")


def _tell(served: Served) -> None:
    if not log.isEnabledFor(logging.INFO):
        return
    fields = {
        "method": served.method,
        "path": served.path,
        "status": served.status,
        "seconds": round(served.seconds, 4),
        "bytes": served.sent,
        "received": served.received,
    }
    if served.close is not None:
        fields["close"] = served.close
    log.info(
        "%s %s %d, %.3f s, %d bytes",
        served.method,
        served.path,
        served.status,
        served.seconds,
        served.sent,
        extra={"fields": fields},
    )
