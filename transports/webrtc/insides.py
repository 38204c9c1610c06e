"""Where we reach into aiortc and aioice, because their interface has no way to it. Nobody else here does.

It is checked by tests against the versions that ``pyproject.toml`` allows; whoever changes those looks here.
"""

import asyncio
import contextlib
import ipaddress
import random
import socket
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aioice import Candidate, stun
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import Connection, StunProtocol, get_host_addresses, server_reflexive_candidate
from aiortc import RTCPeerConnection, RTCRtpSender, RTCRtpTransceiver
from aiortc.rtcicetransport import parse_stun_turn_uri
from aiortc.rtp import RtcpRrPacket, RtcpSrPacket, RtpPacket
from OpenSSL import SSL

from transports.webrtc.config import WebRtcConfig
from transports.webrtc.reorder import RtpPayload

# Of a message on a data channel that is not complete; the window, a megabyte, has 870 packets of 1.2 kB.
_MOST_PIECES = 2000
_MOST_STREAMS = 64
_RECEIVE_BUFFER = 256 * 1024  # bytes of a UDP socket; two seconds of sound at any rate of Opus
# So often a peer is asked before it counts as gone: one that loses every fifth packet will not.
_QUESTIONS = 6


def ice_connections(connection: RTCPeerConnection) -> list[Connection]:
    """The ICE agents of a connection to which an offer was given: one, as its sections are bundled."""
    transports = {transceiver.receiver.transport.transport for transceiver in connection.getTransceivers()}
    if connection.sctp is not None:
        transports.add(connection.sctp.transport.transport)
    return [transport._connection for transport in transports]


def gather_as(ice: Connection, config: WebRtcConfig) -> None:
    """Have an ICE agent find its addresses as the operator wants it, and not wait long for a STUN server."""

    async def candidates(component: int, addresses: list[str]) -> list[Candidate]:
        own = list(dict.fromkeys(addresses))
        if config.loopback or not own:
            own.append("127.0.0.1")
        found: list[Candidate] = []
        protocols = []
        for address in own:
            announced = _announced(address, config)
            protocol = await _bind(ice, address, config.ports) if announced else None
            if protocol is None:
                continue
            host, port = protocol.transport.get_extra_info("sockname")[:2]
            protocol.local_candidate = _host(component, host, port)
            found += [_host(component, name, port) for name in announced]
            protocols.append(protocol)
        ice._protocols += protocols
        return found + await _reflexive(protocols, config)

    ice.get_component_candidates = candidates  # type: ignore[method-assign, assignment]


def watch_consent(ice: Connection, gone_seconds: float, gone: Callable[[], None]) -> None:
    """Ask the peer again and again whether it is there; ``gone`` is called when it has not said so for so long.

    RFC 7675 would have it 30 s, in which what the peer uses is held for nothing; aioice knows no other.
    """
    loop = asyncio.get_running_loop()
    latest = 0.0

    async def ask() -> None:
        nonlocal latest
        for pair in list(ice._nominated.values()):
            request = ice.build_request(pair, nominate=False)
            key = (ice.remote_password or "").encode()
            with contextlib.suppress(stun.TransactionError):
                await pair.protocol.request(request, pair.remote_addr, key, retransmissions=1)
                latest = loop.time()

    async def query() -> None:
        nonlocal latest
        latest = loop.time()
        asking: set[asyncio.Task[None]] = set()
        try:
            while loop.time() - latest < gone_seconds:
                task = asyncio.create_task(ask())
                asking.add(task)
                task.add_done_callback(asking.discard)
                await asyncio.sleep(gone_seconds / _QUESTIONS * random.uniform(0.8, 1.2))
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        gone()

    ice.query_consent = query  # type: ignore[method-assign]


def take_packets(transceiver: RTCRtpTransceiver, take: Callable[[int, RtpPayload], None]) -> None:
    """Have each RTP packet of the track that comes in given to ``take``, with its sequence number.

    aiortc would decode it as stereo, on a thread of its own for each peer, behind a queue without a bound, and
    80 ms late; after a packet was lost, up to 320 ms, for good.
    """

    class Taken:
        """In the place of the jitter buffer, whose frames are what would be decoded."""

        def add(self, packet: RtpPacket) -> tuple[bool, None]:
            """Nothing is to be decoded, and no picture missing."""
            take(packet.sequence_number, RtpPayload(packet.timestamp, packet.payload))
            return False, None

    transceiver.receiver._RTCRtpReceiver__jitter_buffer = Taken()  # type: ignore[attr-defined]


def on_report(sender: RTCRtpSender, latest: Callable[[], int], told: Callable[[int], None]) -> None:
    """Call ``told`` with the newest time on the track's clock of which the peer has reported that it came.

    ``latest`` is the time of the packet that was sent last. A report names a sequence number; aiortc chooses
    where those begin, and where the clock does.
    """
    handle: Callable[[Any], Awaitable[None]] = sender._handle_rtcp_packet

    async def look(packet: Any) -> None:
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            history = sender._RTCRtpSender__rtp_history  # type: ignore[attr-defined]
            newest = sender._RTCRtpSender__rtp_timestamp  # type: ignore[attr-defined]
            for report in packet.reports:
                sequence = report.highest_sequence & 0xFFFF
                sent = history.get(sequence % 128)
                if report.ssrc == sender._ssrc and sent is not None and sent.sequence_number == sequence:
                    told(latest() - ((newest - sent.timestamp) & 0xFFFFFFFF))
        await handle(packet)

    sender._handle_rtcp_packet = look  # type: ignore[method-assign]


def bound_messages(connection: RTCPeerConnection, overrun: Callable[[], None]) -> None:
    """Call ``overrun``, and take no more, when a peer sends a message on a data channel that does not end.

    aiortc keeps the pieces of one, however many there are, beyond the window that it advertises, and looks at
    all of them again with each that comes.
    """
    if (sctp := connection.sctp) is None:
        return
    handle: Callable[[Any], Awaitable[None]] = sctp._receive_data_chunk

    async def receive(chunk: Any) -> None:
        streams = sctp._inbound_streams
        pieces = streams[chunk.stream_id].reassembly if chunk.stream_id in streams else ()
        if sctp._advertised_rwnd <= 0 or len(pieces) >= _MOST_PIECES or len(streams) > _MOST_STREAMS:
            overrun()
        else:
            await handle(chunk)

    sctp._receive_data_chunk = receive  # type: ignore[method-assign]


def let_the_gone_go(connection: RTCPeerConnection) -> None:
    """Drop what is sent to a peer whose transport is closed.

    aiortc has tasks that nobody looks at send what still waits on a data channel, and fail.
    """
    if (sctp := connection.sctp) is None:
        return
    send: Callable[[bytes], Awaitable[None]] = sctp.transport._send_data

    async def send_data(data: bytes) -> None:
        with contextlib.suppress(ConnectionError, SSL.Error):
            await send(data)

    sctp.transport._send_data = send_data  # type: ignore[method-assign]


def own_addresses() -> list[str]:
    """The addresses of this machine that peers may reach."""
    return get_host_addresses(use_ipv4=True, use_ipv6=True)


async def _bind(ice: Connection, address: str, ports: tuple[int, int] | None) -> StunProtocol | None:
    """A socket on an address, on a free port of those; None if there is none."""
    loop = asyncio.get_running_loop()
    for port in _choices(ports):
        try:
            transport, protocol = await loop.create_datagram_endpoint(
                lambda: StunProtocol(ice), local_addr=(address, port)
            )
        except OSError:
            continue
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        return protocol
    return None


def _choices(ports: tuple[int, int] | None) -> Iterable[int]:
    if ports is None:
        return (0,)
    first, last = ports
    start = random.randint(first, last)
    return (*range(start, last + 1), *range(first, start))


def _announced(host: str, config: WebRtcConfig) -> list[str]:
    """As what an address of ours is named: as those announced of its kind, if there are any."""
    version = ipaddress.ip_address(host).version
    if ipaddress.ip_address(host).is_loopback or not config.announced:
        return [host]
    return [one for one in config.announced if ipaddress.ip_address(one).version == version]


def _host(component: int, host: str, port: int) -> Candidate:
    return Candidate(
        foundation=candidate_foundation("host", "udp", host),
        component=component,
        transport="udp",
        priority=candidate_priority(component, "host"),
        host=host,
        port=port,
        type="host",
    )


async def _reflexive(protocols: list[StunProtocol], config: WebRtcConfig) -> list[Candidate]:
    """Our addresses as the STUN server sees them, as far as it answers in time."""
    servers = [parse_stun_turn_uri(url) for url in config.ice_servers if url.startswith("stun:")]
    if not servers or config.announced:
        return []
    server = (servers[0]["host"], servers[0]["port"])
    asked = [
        asyncio.create_task(server_reflexive_candidate(protocol, server))
        for protocol in protocols
        if ipaddress.ip_address(protocol.local_candidate.host).version == 4
        and not ipaddress.ip_address(protocol.local_candidate.host).is_loopback
    ]
    if not asked:
        return []
    done, late = await asyncio.wait(asked, timeout=config.gather_seconds)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return [task.result()[0] for task in done if task.exception() is None]
