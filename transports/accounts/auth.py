"""Finds the API key in a request. It is never logged: not from here, nor from the server beneath us."""

import ipaddress
import logging
from dataclasses import replace
from typing import Annotated, Final
from urllib.parse import urlsplit

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection

from engine import origin
from engine.logs import hide_secrets
from transports.accounts.accounts import Caller
from transports.services import services_of

# A browser cannot set headers for a WebSocket. It can offer subprotocols: this one, and this one with a key.
SUBPROTOCOL: Final = "parrotfish"
KEY_SUBPROTOCOL: Final = "parrotfish.key."

_PROXY_HEADERS = frozenset(("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"))


async def authenticate(connection: HTTPConnection) -> Caller:
    """Who sent this request, or opened this socket. Raises RequestError with 401.

    The key is taken from ``Authorization: Bearer``; for a WebSocket else from its subprotocols or ``?token=``.
    """
    services = services_of(connection)
    direct = is_direct(connection, services.settings.allowed_origins)
    caller = await services.accounts.authenticate(_token(connection), direct=direct)
    if caller.key is not None and (now := origin.current()) is not None:
        origin.begin(replace(now, key=caller.key))  # what is logged from here on names it
    return caller


_BEARER = HTTPBearer(
    scheme_name="key",
    description="An API key, `pf_...`. A server without keys, or started with `--open`, asks for none.",
    auto_error=False,
)


async def _caller(request: Request, _: Annotated[object, Security(_BEARER)]) -> Caller:
    """FastAPI describes the scheme; a token of any other is no token here."""
    return await authenticate(request)


Authenticated = Annotated[Caller, Depends(_caller)]
"""The caller, as a parameter of an endpoint."""


def _token(connection: HTTPConnection) -> str | None:
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    if connection.scope["type"] == "websocket":
        for offered in connection.scope.get("subprotocols", ()):
            if offered.startswith(KEY_SUBPROTOCOL):
                return str(offered.removeprefix(KEY_SUBPROTOCOL))
        return connection.query_params.get("token")
    return None


def welcome(connection: HTTPConnection, allowed: tuple[str, ...]) -> bool:
    """Whether the page that calls may: browsers let any page try, and name it; others name none."""
    origin = connection.headers.get("origin")
    if origin is None or "*" in allowed or origin in allowed:
        return True
    try:
        return urlsplit(origin).netloc == connection.headers.get("host")
    except ValueError:
        return False


def is_direct(connection: HTTPConnection, origins: tuple[str, ...]) -> bool:
    """Whether a request that reached the loopback address was made here, for all that its headers tell.

    Not so that of a proxy or a tunnel; of a page of somebody else's in a browser here; and of a page whose owner
    has the name of their own host mean our address: it is that name which the browser asks for.
    """
    headers = connection.headers
    if not _PROXY_HEADERS.isdisjoint(headers.keys()):
        return False
    try:
        host = urlsplit(f"//{headers.get('host', 'localhost')}").hostname or ""
    except ValueError:
        return False
    return (is_loopback(host) or host.endswith(".localhost")) and welcome(connection, origins)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that is bound to ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class HideKeys(logging.Filter):
    """Takes keys out of what the web server logs: addresses of sockets, and at debug level all headers."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Lets every record through, without its secrets."""
        message = record.getMessage()
        hidden = hide_secrets(message)
        if hidden != message:
            record.msg, record.args = hidden, ()
        return True
