"""How we reach into aiortc: against what is installed."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from aioice import stun
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.transports.webrtc.test_sdp import offer
from transports.webrtc import WebRtcConfig, insides


@asynccontextmanager
async def answered(config: WebRtcConfig) -> AsyncIterator[str]:
    """The answer to an offer, gathered as the operator has it."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        await connection.setRemoteDescription(RTCSessionDescription(offer(), "offer"))
        (ice,) = insides.ice_connections(connection)
        insides.gather_as(ice, config)
        await connection.setLocalDescription(await connection.createAnswer())
        yield connection.localDescription.sdp
    finally:
        await connection.close()


class Stun(asyncio.DatagramProtocol):
    """A STUN server, which may be deaf."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.asked = 0
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        if self.answers:
            request = stun.parse_message(data)
            response = stun.Message(request.message_method, stun.Class.RESPONSE, request.transaction_id)
            response.attributes["XOR-MAPPED-ADDRESS"] = ("198.51.100.7", 7777)
            self.transport.sendto(bytes(response), addr)


@pytest.mark.parametrize("answers", [True, False])
async def test_a_stun_server_is_asked_and_not_waited_for(answers: bool) -> None:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: Stun(answers=answers), local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    config = WebRtcConfig(ice_servers=(f"stun:127.0.0.1:{port}",), gather_seconds=0.15)
    began = loop.time()
    try:
        async with answered(config) as sdp:
            seconds = loop.time() - began
    finally:
        transport.close()
    assert server.asked
    assert ("198.51.100.7 7777 typ srflx" in sdp) == answers
    assert "typ host" in sdp
    assert seconds < 3  # aioice alone waits 5 s


async def test_a_server_that_cannot_be_found_is_not_waited_for() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with answered(WebRtcConfig(ice_servers=("stun:nowhere.invalid",))) as sdp:
        assert loop.time() - began < 3
        assert "typ host" in sdp


async def test_by_default_nobody_is_asked_and_loopback_is_not_offered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(insides, "server_reflexive_candidate", None)
    async with answered(WebRtcConfig()) as sdp:
        assert "srflx" not in sdp
        assert "127.0.0.1" not in sdp
    async with answered(WebRtcConfig(loopback=True)) as sdp:
        assert "127.0.0.1" in sdp


async def test_a_machine_without_a_network_has_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: [])
    async with answered(WebRtcConfig()) as sdp:
        assert "127.0.0.1" in sdp


async def test_many_networks_do_not_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = [f"127.0.{number}.1" for number in range(100)] + [
        f"192.0.2.{number}" for number in range(100, 200)
    ]
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: addresses)
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with answered(WebRtcConfig()) as sdp:
        assert loop.time() - began < 3
        # Those of the second half are not ours: no socket can be bound to them.
        assert len(set(re.findall(r"(\S+ \d+) typ host", sdp))) == 100
