"""What an operator can set of the server's doors."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Limits:
    """How much, how fast and how slowly a stranger may send, before anything is known of them.

    Bytes and seconds unless said otherwise; ``SECURITY.md`` says what is answered beyond each.

    A request line may have ``line`` bytes; it and the headers together ``head`` bytes in ``head_fields`` fields,
    and they have to be there ``head_seconds`` after they began (for a WebSocket that is its handshake, too). A
    body has ``body_grace`` seconds, and more as it comes: at least ``body_rate`` bytes a second, and no longer
    than ``body_seconds`` in all. A connection that asks nothing more is kept for ``keep_alive`` seconds. One
    that takes nothing of what it is sent for ``stall_seconds`` is cut, and so is one that is closed and has not
    taken the rest after ``linger_seconds``. A TLS handshake has ``tls_seconds``.

    A WebSocket has ``first_message_seconds`` to say something; it is pinged every ``ping_seconds`` and has as
    many to answer. It may send ``message_rate`` frames a second, pings included, and ``message_burst`` at once;
    a message may be cut into ``fragments`` of them, and has as much time as a body. Of messages that are not all
    there ``unfinished_per_address`` bytes are kept for one address, and ``unfinished`` in all, small ones aside;
    a server whose messages may be larger than usual keeps more, lest none of them come.

    There are ``connections`` at most, of one address ``per_address``. An address may send ``request_rate``
    requests and handshakes a second, and ``request_burst`` at once; 0 is no limit. An address is one of IPv4, or
    the first 64 bits of one of IPv6.
    """

    line: int = 8 * 1024
    head: int = 32 * 1024
    head_fields: int = 100
    head_seconds: float = 15.0
    body_grace: float = 20.0
    body_rate: float = 1024.0
    body_seconds: float = 600.0
    keep_alive: int = 20
    stall_seconds: float = 30.0
    linger_seconds: float = 5.0
    tls_seconds: float = 10.0
    first_message_seconds: float = 600.0
    ping_seconds: float = 20.0
    message_rate: float = 5_000.0
    message_burst: int = 50_000
    fragments: int = 10_000
    unfinished: int = 512 * 1024 * 1024
    unfinished_per_address: int = 128 * 1024 * 1024
    connections: int = 4096
    per_address: int = 1024
    request_rate: float = 200.0
    request_burst: int = 2_000


@dataclass(frozen=True, slots=True)
class SecurityConfig:
    """Who may reach the server, how, and how much of it.

    With ``tls_cert`` and ``tls_key``, PEM files, it speaks TLS. ``hosts`` are the names that it answers to, such
    as "voice.example.com" or "*.example.com"; without any it answers to every name. ``proxies`` are the networks
    of proxies whose ``X-Forwarded-For`` and ``X-Forwarded-Proto`` are believed.
    """

    tls_cert: Path | None = None
    tls_key: Path | None = None
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ("127.0.0.1/32", "::1/128")
    limits: Limits = field(default_factory=Limits)
