"""The peers that are connected, or about to be."""

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

from transports.accounts import ConcurrencyExceeded
from transports.errors import RequestError
from transports.webrtc.config import WebRtcConfig
from transports.webrtc.sdp import Offer

if TYPE_CHECKING:
    from transports.webrtc.peer import Peer

log = logging.getLogger(__name__)


class Peers:
    """At most ``max_peers`` at a time, each served by a task of its own."""

    def __init__(self, config: WebRtcConfig) -> None:
        self.config = config
        self._peers: dict[str, Peer] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    def __len__(self) -> int:
        return len(self._peers)

    def __iter__(self) -> "Iterator[Peer]":
        return iter(list(self._peers.values()))

    def get(self, id_: str, account: str) -> "Peer":
        """That of an account. Raises :class:`RequestError` with 404."""
        peer = self._peers.get(id_)
        if peer is None or peer.caller.account != account:
            raise RequestError("there is no such WebRTC session, or it has ended", 404)
        return peer

    async def take(self, peer: "Peer", offer: Offer) -> str:
        """Answer an offer, and serve the peer from now on. Raises :class:`RequestError` if that cannot be.

        A key has no more peers than it may have requests open: they need not make any to take the others' places.
        """
        self.check_room()
        most = peer.caller.limits.max_concurrency
        if most is not None and sum(other.caller.key == peer.caller.key for other in self) >= most:
            raise ConcurrencyExceeded(most)
        self._peers[peer.id] = peer
        try:
            answer = await peer.answer(offer)
        except BaseException:
            del self._peers[peer.id]
            await peer.close()
            raise
        self._tasks[peer.id] = asyncio.create_task(self._serve(peer))
        return answer

    async def end(self, peer: "Peer") -> None:
        """Let it go now, and wait until it has gone."""
        peer.hang_up()  # and nothing is cancelled: it may be just letting go of what it holds
        if (task := self._tasks.get(peer.id)) is not None:
            await asyncio.wait([task])

    def check_room(self) -> None:
        """Raise :class:`RequestError` if no peer can be taken now."""
        if self._closing:
            raise RequestError("the server is shutting down", 503, retry_after=1)
        if len(self._peers) >= self.config.max_peers:
            most = self.config.max_peers
            raise RequestError(
                f"there are {most} WebRTC peers, which is the most there can be", 503, retry_after=1
            )

    async def drain(self, seconds: float) -> None:
        """Take no more, and let those that are being spoken to hear the end of it."""
        self._closing = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(peer.settled() for peer in self))

    async def close(self) -> None:
        """Let all of them go."""
        self._closing = True
        await asyncio.gather(*(self.end(peer) for peer in self))

    async def _serve(self, peer: "Peer") -> None:
        try:
            await peer.run()
        except asyncio.CancelledError:
            pass
        except Exception:
            log.exception("a WebRTC peer failed")
        finally:
            try:
                await peer.close()
            finally:
                self._peers.pop(peer.id, None)
                self._tasks.pop(peer.id, None)
