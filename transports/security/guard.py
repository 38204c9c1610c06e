"""What the connections of a server share: the gate, the log of refusals, a task that looks at each of them."""

import asyncio
from math import ceil
from typing import Protocol

import orjson

from transports.security.addresses import networks
from transports.security.config import SecurityConfig
from transports.security.gate import Entry, Gate, Refusal
from transports.security.refusals import RefusalLog

# How often connections are looked at, at most; limits below some seconds are looked after more often.
LOOK_SECONDS = 1.0
# Connections looked at in one go, lest the event loop be held up.
_AT_ONCE = 256
_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    414: "URI Too Long",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}


class Guarded(Protocol):
    """A connection that is looked at now and then."""

    def look(self, now: float) -> None:
        """End it, if it is time."""


class Guard:
    """Shared by the connections of one server, on one event loop."""

    def __init__(self, config: SecurityConfig) -> None:
        self.limits = config.limits
        self.gate = Gate(config.limits, networks(config.proxies))
        self._log = RefusalLog()
        self._guarded: dict[asyncio.Transport, tuple[Guarded, Entry]] = {}
        limits = config.limits
        shortest = min(
            limits.head_seconds,
            limits.body_grace,
            limits.body_seconds,
            limits.stall_seconds,
            limits.linger_seconds,
            limits.first_message_seconds,
        )
        self._look_seconds = min(LOOK_SECONDS, shortest / 4)

    @property
    def connections(self) -> int:
        """How many there are."""
        return self.gate.connections

    def time(self) -> float:
        """Now, on the event loop's clock."""
        return asyncio.get_running_loop().time()

    def enter(self, transport: asyncio.Transport, guarded: Guarded, host: str | None) -> Entry | None:
        """A connection was made. None if it is to be cut off."""
        entry = self.gate.connect(host, self.time())
        if entry is not None:
            self._guarded[transport] = guarded, entry
        return entry

    def hand_over(self, transport: asyncio.Transport, guarded: Guarded) -> None:
        """A connection has become a WebSocket."""
        _, entry = self._guarded[transport]
        self._guarded[transport] = guarded, entry

    def leave(self, transport: asyncio.Transport) -> None:
        """A connection has ended. Idempotent."""
        if (known := self._guarded.pop(transport, None)) is not None:
            self.gate.disconnect(known[1])

    def refused(self, refusal: Refusal, host: str | None) -> None:
        """Log that somebody was refused."""
        self._log.note(refusal.status, host, refusal.message, self.time())

    async def look_after(self) -> None:
        """Look at every connection now and then, until cancelled."""
        while True:
            await asyncio.sleep(self._look_seconds)
            for count, (guarded, _) in enumerate(list(self._guarded.values()), 1):
                guarded.look(self.time())
                if count % _AT_ONCE == 0:
                    await asyncio.sleep(0)


def written(refusal: Refusal) -> bytes:
    """A refusal as a whole HTTP response, after which the connection is closed."""
    body = orjson.dumps({"message": refusal.message, "status": refusal.status})
    lines = [
        f"HTTP/1.1 {refusal.status} {_REASONS[refusal.status]}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "x-content-type-options: nosniff",
        "connection: close",
    ]
    if refusal.retry_after is not None:
        lines.append(f"retry-after: {ceil(refusal.retry_after)}")
    return "\r\n".join((*lines, "", "")).encode() + body
