"""What an operator can set of telephone calls."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TelephonyConfig:
    """How calls come in, and how many and how long they may be.

    ``twilio_token`` is the account's auth token and ``telnyx_key`` its public key: with one, only what the
    provider has signed is taken. ``api_key`` is one of this server, whose account pays for calls. There are
    ``max_calls`` at a time, of ``max_seconds`` at most, which end after ``silence_seconds`` in which neither
    side says anything. A provider has ``start_seconds`` to begin and sends
    something, if only silence, every ``idle_seconds``; one that does not take for ``stall_seconds`` what it is
    sent is hung up on.
    """

    twilio_token: str | None = field(default=None, repr=False)
    telnyx_key: str | None = None
    api_key: str | None = field(default=None, repr=False)
    max_calls: int = 16
    max_seconds: float = 3600.0
    silence_seconds: float = 120.0
    start_seconds: float = 10.0
    idle_seconds: float = 15.0
    stall_seconds: float = 5.0
    max_message_bytes: int = 64 * 1024
