"""HTTP connections with limits: uvicorn's protocol, which has none for heads, slow senders and slow readers.

It reaches into :class:`uvicorn.protocols.http.httptools_impl.HttpToolsProtocol`; hence the narrow range of
versions.
"""

import asyncio
from functools import partial
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from transports.security.gate import Refusal
from transports.security.guard import Guard, written
from transports.security.outgoing import Outgoing
from transports.security.pace import Pace, Phase, head_too_large
from transports.security.websocket import GuardedWebSocket


class _Refused(Exception):
    """Ends the parsing of a request."""


class GuardedHttp(HttpToolsProtocol):
    """One connection. What is wrong with a request before the application has seen it is answered here."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        guard: Guard,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.ws_protocol_class = partial(GuardedWebSocket, guard=guard)  # type: ignore[assignment]
        self._guard = guard
        self._pace = Pace(guard.limits, guard.time())
        self._outgoing = Outgoing(guard.limits)
        self._refusal: Refusal | None = None  # of whatever this connection asks
        self._over = False
        self._head_bytes = 0
        self._looked_at = guard.time()

    # -- the connection -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Count it."""
        super().connection_made(transport)
        entry = self._guard.enter(transport, self, self._host)
        if entry is None:
            self._over = True
            transport.abort()
            return
        self._refusal = entry.refusal

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self._guard.leave(self.transport)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client takes less than it is sent."""
        self._outgoing.stuck(self._guard.time())
        super().pause_writing()

    def resume_writing(self) -> None:
        """It has taken it."""
        self._outgoing.moving()
        super().resume_writing()

    def look(self, now: float) -> None:
        """End it, if it is time."""
        if self.flow.read_paused:
            self._pace.excuse(now - self._looked_at)
        self._looked_at = now
        if self._outgoing.overdue(now, closing=self._over or self.transport.is_closing()):
            self.transport.abort()
            return
        if self._over or self.transport.is_closing():
            return
        if self._answering and self._pace.phase is Phase.HEAD:
            return  # of the next request, which holds nothing up
        if (refusal := self._pace.overdue(now)) is not None:
            if self._pace.silent:
                self.transport.close()  # nothing was asked
            else:
                self._refuse(refusal)

    # -- a request ----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse it, unless this connection is over: then it is only let end."""
        if self._over:
            return
        # Between requests some clients send an empty line, which begins none.
        if not (self._answering and self._pace.phase is Phase.IDLE):
            self._pace.received(len(data), self._guard.time())
        super().data_received(data)
        if not self._over and (refusal := self._pace.too_much()) is not None:
            self._refuse(refusal)

    def on_message_begin(self) -> None:
        """A request line begins."""
        self._pace.head_begun(self._guard.time())
        self._head_bytes = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """More of the request line."""
        super().on_url(url)
        if len(self.url) > self._guard.limits.line:
            self._fail(Refusal(414, f"request line: expected at most {self._guard.limits.line} bytes"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer after a chunked body."""
        limits = self._guard.limits
        self._head_bytes += len(name) + len(value) + 4
        if len(self.headers) >= limits.head_fields or len(self.url) + self._head_bytes > limits.head:
            self._fail(head_too_large(limits))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The application is asked, unless nothing of this connection is taken."""
        if self._refusal is not None:
            self._fail(self._refusal)
        self._pace.head_done(self._guard.time())
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """More of a body."""
        self._pace.content(len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole request has come."""
        self._pace.done(self._guard.time())
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """The parser gave up: because of what we raised, or of what came."""
        self._refuse(self._refusal or Refusal(400, "request: not HTTP/1.1 as in RFC 9112"))

    # -- refusals -----------------------------------------------------------------------------------

    @property
    def _host(self) -> str | None:
        return self.client[0] if self.client else None

    @property
    def _answering(self) -> bool:
        """Whether an earlier request is still being answered."""
        return self.cycle is not None and not self.cycle.response_complete

    def _fail(self, refusal: Refusal) -> None:
        """Stop the parser, which then asks for a response. Raises."""
        self._refusal = refusal
        raise _Refused

    def _refuse(self, refusal: Refusal) -> None:
        """Answer, if that can still be done, and end the connection: after what is under way has been sent."""
        self._over = True
        self._guard.refused(refusal, self._host)
        cycle = self.cycle
        started = cycle is not None and cycle.response_started and not cycle.response_complete
        if self._answering:
            cycle.disconnected = True  # whoever waits for its body learns that none will come
            cycle.message_event.set()
        if started or self.pipeline:
            self.transport.close()
            return
        self.transport.write(written(refusal))
        # What else was sent is let come, and dropped: a reset would overtake the answer.
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()
        self._outgoing.ended(self._guard.time())
