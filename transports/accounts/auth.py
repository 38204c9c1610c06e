"""Finds the API key in a request. It is never logged: not from here, nor from the server beneath us."""

import ipaddress
import logging
import re
from typing import Annotated, Final

from fastapi import Depends
from starlette.requests import HTTPConnection

from transports.accounts.accounts import Caller
from transports.services import services_of

# A browser cannot set headers for a WebSocket. It can offer subprotocols: this one, and this one with a key.
SUBPROTOCOL: Final = "parrotfish"
KEY_SUBPROTOCOL: Final = "parrotfish.key."

_SECRET = re.compile(r"(?i)((?:authorization: *(?:bearer +)?|[?&]token=|parrotfish\.key\.))[^\s&,'\"]+")


async def authenticate(connection: HTTPConnection) -> Caller:
    """Who sent this request, or opened this socket. Raises RequestError with 401.

    The key is taken from ``Authorization: Bearer``; for a WebSocket else from its subprotocols or ``?token=``.
    """
    return await services_of(connection).accounts.authenticate(_token(connection))


Authenticated = Annotated[Caller, Depends(authenticate)]
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
        hidden = _SECRET.sub(r"\1***", message)
        if hidden != message:
            record.msg, record.args = hidden, ()
        return True
