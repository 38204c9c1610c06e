"""One WebRTC peer: from its offer until it has gone."""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable

from aiortc import (
    RTCConfiguration,
    RTCIceCandidate,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError

from engine.audio import packet_format
from transports.accounts import Caller
from transports.errors import RequestError
from transports.services import Services
from transports.webrtc import insides
from transports.webrtc.channel import Channel
from transports.webrtc.line import PeerLine
from transports.webrtc.sdp import Fragment, Offer, complete_answer

log = logging.getLogger(__name__)

# A transport that does not close in this time is left to itself.
_CLOSE_SECONDS = 5.0
_LAST_WORDS = 1.0  # seconds in which a client has to take what it is told at the end
_OPUS = [codec for codec in RTCRtpSender.getCapabilities("audio").codecs if codec.mimeType == "audio/opus"]

Converse = Callable[["Peer"], Awaitable[None]]


class Peer:
    """Answers an offer; is then served by ``converse`` as long as it is connected.

    ``converse`` clears :attr:`quiet` while something is being said that the peer should hear to its end.
    """

    def __init__(self, services: Services, caller: Caller, converse: Converse) -> None:
        self.id = secrets.token_urlsafe(18)
        self.caller = caller
        self.etag = f'"{secrets.token_hex(8)}"'
        self.sends = self.has_channel = False
        self.config = services.peers.config
        self.channel = Channel(self.config.max_message_bytes, self.hang_up)
        self.line = PeerLine(packet_format(), services.encoders.live)
        self.quiet = asyncio.Event()
        self.quiet.set()
        self._converse = converse
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._offer: Offer | None = None
        self._candidates = 0
        self._adding: set[asyncio.Task[None]] = set()
        self._connected = asyncio.Event()
        self._gone = asyncio.Event()

    async def answer(self, offer: Offer) -> str:
        """The answer to the client's offer; its candidates come later. Raises :class:`RequestError`."""
        self._offer, self.sends, self.has_channel = offer, offer.sends, offer.has_channel
        connection = self._connection
        connection.on("connectionstatechange", self._changed)
        connection.on("datachannel", self.channel.attach)
        direction = {(True, True): "sendrecv", (True, False): "recvonly"}.get(
            (offer.sends, offer.receives), "sendonly"
        )
        audio = connection.addTransceiver(self.line.track, direction)
        audio.setCodecPreferences(_OPUS)
        insides.take_packets(audio, self.line.take)
        insides.on_report(audio.sender, lambda: self.line.track.latest, self.line.reported)
        try:
            await connection.setRemoteDescription(RTCSessionDescription(offer.sdp, "offer"))
        except (ValueError, InternalError, InvalidAccessError, InvalidStateError, OperationError) as error:
            raise RequestError(f"offer: {error}") from None
        for transceiver in connection.getTransceivers():
            if transceiver is not audio:
                transceiver.direction = "inactive"
        insides.bound_messages(connection, self.hang_up)
        insides.let_the_gone_go(connection)
        for ice in insides.ice_connections(connection):
            insides.gather_as(ice, self.config)
            insides.watch_consent(ice, self.config.gone_seconds, self.hang_up)
        await connection.setLocalDescription(await connection.createAnswer())
        if not any(ice.local_candidates for ice in insides.ice_connections(connection)):
            first, last = self.config.ports or (1, 65_535)
            raise RequestError(f"no UDP port of {first}-{last} is free for a peer", 503, retry_after=1)
        self._add(offer.candidates)
        return complete_answer(connection.localDescription.sdp)

    def trickle(self, fragment: Fragment) -> None:
        """More of its candidates. Raises :class:`RequestError`."""
        assert self._offer is not None
        if fragment.ufrag is not None and fragment.ufrag != self._offer.ufrag:
            raise RequestError(
                "fragment: its ice-ufrag is not that of the offer; ICE cannot be restarted here: DELETE this "
                "session and POST a new offer",
                422,
            )
        if self._candidates + len(fragment.candidates) > self.config.max_candidates:
            raise RequestError(f"fragment: more than {self.config.max_candidates} candidates in all", 413)
        self._add(fragment.candidates)

    async def run(self) -> None:
        """Serve it until it has gone, or has not come in time."""
        async with contextlib.AsyncExitStack() as stack:
            gone = asyncio.create_task(self._gone.wait())
            stack.callback(gone.cancel)
            connected = asyncio.create_task(self._connected.wait())
            stack.callback(connected.cancel)
            seconds = self.config.connect_seconds
            await asyncio.wait((gone, connected), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if gone.done() or not connected.done():
                return
            conversation = asyncio.ensure_future(self._converse(self))
            try:
                longest = self.config.max_seconds
                await asyncio.wait((gone, conversation), timeout=longest, return_when=asyncio.FIRST_COMPLETED)
                self.line.hang_up()
                if not conversation.done():
                    await asyncio.wait((conversation,), timeout=_CLOSE_SECONDS)
                elif not self._gone.is_set():
                    await self.channel.flushed(_LAST_WORDS)
            finally:
                conversation.cancel()
                await asyncio.gather(conversation, return_exceptions=True)
            if not conversation.cancelled():
                conversation.result()

    async def settled(self) -> None:
        """Wait until nothing is being said to it any more."""
        await self.quiet.wait()

    def hang_up(self) -> None:
        """End it soon. Idempotent."""
        self._gone.set()
        self.quiet.set()
        self.line.hang_up()

    async def close(self) -> None:
        """Free what it holds. Idempotent."""
        self.hang_up()
        for task in self._adding:
            task.cancel()
        await asyncio.gather(*self._adding, return_exceptions=True)
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._connection.close()
        except TimeoutError:
            log.error("the transport of a WebRTC peer did not close within %g s", _CLOSE_SECONDS)

    def _changed(self) -> None:
        match self._connection.connectionState:
            case "connected":
                self._connected.set()
            case "failed" | "closed":
                self.hang_up()
            case _:
                pass

    def _add(self, candidates: Iterable[RTCIceCandidate]) -> None:
        for candidate in candidates:
            self._candidates += 1
            task = asyncio.create_task(self._add_one(candidate))
            self._adding.add(task)
            task.add_done_callback(self._adding.discard)

    async def _add_one(self, candidate: RTCIceCandidate) -> None:
        """A name of mDNS is waited for; whoever cannot be reached by one candidate may be by another."""
        try:
            await self._connection.addIceCandidate(candidate)
        except (OSError, ValueError) as error:
            log.info("a candidate of a WebRTC peer is of no use: %s", error)
