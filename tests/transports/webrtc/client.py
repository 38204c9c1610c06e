"""A WebRTC client in aiortc: it is heard by a recogniser, and says what is in an array."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from fractions import Fraction
from functools import partial
from typing import Any

import httpx
import numpy as np
from aioice.ice import Connection, StunProtocol
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame
from numpy.typing import NDArray

from engine.speech import Pcm
from tests.hearing import word_error_rate
from transports.webrtc import insides
from transports.webrtc.inbound import Inbound
from transports.webrtc.reorder import Reorder, RtpPayload

RATE = 48_000
SDP = {"Content-Type": "application/sdp"}
_FRAME = 960


class Voice(MediaStreamTrack):
    """Says samples at 48 kHz in real time, and is silent after them."""

    kind = "audio"

    def __init__(self, pcm: Pcm) -> None:
        super().__init__()
        self._pcm = pcm
        self._at = 0
        self._started: float | None = None
        self.said = asyncio.Event()

    async def recv(self) -> AudioFrame:
        loop = asyncio.get_running_loop()
        if self._started is None:
            self._started = loop.time()
        await asyncio.sleep(max(0.0, self._started + self._at / RATE - loop.time()))
        piece = self._pcm[self._at : self._at + _FRAME]
        if not len(piece):
            self.said.set()
        samples = np.pad(piece, (0, _FRAME - len(piece)))
        frame = AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._at, Fraction(1, RATE)
        self._at += _FRAME
        return frame


class Client:
    """One peer. ``pcm`` is what it hears, at 48 kHz, ``messages`` what it is told on the data channel."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        voice: Pcm | None = None,
        listens: bool = True,
        channel: bool = True,
    ) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.http = httpx.AsyncClient(base_url=url, headers=headers, timeout=30)
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.voice = Voice(voice) if voice is not None else None
        self.messages: list[dict[str, Any]] = []
        self.location = ""
        self.etag = ""
        self._frames: list[NDArray[np.int16]] = []
        self._listening: asyncio.Task[None] | None = None
        self._closing = False
        self._timers: list[asyncio.TimerHandle] = []
        self._told = asyncio.Event()
        self._heard = asyncio.Event()
        self.opened = asyncio.Event()
        if channel:
            self.channel: RTCDataChannel = self.connection.createDataChannel("parrotfish")
            self.channel.on("open", self.opened.set)
            self.channel.on("message", self._received)
        direction = "recvonly" if voice is None else "sendrecv" if listens else "sendonly"
        self.connection.addTransceiver(self.voice or "audio", direction)
        self.connection.on("track", self._track)

    async def offer(self) -> str:
        """The offer, with all candidates."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription.sdp

    async def post(self, offer: str, **query: Any) -> httpx.Response:
        """Send an offer, and take the answer if there is one."""
        response = await self.http.post("/v1/webrtc", content=offer, headers=SDP, params=query)
        if response.status_code == 201:
            self.location, self.etag = response.headers["Location"], response.headers["ETag"]
            await self.connection.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
        return response

    async def connect(self, **query: Any) -> None:
        """Offer, and wait until the data channel is open."""
        response = await self.post(await self.offer(), **query)
        assert response.status_code == 201, response.text
        await asyncio.wait_for(self.opened.wait(), 20)

    def say(self, type_: str, **fields: Any) -> None:
        """Send a message."""
        self.channel.send(json.dumps({"type": type_, **fields}))

    async def until(self, type_: str, seconds: float = 30.0, count: int = 1) -> dict[str, Any]:
        """Wait for the ``count``-th message of a type."""
        async with asyncio.timeout(seconds):
            while len(found := [message for message in self.messages if message["type"] == type_]) < count:
                self._told.clear()
                await self._told.wait()
        return found[count - 1]

    async def until_heard(self, seconds: float) -> None:
        """Wait until so much sound was heard in all, without its quiet parts."""
        async with asyncio.timeout(30):
            while np.count_nonzero(np.abs(self.pcm) > 0.005) < seconds * RATE * 0.5:
                self._heard.clear()
                await self._heard.wait()

    async def until_quiet(self) -> None:
        """Wait for half a second of silence after what was said: the listener's buffer has run out."""
        async with asyncio.timeout(30):
            while len(self.pcm) < RATE or np.abs(self.pcm[-RATE // 2 :]).max() > 0.005:
                self._heard.clear()
                await self._heard.wait()

    @property
    def understood(self) -> str:
        """What the server has understood by now."""
        return " ".join(message["text"] for message in self.messages if message["type"] == "final")

    async def until_understood(self, text: str, errors: float = 0.0) -> None:
        """Wait until what the server has understood is this, but for such a share of the words."""
        try:
            async with asyncio.timeout(30):
                while word_error_rate(text, self.understood) > errors:
                    self._told.clear()
                    await self._told.wait()
        except TimeoutError:
            told = [message for message in self.messages if message["type"] not in ("alignment", "partial")]
            raise AssertionError(f"expected {text!r} to be understood; was told {told}") from None

    @property
    def pcm(self) -> Pcm:
        """Everything heard so far, mono at 48 kHz."""
        if not self._frames:
            return np.zeros(0, np.float32)
        stereo = np.concatenate([frame.reshape(-1, 2) for frame in self._frames])
        return (stereo.mean(1) / 32768).astype(np.float32)

    def spoil(self, *, loss: float = 0.0, copies: float = 0.0, jitter: float = 0.0, seed: int = 1) -> None:
        """From now on the network loses datagrams, doubles some, and delays each by up to ``jitter`` seconds.

        Both ways: of media as well as of everything else.
        """
        chance = random.Random(seed)
        loop = asyncio.get_running_loop()

        def carry(deliver: Callable[..., object], *datagram: Any) -> None:
            self._timers = [timer for timer in self._timers if timer.when() > loop.time()]
            for _ in range(2 if chance.random() < copies else 1):
                if chance.random() >= loss and not self._closing:
                    self._timers.append(loop.call_later(chance.uniform(0, jitter), deliver, *datagram))

        # aiortc plays what it has got as if nothing were missing; here a listener knows what is.
        inbound, reorder = Inbound(), Reorder()

        def take(sequence: int, payload: RtpPayload) -> None:
            pcm = inbound.decode(reorder.push(sequence, payload), loop.time())
            self._frames.append(np.repeat((pcm * 32767).astype(np.int16), 2))

        insides.take_packets(self.connection.getTransceivers()[0], take)
        for protocol in self._ice._protocols:
            kind = type(protocol)
            protocol.datagram_received = partial(carry, partial(kind.datagram_received, protocol))
            protocol.send_stun = lambda message, addr, p=protocol: carry(
                p.transport.sendto, bytes(message), addr
            )
            protocol.send_data = partial(self._send, carry, protocol)

    @staticmethod
    async def _send(
        carry: Callable[..., None], protocol: StunProtocol, data: bytes, addr: tuple[str, int]
    ) -> None:
        carry(protocol.transport.sendto, data, addr)

    async def vanish(self) -> None:
        """Be gone without a goodbye: the sockets are closed, nothing is sent."""
        for protocol in self._ice._protocols:
            protocol.transport.abort()

    async def close(self) -> None:
        self._closing = True
        for timer in self._timers:
            timer.cancel()
        await self.connection.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        await self.http.aclose()

    @property
    def _ice(self) -> Connection:
        return self.connection.getTransceivers()[0].receiver.transport.transport._connection

    def _received(self, data: str) -> None:
        self.messages.append(json.loads(data))
        self._told.set()

    def _track(self, track: MediaStreamTrack) -> None:
        self._listening = asyncio.create_task(self._listen(track))

    async def _listen(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                self._frames.append(frame.to_ndarray())
                self._heard.set()
        except MediaStreamError:
            pass


@asynccontextmanager
async def client(url: str, **options: Any) -> AsyncIterator[Client]:
    """A client for the time of a context."""
    peer = Client(url, **options)
    try:
        yield peer
    finally:
        await peer.close()
