"""Callers who are turned away, told to whoever counts them."""

from time import monotonic

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine import origin
from realtime.observer import TurnedAway
from transports.errors import missing
from transports.services import Services

# What these answer is for operators and balancers: that they hear of a full server turns no caller away.
_NO_CALLERS = frozenset(("/ready", "/health", "/metrics"))


class Refusals:
    """ASGI middleware that notes every answer to a caller, also to a handshake, that is an error."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in _NO_CALLERS:
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if (status := message.get("status", 0)) >= 400:
                services = scope["app"].state.services
                assert isinstance(services, Services)
                services.observer.note(TurnedAway(origin.current(), monotonic(), status, missing(scope)))
            await send(message)

        await self._app(scope, receive, sending)
