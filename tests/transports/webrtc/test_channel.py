"""What a peer may leave waiting on its data channel."""

import asyncio
import json

import pytest
from aiortc import RTCPeerConnection

from transports.webrtc.channel import Channel


@pytest.mark.parametrize(("text", "most"), [("x", 1000), ("x" * 60_000, 17)])
async def test_who_writes_faster_than_can_be_done_what_he_asks_is_let_go(text: str, most: int) -> None:
    connection, overrun = RTCPeerConnection(), asyncio.Event()
    channel = Channel(65_536, overrun.set)
    channel.attach(data := connection.createDataChannel("parrotfish"))
    message = json.dumps({"type": "text", "text": text})
    for number in range(most):
        data.emit("message", message)
        assert not overrun.is_set(), number
    taken = aiter(channel)
    assert await anext(taken) == {"type": "text", "text": text}
    data.emit("message", message)
    assert not overrun.is_set()
    data.emit("message", message)
    assert overrun.is_set()
    await connection.close()


async def test_what_came_before_a_message_that_makes_it_void_takes_no_room() -> None:
    connection, overrun = RTCPeerConnection(), asyncio.Event()
    channel = Channel(65_536, overrun.set)
    channel.attach(data := connection.createDataChannel("parrotfish"))
    for _ in range(5):
        for text in ["x" * 60_000] * 10:
            data.emit("message", json.dumps({"type": "text", "text": text}))
        data.emit("message", json.dumps({"type": "cancel"}))
        await channel.void_until("cancel")
    assert not overrun.is_set()
    await connection.close()
