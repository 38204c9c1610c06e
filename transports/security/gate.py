"""How many connections and requests there may be, in all and of one address. Sans I/O."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from transports.security.addresses import Network, whose, within
from transports.security.buckets import Bucket
from transports.security.config import Limits

# So many more connections than there may be are told why they are not; the next are only cut off.
TOLD = 64
# Addresses that are remembered. Who is forgotten begins anew, so there have to be more than one attacker has.
REMEMBERED = 50_000


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody is not let in: an HTTP status, words for them, and when they may try again, in seconds."""

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
    """Counts connections and requests. Times are seconds of any clock that never goes back.

    The addresses of trusted proxies are not counted: behind them are many, each with a request of their own.
    """

    limits: Limits
    proxies: Sequence[Network] = ()
    connections: int = 0
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
