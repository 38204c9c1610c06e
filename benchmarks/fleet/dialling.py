"""A stranger's line to a fleet: a WebSocket, or the data channel and the sound of a WebRTC peer."""

import asyncio
import contextlib
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import httpx
from aioice.ice import StunProtocol
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import AudioStreamTrack
from aiortc.rtp import RtpPacket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus, WebSocketException

from benchmarks.fleet.frames import Frame, Wire

_CLOSE_SECONDS = 1.0
_CONNECT_SECONDS = 20.0
_UNSENT = 64 * 1024  # bytes that may wait in a data channel
_AS_SOUND = 0.8  # of the binary frames to a peer that hears
_OPUS = 96  # the payload type that aiortc offers for it


class Refused(Exception):
    """The server answered with this status, and there is no line."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


class Gone(Exception):
    """The line broke off, or was closed, or never came to be; says how."""


class Line(Protocol):
    """What a stranger has in his hand. What comes is read, and thrown away."""

    async def send(self, frame: Frame) -> None:
        """Send one frame. Raises :class:`Gone`."""

    async def leave(self, rng: random.Random) -> None:
        """Half of them say goodbye when the context ends; the others are cut off, or only say no more."""


@asynccontextmanager
async def dialled(url: str, wire: Wire, rng: random.Random) -> AsyncIterator[Line]:
    """A line to a server as long as the context lasts. Raises :class:`Refused` and :class:`Gone`."""
    async with _peer(url + wire.path, wire, rng) if wire.peer else _socket(url + wire.path) as line:
        yield line


class _Socket:
    def __init__(self, opened: ClientConnection) -> None:
        self._opened = opened

    async def send(self, frame: Frame) -> None:
        await self._opened.send(frame)

    async def leave(self, rng: random.Random) -> None:
        kind = rng.random()
        if kind < 0.35:
            self._opened.transport.abort()
        elif kind < 0.5:
            raw = self._opened.transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                raw.shutdown(socket.SHUT_WR)

    async def drain(self) -> None:
        async for _ in self._opened:
            pass


@asynccontextmanager
async def _socket(url: str) -> AsyncIterator[Line]:
    try:
        async with connect(
            url.replace("http", "ws", 1),
            compression=None,
            proxy=None,
            max_size=None,
            close_timeout=_CLOSE_SECONDS,
        ) as opened:
            line = _Socket(opened)
            reading = asyncio.create_task(line.drain())
            try:
                yield line
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
    except InvalidStatus as refused:
        raise Refused(refused.response.status_code) from None
    except (OSError, WebSocketException, TimeoutError) as error:
        raise Gone(type(error).__name__) from error


class _Peer:
    """Text goes over the data channel; bytes do so, too, or are sound that no encoder has made."""

    def __init__(
        self, connection: RTCPeerConnection, channel: RTCDataChannel, wire: Wire, rng: random.Random
    ) -> None:
        self._connection, self._channel, self._wire, self._rng = connection, channel, wire, rng
        self._sequence, self._ssrc = rng.randrange(1 << 16), rng.randrange(1 << 32)
        self._moving = asyncio.Event()
        self._transport = connection.getTransceivers()[0].sender.transport
        self.session = ""
        channel.on("bufferedamountlow", self._moving.set)
        connection.on("connectionstatechange", self._moving.set)

    async def send(self, frame: Frame) -> None:
        try:
            if isinstance(frame, bytes) and self._wire.hears and self._rng.random() < _AS_SOUND:
                await self._sound(frame)
                return
            self._channel.send(frame)
        except (InvalidStateError, ConnectionError) as error:
            raise Gone(type(error).__name__) from error
        while self._channel.bufferedAmount > _UNSENT and self._connection.connectionState == "connected":
            self._moving.clear()
            await self._moving.wait()

    async def leave(self, rng: random.Random) -> None:
        kind = rng.random()
        if kind < 0.35:
            for protocol in self._transport.transport._connection._protocols:
                _cut_off(protocol)
        elif kind < 0.5:
            async with httpx.AsyncClient(trust_env=False) as http:
                with contextlib.suppress(httpx.HTTPError):
                    await http.delete(self.session)

    async def _sound(self, payload: bytes) -> None:
        packet = RtpPacket(_OPUS, self._rng.randrange(2), self._sequence, self._sequence * 960, self._ssrc)
        packet.payload = payload[:1200]
        self._sequence = (self._sequence + self._rng.choice((1, 1, 1, 0, 2, 500))) & 0xFFFF
        await self._transport._send_rtp(packet.serialize())


def _cut_off(protocol: StunProtocol) -> None:
    """From now on nothing goes to the other side, and nothing comes from there."""

    def lost(*_: Any) -> None:
        pass

    async def lost_data(*_: Any) -> None:
        pass

    for name, instead in (("send_stun", lost), ("send_data", lost_data), ("datagram_received", lost)):
        setattr(protocol, name, instead)


@asynccontextmanager
async def _peer(url: str, wire: Wire, rng: random.Random) -> AsyncIterator[Line]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        channel = connection.createDataChannel("parrotfish")
        opened = asyncio.Event()
        channel.on("open", opened.set)
        connection.addTransceiver(AudioStreamTrack(), "sendrecv")
        line = _Peer(connection, channel, wire, rng)
        await connection.setLocalDescription(await connection.createOffer())
        async with asyncio.timeout(_CONNECT_SECONDS), httpx.AsyncClient(trust_env=False) as http:
            answer = await http.post(
                url, content=connection.localDescription.sdp, headers={"Content-Type": "application/sdp"}
            )
            if answer.status_code != 201:
                raise Refused(answer.status_code)
            line.session = str(answer.url.join(answer.headers["Location"]))
            await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
            await opened.wait()
        yield line
    except (OSError, TimeoutError, httpx.HTTPError) as error:
        raise Gone(type(error).__name__) from error
    finally:
        await _closed(connection)


async def _closed(connection: RTCPeerConnection) -> None:
    """Close it. Where aiortc waits for ever, for a sender without a transport, no peer is to stay alive."""
    protocols = connection.getTransceivers()[0].sender.transport.transport._connection._protocols[:]
    closing = asyncio.create_task(connection.close())
    await asyncio.wait((closing,), timeout=_CLOSE_SECONDS)
    if not closing.done():
        for protocol in protocols:
            _cut_off(protocol)
            protocol.transport.abort()
        closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
