"""How many connections, requests and bytes of messages there may be, in all and of one address. Sans I/O."""

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from transports.security.addresses import Network, whose, within
from transports.security.buckets import Bucket
from transports.security.config import Limits

# So many more connections than there may be are told why they are not; the next are only cut off.
TOLD = 64
# Addresses that are remembered. Who is forgotten begins anew, so there have to be more than one attacker has.
REMEMBERED = 50_000
# A message of so many bytes may come whatever else is kept: it takes no more than a connection does.
SMALL = 64 * 1024
# Close codes of WebSockets; RFC 6455, 7.4.1, and IANA's registry.
POLICY_VIOLATION, TRY_AGAIN_LATER = 1008, 1013


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody is not let in: a status, words for them, and when they may try again, in seconds.

    The status is one of HTTP, or the close code of a WebSocket.
    """

    status: int
    message: str
    retry_after: float | None = None


@dataclass(slots=True)
class _Stranger:
    """What is known of one address."""

    bucket: Bucket
    connections: int = 0
    requests: int = 0


@dataclass(slots=True)
class Entry:
    """A connection that was let in, or, with a ``refusal``, one that is told why not."""

    address: str | None
    refusal: Refusal | None = None


@dataclass(slots=True)
class Gate:
    """Counts connections, requests, and what is kept. Times are seconds of any clock that never goes back.

    The addresses of trusted proxies are not counted: behind them are many, each with a request of their own.
    """

    limits: Limits
    proxies: Sequence[Network] = ()
    connections: int = 0
    kept: int = 0
    _kept: Counter[str] = field(default_factory=Counter)
    _strangers: dict[str, _Stranger] = field(default_factory=dict)

    def connect(self, host: str | None, now: float) -> Entry | None:
        """A connection from an address. None if it is to be cut off without a word."""
        limits = self.limits
        if self.connections >= limits.connections + TOLD:
            return None
        address = self._counted(host)
        entry = Entry(address)
        if self.connections >= limits.connections:
            entry.refusal = Refusal(503, f"there are {limits.connections} connections, and no more may be", 1)
        if address is not None:
            stranger = self._stranger(address, now)
            if stranger.connections >= limits.per_address + TOLD:
                return None
            if stranger.connections >= limits.per_address and entry.refusal is None:
                entry.refusal = Refusal(
                    429, f"there are {limits.per_address} connections from {address}, and no more may be", 1
                )
            stranger.connections += 1
        self.connections += 1
        return entry

    def disconnect(self, entry: Entry) -> None:
        """A connection that :meth:`connect` let in has ended."""
        self.connections -= 1
        if entry.address is not None:
            self._strangers[entry.address].connections -= 1

    @contextlib.contextmanager
    def request(self, host: str | None, now: float) -> Iterator[Refusal | None]:
        """A request or a WebSocket from an address, for as long as it lasts; why not, if it may not be."""
        address = self._counted(host)
        if address is None:
            yield None
            return
        limits, stranger = self.limits, self._stranger(address, now)
        refusal = None
        if limits.request_rate and not stranger.bucket.take(now):
            refusal = Refusal(
                429,
                f"too many requests from {address}; expected at most {limits.request_rate:g} a second",
                stranger.bucket.wait(now),
            )
        elif stranger.requests >= limits.per_address:
            refusal = Refusal(
                429, f"{stranger.requests} requests from {address} are under way, and no more may be", 1
            )
        stranger.requests += 1
        try:
            yield refusal
        finally:
            stranger.requests -= 1

    def keep(self, host: str | None, before: int, size: int) -> Refusal | None:
        """Keep ``size`` bytes of an unfinished message from an address, and no longer ``before``.

        Says why, if they may not be kept; then nothing has changed.
        """
        more = (size if size > SMALL else 0) - (before if before > SMALL else 0)
        if not more:
            return None
        limits, address = self.limits, self._counted(host)
        if more > 0 and self.kept + more > limits.unfinished:
            return Refusal(TRY_AGAIN_LATER, f"more than {limits.unfinished} bytes of unfinished messages")
        if address is not None:
            kept = self._kept[address] + more
            if more > 0 and kept > limits.unfinished_per_address:
                most = limits.unfinished_per_address
                return Refusal(
                    POLICY_VIOLATION, f"more than {most} bytes of unfinished messages from {address}"
                )
            self._kept[address] = kept
            if not kept:
                del self._kept[address]
        self.kept += more
        return None

    def _counted(self, host: str | None) -> str | None:
        """What an address counts as; None if it does not."""
        return None if host is None or within(host, self.proxies) else whose(host)

    def _stranger(self, address: str, now: float) -> _Stranger:
        if (known := self._strangers.get(address)) is not None:
            return known
        if len(self._strangers) >= REMEMBERED:
            self._forget(now)
        limits = self.limits
        bucket = Bucket(limits.request_rate or 1.0, limits.request_burst, now)
        stranger = self._strangers[address] = _Stranger(bucket)
        return stranger

    def _forget(self, now: float) -> None:
        """Make room for many: of those with nothing open forget who was quiet, or else who came first."""
        gone = [name for name, one in self._strangers.items() if not (one.connections or one.requests)]
        quiet = [name for name in gone if self._strangers[name].bucket.full(now)]
        for name in quiet if len(quiet) > REMEMBERED // 4 else gone[: REMEMBERED // 2]:
            del self._strangers[name]
