"""WebSockets with limits: uvicorn's protocol, which has none for small frames, slow and silent clients.

It reaches into :class:`uvicorn.protocols.websockets.websockets_sansio_impl.WebSocketsSansIOProtocol`; hence the
narrow range of versions.
"""

import asyncio
from typing import Any, cast

from uvicorn import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame

from transports.security.buckets import Bucket
from transports.security.gate import POLICY_VIOLATION, Refusal
from transports.security.guard import Guard
from transports.security.outgoing import Outgoing
from transports.security.pace import MessagePace

# What a fragment takes beside its bytes.
_FRAGMENT_BYTES = 128


class GuardedWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket, from its handshake on, whose head has been read."""

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
        now = guard.time()
        self._guard = guard
        self._bucket = Bucket(guard.limits.message_rate, guard.limits.message_burst, now)
        self._outgoing = Outgoing(guard.limits)
        self._message = MessagePace(guard.limits)
        self._since = self._looked_at = now
        self._fragments = 0
        self._kept = 0  # bytes of a message that is not all there ...
        self._kept_of: str | None = None  # ... and whose they are
        self._spoken = False
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is the connection that was counted when it was made."""
        super().connection_made(transport)
        self._guard.hand_over(cast(asyncio.Transport, transport), self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more."""
        self._keep(0)
        self._guard.leave(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse it, and see how much of a message that is not all there has to be kept."""
        super().data_received(data)
        if self._over or self.transport.is_closing():
            return
        # A frame that is not all there has not left the parser.
        size = len(self.conn.reader.buffer) + (self.conn.current_size or 0)
        size += _FRAGMENT_BYTES * len(self.frames)
        self._message.part(size, self._guard.time())
        if (refusal := self._keep(size)) is None:
            return
        if self.close_sent:  # it has been told all that it will be
            self.transport.abort()
        else:
            self._end(refusal)

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
        if self.read_paused:
            self._message.excuse(now - self._looked_at)
        self._looked_at = now
        limits = self._guard.limits
        if self._outgoing.overdue(now, closing=self.transport.is_closing()):
            self.transport.abort()
        elif (late := self._message.overdue(now)) is not None:
            self._end(late)
        elif not (self._spoken or self._over) and now - self._since > limits.first_message_seconds:
            self._end(_against_policy(f"no message for {limits.first_message_seconds:g} s"))

    def handle_text(self, event: Frame) -> None:
        """A message, or the beginning of one."""
        if self._take():
            self._begun(event)
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """The same, of audio."""
        if self._take():
            self._begun(event)
            super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """More of a message."""
        self._fragments += 1
        if self._fragments > self._guard.limits.fragments:
            self._end(_against_policy(f"a message in more than {self._guard.limits.fragments} fragments"))
        elif self._take():
            if event.fin:
                self._message.done()
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answered, unless the client takes no answers: these would pile up."""
        if not self._take():
            return
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_pong(self, event: Frame) -> None:
        """It is there."""
        if self._take():
            super().handle_pong(event)

    def keepalive_timeout(self) -> None:
        """No answer to a ping: it may be behind the rest of a long message, which has a time of its own."""
        if self._message.unfinished and self.ping_timeout is not None:
            self.pong_timer = self.loop.call_later(self.ping_timeout, self.keepalive_timeout)
        else:
            super().keepalive_timeout()

    def _begun(self, event: Frame) -> None:
        """A message has begun, and perhaps ended."""
        self._spoken, self._fragments = True, 1
        if event.fin:
            self._message.done()

    @property
    def _host(self) -> str | None:
        """Who this is, as far as a trusted proxy has said so by now."""
        scope = getattr(self, "scope", None)
        client = scope["client"] if scope else self.client
        return client[0] if client else None

    def _keep(self, size: int) -> Refusal | None:
        """Have so many bytes of an unfinished message counted; why not, if they may not be."""
        if not self._kept:
            self._kept_of = self._host
        refusal = self._guard.gate.keep(self._kept_of, self._kept, size)
        if refusal is None:
            self._kept = size
        return refusal

    def _take(self) -> bool:
        """Whether one more frame may come."""
        if self._over:
            return False
        if not self._bucket.take(self._guard.time()):
            self._end(_against_policy(f"more than {self._guard.limits.message_rate:g} messages a second"))
            return False
        return True

    def _end(self, refusal: Refusal) -> None:
        """Close it, with a reason."""
        if self._over or self.close_sent or self.transport.is_closing():
            return
        self._over = True
        code, reason = refusal.status, refusal.message
        self._guard.refused(refusal, self._host)
        self.conn.fail(code, reason)
        self.frames = []
        self._message.done()
        self._keep(0)
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()


def _against_policy(reason: str) -> Refusal:
    return Refusal(POLICY_VIOLATION, reason)
