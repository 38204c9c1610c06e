"""The STUN and TURN servers that clients are told, as headers of an answer."""

import hmac
from base64 import b64encode
from hashlib import sha1
from urllib.parse import quote

from transports.webrtc.config import WebRtcConfig


def credentials(secret: str, name: str, expires: float) -> tuple[str, str]:
    """A user and a password that a TURN server with the same secret takes until a time (Unix, in seconds).

    As of the TURN REST API (draft-uberti-behave-turn-rest-00), which coturn calls ``use-auth-secret``.
    """
    user = f"{int(expires)}:{quote(name, safe='-_.')}"
    digest = hmac.new(secret.encode(), user.encode(), sha1).digest()
    return user, b64encode(digest).decode()


def links(config: WebRtcConfig, name: str, now: float) -> list[str]:
    """The values of the Link headers (RFC 9725, section 4.6) for the client ``name``."""
    told = []
    for url in config.ice_servers:
        link = f'<{url}>; rel="ice-server"'
        if config.turn_secret and url.startswith(("turn:", "turns:")):
            user, password = credentials(config.turn_secret, name, now + config.turn_seconds)
            link += f'; username="{user}"; credential="{password}"; credential-type="password"'
        told.append(link)
    return told
