"""The door of every WebSocket: who may open it, and whether there is room."""

from collections.abc import Callable

from starlette.websockets import WebSocket

from engine import EngineError
from realtime.ears import HearingError
from transports.accounts import Caller
from transports.accounts.auth import SUBPROTOCOL, authenticate, welcome
from transports.errors import RequestError, refusal, tell
from transports.services import services_of
from transports.store import StoreError


async def caller_of(socket: WebSocket, check_room: Callable[[], None]) -> Caller | None:
    """Who opens a socket; None if that was refused, and why was answered. ``check_room`` raises if there is none.

    The handshake is refused, not the open socket closed: Pipecat opens one for a whole call, and only tries again
    if it was refused one.
    """
    try:
        if not welcome(socket, services_of(socket).settings.allowed_origins):
            raise RequestError("Origin: not among the allowed origins", 403)
        caller = await authenticate(socket)
        check_room()
    except (RequestError, EngineError, HearingError, StoreError) as refused:
        await socket.send_denial_response(tell(refusal(socket, refused)))
        return None
    return caller


async def accept(socket: WebSocket) -> None:
    """Open it, by the subprotocol that carried the caller's key, if one did."""
    await socket.accept(SUBPROTOCOL if SUBPROTOCOL in socket.scope["subprotocols"] else None)
