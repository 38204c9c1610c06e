"""The first that sees a request: by which name it comes, from which page, and whether there are too many."""

from collections.abc import Awaitable, Callable

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from transports.accounts.auth import welcome
from transports.errors import RequestError, failure, tell
from transports.security.gate import Refusal
from transports.security.guard import Guard
from transports.security.names import METHODS_THAT_READ, Names, count

Teller = Callable[[Request, Exception], Awaitable[Response]]


class Front:
    """ASGI middleware in front of every route, so that none can forget it.

    ``origins`` are the pages of other sites that may call; ``strict`` says that only known names are answered to,
    ``keyless`` that whoever calls needs no key: then a page may not even call by a name that its own owner could
    have made mean this server.
    """

    def __init__(
        self,
        app: ASGIApp,
        guard: Guard,
        names: Names,
        tell_error: Teller,
        *,
        origins: tuple[str, ...],
        keyless: bool,
    ) -> None:
        self._app = app
        self._guard = guard
        self._names = names
        self._tell_error = tell_error
        self._origins = origins
        self._strict = bool(names.hosts)
        self._keyless = keyless

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass it on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        client = scope.get("client")
        with self._guard.gate.request(client[0] if client else None, self._guard.time()) as crowded:
            try:
                if crowded is not None:
                    raise RequestError(crowded.message, crowded.status, retry_after=crowded.retry_after)
                self._check(connection)
            except RequestError as error:
                self._guard.refused(Refusal(error.status, str(error)), client[0] if client else None)
                await self._refuse(scope, receive, send, error)
                return
            await self._app(scope, receive, send if scope["type"] == "websocket" else _nosniff(send))

    def _check(self, connection: HTTPConnection) -> None:
        """Raise RequestError for a name or a page that is not welcome."""
        scope, host = connection.scope, connection.headers.get("host", "")
        if count(scope["headers"], b"host") > 1:
            raise RequestError("Host: got several; expected one")
        if self._strict and not self._names.known(host):
            raise RequestError(
                f"Host: got {host[:100]!r}, which is no name of this server; --allow-host makes it one", 421
            )
        origin = connection.headers.get("origin")
        if origin is None or (scope["type"] == "http" and scope["method"] in METHODS_THAT_READ):
            return  # of what it reads, a page of another site sees nothing
        if not welcome(connection, self._origins):
            raise RequestError("Origin: not among the allowed origins", 403)
        invited = "*" in self._origins or origin in self._origins
        if self._keyless and not invited and not self._names.known(host):
            raise RequestError(
                f"Host: got {host[:100]!r}; pages may call an open server by it only if --allow-host has it",
                421,
            )

    async def _refuse(self, scope: Scope, receive: Receive, send: Send, error: RequestError) -> None:
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(tell(failure(error)))
            return
        response = await self._tell_error(Request(scope), error)
        await response(scope, receive, _nosniff(send))


def _nosniff(send: Send) -> Send:
    """Has browsers believe what an answer says that it is."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("X-Content-Type-Options", "nosniff")
        await send(message)

    return sending
