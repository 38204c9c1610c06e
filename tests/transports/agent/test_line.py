"""The agent socket as a line, on a socket in memory."""

import asyncio
import json
from typing import Any

import numpy as np
from starlette.websockets import WebSocket

from engine.audio import output_format
from engine.speech import Pcm
from realtime.conversation.events import Interrupt, ToolResult
from realtime.line import Heard, LineFormat
from transports.agent.line import SocketLine

RATE = 8_000


async def samples(data: bytes) -> Pcm:
    return np.frombuffer(data, "<i2").astype(np.float32)


async def taken_after(*messages: dict[str, Any]) -> list[Any]:
    """What there is to be taken when all of these have come before anybody took any."""
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def receive() -> dict[str, Any]:
        message = await incoming.get()
        incoming.task_done()
        return message

    async def send(_: Any) -> None:
        pass

    socket = WebSocket({"type": "websocket", "headers": []}, receive, send)
    for message in ({"type": "websocket.connect"}, *messages):
        incoming.put_nowait(message)
    await socket.accept()
    events = []
    async with SocketLine(socket, LineFormat(output_format("pcm", RATE), RATE), samples, 60.0) as line:
        await incoming.join()
        async for event in line:
            events.append(event)
            if event == Interrupt():
                return events
    return events


def said(level: int, seconds: float = 0.02) -> dict[str, Any]:
    return {"type": "websocket.receive", "bytes": np.full(round(seconds * RATE), level, "<i2").tobytes()}


def asked(**message: Any) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": json.dumps(message)}


async def test_a_flood_of_audio_takes_no_command_along() -> None:
    result = asked(type="tool_result", call_id="c", content="found")
    first, *heard, last = await taken_after(result, *map(said, range(1000)), asked(type="interrupt"))
    assert (first, last) == (ToolResult("c", "found"), Interrupt())
    assert [int(event.pcm[0]) for event in heard] == list(range(1000 - len(heard), 1000))
    assert len(heard) == 248


async def test_of_long_messages_fewer_are_kept() -> None:
    *heard, last = await taken_after(*(said(level, 10.0) for level in range(20)), asked(type="interrupt"))
    assert last == Interrupt()
    assert [int(event.pcm[0]) for event in heard if isinstance(event, Heard)] == list(range(14, 20))


async def test_of_too_many_commands_the_last_count() -> None:
    results = (asked(type="tool_result", call_id=str(number), content="") for number in range(300))
    events = await taken_after(*results, asked(type="interrupt"))
    assert [event.call_id for event in events[:-1]] == [str(number) for number in range(51, 300)]
