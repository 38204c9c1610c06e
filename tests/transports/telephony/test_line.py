"""A call as a line, on a socket in memory: what comes in any order, and all the ways in which it may end."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from starlette.websockets import WebSocket

from engine.audio import Law, decode_g711
from realtime.line import Digit, Heard, Line, LineEvent, LinePlayed
from tests.transports.telephony.test_media import START
from transports.errors import RequestError
from transports.jobs import Signer
from transports.telephony.calls import Calls
from transports.telephony.config import TelephonyConfig
from transports.telephony.media import MediaStream
from transports.telephony.signatures import Ticket
from transports.telephony.telnyx import TelnyxStream
from transports.telephony.twilio import TwilioStream

CONFIG = TelephonyConfig(start_seconds=5.0, idle_seconds=5.0, stall_seconds=5.0, max_seconds=30.0)
PROVIDERS: dict[str, tuple[Callable[[], MediaStream], Law]] = {
    "twilio": (TwilioStream, "mulaw"),
    "telnyx": (TelnyxStream, "mulaw"),
}
each_provider = pytest.mark.parametrize("provider", PROVIDERS)


class Socket:
    """The other end of an ASGI WebSocket: what is put into it is received, what is sent is kept."""

    def __init__(self) -> None:
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self.sent: list[Any] = []
        self.closed: int | None = None
        self.news = asyncio.Event()
        self.flows = asyncio.Event()
        self.flows.set()

    async def accepted(self) -> WebSocket:
        socket = WebSocket({"type": "websocket", "headers": []}, self._receive, self._send)
        await socket.accept()
        return socket

    async def _receive(self) -> dict[str, Any]:
        message = await self._incoming.get()
        self._incoming.task_done()
        return message

    async def _send(self, message: Any) -> None:
        await self.flows.wait()
        if message["type"] == "websocket.send":
            self.sent.append(json.loads(message["text"]))
        elif message["type"] == "websocket.close":
            self.closed = message["code"]
        self.news.set()

    async def until(self, enough: Callable[[], bool]) -> None:
        while not enough():
            self.news.clear()
            await self.news.wait()

    def events(self) -> list[str]:
        return [message["event"] for message in self.sent]

    def say(self, message: object) -> None:
        self._incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    def say_raw(self, **fields: Any) -> None:
        self._incoming.put_nowait({"type": "websocket.receive", **fields})

    def audio(self, chunk: int, code: bytes = b"\xff") -> None:
        media = {"track": "inbound", "chunk": str(chunk), "payload": b64encode(code * 160).decode()}
        self.say({"event": "media", "media": media})

    def mark(self, name: str) -> None:
        self.say({"event": "mark", "mark": {"name": name}})

    def marks(self) -> list[str]:
        return [message["mark"]["name"] for message in self.sent if message["event"] == "mark"]

    async def drained(self) -> None:
        """Until all of it has been received."""
        await self._incoming.join()

    def disconnect(self) -> None:
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})


async def call(
    socket: Socket,
    converse: Callable[[Line], Awaitable[None]],
    provider: str = "twilio",
    *,
    config: TelephonyConfig = CONFIG,
    ticket: Ticket | None = None,
) -> None:
    """A call that has been accepted, until it is over."""
    calls = Calls(config, Signer(b"secret"))
    with calls.place():
        stream = PROVIDERS[provider][0]()
        await calls.run(await socket.accepted(), stream, ticket, lambda line, _: converse(line))
    assert calls.open == 0


def begin(socket: Socket, provider: str = "twilio") -> None:
    socket.say({"event": "connected"})
    socket.say(START[provider]())


async def listen(line: Line, events: list[LineEvent]) -> None:
    async for event in line:
        events.append(event)


@each_provider
async def test_what_the_caller_says_and_presses_comes_in_order(provider: str) -> None:
    socket, events = Socket(), list[LineEvent]()
    begin(socket, provider)
    socket.audio(1)
    socket.say({"event": "dtmf", "dtmf": {"digit": "5"}})
    socket.audio(2, b"\x80")

    async def converse(line: Line) -> None:
        assert (line.format.output.container, line.format.hears_at) == (PROVIDERS[provider][1], 8000)
        async for event in line:
            events.append(event)
            if len(events) == 3:
                socket.say({"event": "stop"})

    await call(socket, converse, provider)
    assert [type(event) for event in events] == [Heard, Digit, Heard]
    assert events[1] == Digit("5")
    quiet, loud = (event.pcm for event in events if isinstance(event, Heard))
    np.testing.assert_array_equal(quiet, np.zeros(160))
    np.testing.assert_allclose(loud, 32124 / 32768)
    assert socket.closed == 1000


@each_provider
async def test_marks_tell_what_was_played(provider: str) -> None:
    socket, events = Socket(), list[LineEvent]()
    begin(socket, provider)

    async def converse(line: Line) -> None:
        for _ in range(12):
            await line.send(b"\xff" * 160)
        for name in socket.marks():
            socket.mark(name)
        async for event in line:
            events.append(event)
            if len(events) == 3:
                return

    await call(socket, converse, provider)
    assert events == [LinePlayed(0.02, 0), LinePlayed(0.12, 0), LinePlayed(0.22, 0)]
    assert socket.events() == ["media", "mark", *["media"] * 5, "mark", *["media"] * 5, "mark", "media"]


@each_provider
async def test_a_clear_leaves_no_mark_that_counts(provider: str) -> None:
    """What comes back because of it, or was on its way, was not played, or nobody knows how much of it."""
    socket, events = Socket(), list[LineEvent]()
    begin(socket, provider)

    async def converse(line: Line) -> None:
        for _ in range(12):
            await line.send(b"\xff" * 160)
        before = socket.marks()
        socket.mark(before[0])
        await line.clear()
        for name in before[1:]:
            socket.mark(name)
        await line.send(b"\xff" * 160)
        socket.mark(socket.marks()[-1])
        async for event in line:
            events.append(event)
            return

    await call(socket, converse, provider)
    assert events == [LinePlayed(0.02, 1)]
    assert socket.events()[-3:] == ["clear", "media", "mark"]


# -- how a call ends ------------------------------------------------------------------------------------


async def _waits(line: Line) -> None:
    await listen(line, [])


async def _speaks(line: Line) -> None:
    """Until nobody is there, without listening: a hang-up has to end it nevertheless."""
    listening = asyncio.create_task(_waits(line))
    while not listening.done():
        await line.send(b"\xff" * 160)
        await asyncio.sleep(0)
    await line.clear()
    await line.send(b"\xff" * 160)


async def _ends(line: Line) -> None:
    return


def _stop(socket: Socket) -> None:
    socket.say({"event": "stop"})


@each_provider
@pytest.mark.parametrize("converse", [_waits, _speaks])
@pytest.mark.parametrize("hang_up", [_stop, Socket.disconnect])
async def test_a_caller_hangs_up(
    provider: str, converse: Callable[[Line], Awaitable[None]], hang_up: Callable[[Socket], None]
) -> None:
    socket = Socket()
    begin(socket, provider)
    socket.audio(1)
    hang_up(socket)
    await call(socket, converse, provider)


@each_provider
@pytest.mark.parametrize("hang_up", [_stop, Socket.disconnect])
@pytest.mark.parametrize("said", [0, 1])
async def test_a_caller_hangs_up_before_anything(
    provider: str, hang_up: Callable[[Socket], None], said: int
) -> None:
    socket = Socket()
    for _ in range(said):
        socket.say({"event": "connected"})
    hang_up(socket)
    await call(socket, _never, provider)


async def _never(line: Line) -> None:
    raise AssertionError("there is no call")


async def test_the_agent_hangs_up() -> None:
    socket = Socket()
    begin(socket)
    await call(socket, _ends)
    assert socket.closed == 1000


async def test_what_fails_in_a_conversation_closes_its_socket() -> None:
    async def fails(line: Line) -> None:
        raise LookupError("no voice")

    socket = Socket()
    begin(socket)
    with pytest.raises(LookupError):
        await call(socket, fails)
    assert socket.closed == 1000


async def test_a_conversation_that_is_cancelled_closes_its_socket() -> None:
    socket = Socket()
    begin(socket)
    running = asyncio.create_task(call(socket, _speaks))
    await socket.until(lambda: len(socket.sent) > 3)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert socket.closed == 1000


@pytest.mark.parametrize(
    "garbage",
    [
        {"text": "no json"},
        {"text": '{"event": "media", "media": {"payload": "!"}}'},
        {"bytes": b"\0\1"},
        {"text": json.dumps({"event": "media", "media": {"payload": "A" * 70_000}})},
        {"text": " " * 70_000},
    ],
)
@pytest.mark.parametrize("begun", [False, True])
async def test_garbage_ends_a_call(garbage: dict[str, Any], begun: bool) -> None:
    socket = Socket()
    if begun:
        begin(socket)
    socket.say_raw(**garbage)
    await call(socket, _waits if begun else _never)
    assert socket.closed == 1008


@pytest.mark.parametrize("begun", [False, True])
async def test_a_provider_that_says_nothing_is_hung_up_on(begun: bool) -> None:
    socket = Socket()
    if begun:
        begin(socket)
    config = replace(CONFIG, start_seconds=0.05, idle_seconds=0.05)
    await call(socket, _waits if begun else _never, config=config)
    assert socket.closed == (1000 if begun else 1008)


async def test_a_provider_that_takes_nothing_is_hung_up_on() -> None:
    socket, events = Socket(), list[LineEvent]()
    begin(socket)

    async def converse(line: Line) -> None:
        socket.flows.clear()
        listening = asyncio.create_task(listen(line, events))
        await line.send(b"\xff" * 160)
        await listening
        await line.send(b"\xff" * 160)  # void, and at once
        socket.flows.set()

    await call(socket, converse, config=replace(CONFIG, stall_seconds=0.05))
    assert socket.sent == []


async def test_no_call_is_endless() -> None:
    socket = Socket()
    begin(socket)
    await call(socket, _waits, config=replace(CONFIG, max_seconds=0.05))
    assert socket.closed == 1000


@pytest.mark.parametrize("side", ["nobody", "caller", "key", "agent"])
async def test_a_call_in_which_nobody_says_anything_ends(side: str) -> None:
    """What counts is the caller's own time. A voice, a key or the agent begins it anew."""
    socket, events = Socket(), list[LineEvent]()
    begin(socket)

    async def converse(line: Line) -> None:
        listening = asyncio.create_task(listen(line, events))
        for chunk in range(1000):
            if chunk == 40:
                match side:
                    case "key":
                        socket.say({"event": "dtmf", "dtmf": {"digit": "1"}})
                    case "agent":
                        await line.send(b"\xff" * 160)
            socket.audio(chunk, b"\x80" if side == "caller" and chunk == 40 else b"\xff")
            received = asyncio.create_task(socket.drained())
            await asyncio.wait((received, listening), return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                received.cancel()
                return

    await call(socket, converse, config=replace(CONFIG, silence_seconds=1.0))
    assert socket.closed == 1000
    heard = sum(isinstance(event, Heard) for event in events)
    assert abs(heard - (50 if side == "nobody" else 90)) <= 2


async def test_a_ticket_is_for_one_call() -> None:
    for ticket, converse, closed in (
        (Ticket("twilio", "CA1"), _ends, 1000),
        (Ticket("twilio", ""), _ends, 1000),
        (Ticket("twilio", "CA2"), _never, 1008),
    ):
        socket = Socket()
        begin(socket)
        await call(socket, converse, ticket=ticket)
        assert socket.closed == closed


async def test_there_are_no_more_calls_than_may_be() -> None:
    calls = Calls(replace(CONFIG, max_calls=2), Signer(b"secret"))
    with calls.place():
        with calls.place():
            assert calls.open == 2
            with pytest.raises(RequestError, match="2 calls are under way"), calls.place():
                pass
        calls.check_room()
    assert calls.open == 0


async def test_of_too_much_audio_the_oldest_is_forgotten_and_no_digit() -> None:
    socket, events = Socket(), list[LineEvent]()
    begin(socket)
    socket.say({"event": "dtmf", "dtmf": {"digit": "1"}})
    for chunk in range(1000):
        socket.audio(chunk, bytes([chunk % 127]))
    socket.say({"event": "dtmf", "dtmf": {"digit": "2"}})

    async def converse(line: Line) -> None:
        async for event in line:
            if not events:
                await socket.drained()
            events.append(event)
            if event == Digit("2"):
                return

    await call(socket, converse)
    assert events[0] == Digit("1")
    assert len(events) <= 252
    last = events[-2]
    assert isinstance(last, Heard)
    np.testing.assert_array_equal(last.pcm, _sound(999 % 127))


def _sound(code: int) -> Any:
    return decode_g711(bytes([code]) * 160, "mulaw")
