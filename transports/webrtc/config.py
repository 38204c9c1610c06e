"""What an operator can set for WebRTC, and what a stranger may use of it."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class WebRtcConfig:
    """How peers find this server, and how many of them there may be.

    ``announced`` are the addresses that the server names in its answers instead of its own, such as that of the
    machine around a container; ``ports`` the first and the last UDP port that peers may be given, one for each
    peer and network address; None for any. ``loopback`` offers this machine's own addresses, too.

    ``ice_servers`` are the URLs of STUN and TURN servers, which clients are told; the first STUN server is asked
    by this server, too, for ``gather_seconds`` at the most. Clients get a TURN user and password, made from
    ``turn_secret``, that are good for ``turn_seconds``.

    Of ``max_peers`` at a time each must have connected within ``connect_seconds``, and is let go when nothing was
    heard from it for ``gone_seconds``, or after ``max_seconds``. An offer may be ``max_sdp_bytes`` long, a peer
    may name ``max_candidates`` addresses, and a message on its data channel may have ``max_message_bytes``.
    """

    announced: tuple[str, ...] = ()
    ports: tuple[int, int] | None = None
    loopback: bool = False
    ice_servers: tuple[str, ...] = ()
    turn_secret: str | None = field(default=None, repr=False)
    turn_seconds: float = 6 * 3600.0
    gather_seconds: float = 0.15
    max_peers: int = 64
    connect_seconds: float = 15.0
    gone_seconds: float = 6.0
    max_seconds: float = 4 * 3600.0
    max_sdp_bytes: int = 64 * 1024
    max_candidates: int = 64
    max_message_bytes: int = 64 * 1024
