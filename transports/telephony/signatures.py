"""Who sent a webhook: the signatures of the providers, and tickets of our own for the sockets that follow."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from secrets import token_hex

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from transports.jobs import Signer

TELNYX_TOLERANCE = 300.0
"""Seconds that a webhook of Telnyx may be old, or from the future."""
TICKET_SECONDS = 60
"""For so long after a call was answered its socket may be opened; providers do so at once."""

# Providers put up with long addresses, but nobody says how long; these have less than 3 kB.
_MOST_TOLD = 1_500
_TICKET = re.compile(r"(?a:([a-z]+)\.(\d{1,12})\.([0-9a-f]{32})\.([\w-]{2,2500})\.([\w-]{43}))")


def twilio_signature(token: str, url: str, fields: Iterable[tuple[str, str]] = ()) -> str:
    """What ``X-Twilio-Signature`` has to be for a request to ``url`` with these POST parameters.

    https://www.twilio.com/docs/usage/webhooks/webhooks-security: HMAC-SHA1 over the address and the parameters,
    sorted, each once.
    """
    signed = url + "".join(name + value for name, value in sorted(set(fields)))
    # Not our choice.
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), hashlib.sha1)).decode()


def twilio_signed(
    token: str, signature: str | None, urls: Iterable[str], fields: Iterable[tuple[str, str]] = ()
) -> bool:
    """Whether a request to one of these addresses bears Twilio's signature."""
    given, fields = (signature or "").encode(), list(fields)
    return any(hmac.compare_digest(given, twilio_signature(token, url, fields).encode()) for url in urls)


def telnyx_signed(key: str, signature: str | None, timestamp: str | None, body: bytes, now: float) -> bool:
    """Whether a webhook bears Telnyx's signature and is of this moment. ``key`` is the account's public key.

    Ed25519 over the time, a bar and the body, as in ``telnyx-signature-ed25519`` and ``telnyx-timestamp``.
    """
    if not signature or not re.fullmatch("[0-9]{1,12}", timestamp or ""):
        return False
    assert timestamp is not None
    if abs(now - int(timestamp)) > TELNYX_TOLERANCE:
        return False
    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
        public.verify(base64.b64decode(signature, validate=True), timestamp.encode() + b"|" + body)
    except (ValueError, InvalidSignature):
        return False
    return True


def check_telnyx_key(key: str) -> None:
    """Raise ValueError if this is no public key of Telnyx."""
    try:
        Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
    except ValueError:
        raise ValueError("expected the public key of a Telnyx account: 32 bytes in base64") from None


@dataclass(frozen=True, slots=True)
class Ticket:
    """What the socket of one call may do, and what its webhook has said.

    ``call`` is the provider's id of it, where the socket tells it; ``wishes`` are how the agent is to be.
    """

    provider: str
    call: str
    wishes: Mapping[str, str] = field(default_factory=dict)


class Tickets:
    """Makes tickets and takes each once, for ``TICKET_SECONDS``.

    They are signed, so that another server that shares the secret takes them, too; that one has been used only
    this process knows.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._used: dict[str, int] = {}  # number → when it ends; in no order, but all are young

    def make(self, ticket: Ticket, now: float) -> str:
        """A ticket in characters that a path can have. Raises ValueError if it would be too long for one."""
        ends, number = int(now) + TICKET_SECONDS, token_hex(16)
        told = orjson.dumps([ticket.call, dict(ticket.wishes)])
        if len(told) > _MOST_TOLD:
            raise ValueError(f"{len(told)} bytes are too many for an address; expected at most {_MOST_TOLD}")
        text = base64.urlsafe_b64encode(told).rstrip(b"=").decode()
        return f"{ticket.provider}.{ends}.{number}.{text}.{self._sign(ticket.provider, ends, number, text)}"

    def take(self, text: str, provider: str, now: float) -> Ticket | None:
        """The ticket, if it is one of ours for this provider, of this moment, and was never taken."""
        found = _TICKET.fullmatch(text)
        if found is None:
            return None
        kind, ends, number, told, signature = found.groups()
        if not self._signer.knows(signature, "telephony", kind, ends, number, told):
            return None
        self._used = {used: end for used, end in self._used.items() if end > now}
        if kind != provider or int(ends) <= now or number in self._used:
            return None
        self._used[number] = int(ends)
        call, wishes = orjson.loads(base64.urlsafe_b64decode(told + "=" * (-len(told) % 4)))
        return Ticket(kind, call, wishes)

    def _sign(self, provider: str, ends: int, number: str, told: str) -> str:
        return self._signer.sign("telephony", provider, ends, number, told)
