"""The calls under way: how many there are, who pays, and how one is run."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping

from starlette.websockets import WebSocket

from realtime.line import Line
from transports.errors import RequestError
from transports.jobs import Signer
from transports.telephony.config import TelephonyConfig
from transports.telephony.line import WRONG, PhoneLine, close, started
from transports.telephony.media import MediaError, MediaStream
from transports.telephony.signatures import Ticket, Tickets

Converse = Callable[[Line, Mapping[str, str]], Awaitable[None]]
"""Holds the conversation of a call, by the wishes that came with it, until it is over."""

log = logging.getLogger(__name__)


class Calls:
    """What the calls of a server share."""

    def __init__(self, config: TelephonyConfig, signer: Signer) -> None:
        self.config = config
        self.tickets = Tickets(signer)
        self._open = 0

    @property
    def open(self) -> int:
        """How many calls there are."""
        return self._open

    def check_room(self) -> None:
        """Raise RequestError if there may be no further call now."""
        if self._open >= self.config.max_calls:
            raise RequestError(f"{self._open} calls are under way; there may be no more", 503, retry_after=10)

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A call's place among those there may be. Raises RequestError if there is none."""
        self.check_room()
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def run(
        self, socket: WebSocket, stream: MediaStream, ticket: Ticket | None, converse: Converse
    ) -> None:
        """Hold the conversation of a socket that was accepted, and close it. Raises what ``converse`` does."""
        try:
            begun = await started(socket, stream, self.config)
        except MediaError as error:
            log.warning("a call was refused: %s", error)
            begun = None
        if begun is None or (ticket is not None and ticket.call and ticket.call != begun.call):
            await close(socket, WRONG, self.config)
            return
        async with PhoneLine(socket, stream, begun.law, self.config) as line:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.config.max_seconds) as limit:
                    await converse(line, begun.parameters if ticket is None else ticket.wishes)
            if limit.expired():
                log.warning("a call was ended after %g s, the longest there may be", self.config.max_seconds)
