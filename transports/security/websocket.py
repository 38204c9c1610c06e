"""WebSockets with limits: uvicorn's protocol, which has none for small frames, slow readers and silent clients.

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
from transports.security.gate import Refusal
from transports.security.guard import Guard
from transports.security.outgoing import Outgoing

_POLICY_VIOLATION = 1008


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
        self._since = now
        self._fragments = 0
        self._spoken = False
        self._over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is the connection that was counted when it was made."""
        super().connection_made(transport)
        self._guard.hand_over(cast(asyncio.Transport, transport), self)

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
        if self._outgoing.overdue(now, closing=self.transport.is_closing()):
            self.transport.abort()
        elif (
            not (self._spoken or self._over) and now - self._since > self._guard.limits.first_message_seconds
        ):
            self._end(f"no message for {self._guard.limits.first_message_seconds:g} s")

    def handle_text(self, event: Frame) -> None:
        """A message, or the beginning of one."""
        if self._take():
            self._spoken, self._fragments = True, 1
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """The same, of audio."""
        if self._take():
            self._spoken, self._fragments = True, 1
            super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """More of a message."""
        self._fragments += 1
        if self._fragments > self._guard.limits.fragments:
            self._end(f"a message in more than {self._guard.limits.fragments} fragments")
        elif self._take():
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

    def _take(self) -> bool:
        """Whether one more frame may come."""
        if self._over:
            return False
        if not self._bucket.take(self._guard.time()):
            self._end(f"more than {self._guard.limits.message_rate:g} messages a second")
            return False
        return True

    def _end(self, reason: str) -> None:
        """Close it, with a reason."""
        if self._over or self.close_sent or self.transport.is_closing():
            return
        self._over = True
        self._guard.refused(Refusal(_POLICY_VIOLATION, reason), self.client[0] if self.client else None)
        self.conn.fail(_POLICY_VIOLATION, reason)
        self.frames = []
        self.queue.put_nowait({"type": "websocket.disconnect", "code": _POLICY_VIOLATION, "reason": reason})
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
