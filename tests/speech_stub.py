"""A server with OpenAI's speech endpoint, which answers as a test says: over real HTTP, from a thread."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


class Gate:
    """Something that an answer waits for until a test opens it."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opened = asyncio.Event()
        self.reached = threading.Event()

    async def passed(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.reached.set()
        await self._opened.wait()

    def open(self) -> None:
        assert self.reached.wait(10), "nobody came to the gate"
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._opened.set)


class Break:
    """Here the connection is broken off."""


Step = bytes | Gate | Break


@dataclass
class Answer:
    """Pieces of a body; before the status is sent, ``hold`` is waited for."""

    steps: list[Step]
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": "audio/pcm"})
    hold: Gate | None = None


@dataclass
class SpeechStub:
    """What was asked, and how many answers their readers have broken off."""

    url: str = ""
    models: list[str] | None = field(default_factory=lambda: ["stub-tts"])
    voices: list[Any] | None = field(default_factory=lambda: ["anna", "ben"])
    listing: int = 200  # status of what it says of itself
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    aborted: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    sent: int = 0  # bytes of all answers


Script = Callable[[dict[str, Any]], Answer]


def tone(seconds: float, rate: int = 24_000, hertz: float = 200.0, level: float = 0.3) -> bytes:
    """PCM of a tone."""
    wave = level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return (wave * 32767).astype("<i2").tobytes()


@contextmanager
def speech_stub(script: Script, **stub_fields: Any) -> Iterator[SpeechStub]:
    """The server, for as long as the block takes. ``script`` is called with the body of each request."""
    stub = SpeechStub(**stub_fields)

    async def speech(request: Request) -> Response:
        stub.asked.append(await request.json())
        stub.headers.append(dict(request.headers))
        answer = script(stub.asked[-1])
        if answer.hold is not None:
            try:
                await _held(request, answer.hold)
            except ConnectionError:
                stub.aborted.release()
                return Response(status_code=499)
        return StreamingResponse(_body(stub, answer.steps), answer.status, answer.headers)

    async def models(_: Request) -> Response:
        if stub.models is None or stub.listing != 200:
            return JSONResponse({"detail": "No"}, 404 if stub.models is None else stub.listing)
        return JSONResponse({"object": "list", "data": [{"id": name} for name in stub.models]})

    async def voices(_: Request) -> Response:
        if stub.voices is None or stub.listing != 200:
            return JSONResponse({"detail": "No"}, 404 if stub.voices is None else stub.listing)
        return JSONResponse({"voices": stub.voices})

    app = Starlette(
        routes=[
            Route("/v1/audio/speech", speech, methods=["POST"]),
            Route("/v1/audio/voices", voices),
            Route("/v1/models", models),
        ]
    )
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    started = threading.Event()
    while not server.started:
        assert thread.is_alive(), "the stub did not start"
        started.wait(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    stub.url = f"http://127.0.0.1:{port}/v1"
    try:
        yield stub
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
        assert not thread.is_alive(), "the stub did not end"


async def _held(request: Request, gate: Gate) -> None:
    """Wait for a gate, unless the client goes before: ConnectionError."""
    passed = asyncio.ensure_future(gate.passed())
    gone = asyncio.ensure_future(_disconnect(request))
    await asyncio.wait({passed, gone}, return_when=asyncio.FIRST_COMPLETED)
    passed.cancel()
    gone.cancel()
    if not passed.done():
        raise ConnectionError


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _body(stub: SpeechStub, steps: list[Step]) -> AsyncIterator[bytes]:
    done = False
    try:
        for step in steps:
            match step:
                case Gate():
                    await step.passed()
                case Break():
                    done = True
                    raise ConnectionError("as the test wants it")
                case bytes():
                    yield step
                    stub.sent += len(step)
        done = True
    finally:
        if not done:
            stub.aborted.release()
