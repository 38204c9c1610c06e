"""A server with OpenAI's chat completions, which answers as a test says: over real HTTP, from a thread."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

Step = str | float | dict[str, Any] | bytes
"""A piece of text, seconds to wait, a delta, or raw bytes of the stream."""


@dataclass
class ChatStub:
    """What was asked, and how many replies were broken off by their reader."""

    url: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    broken_off: int = 0
    answered: threading.Event = field(default_factory=threading.Event)


Script = Callable[[dict[str, Any]], list[Step] | Response]


@contextmanager
def chat_stub(script: Script) -> Iterator[ChatStub]:
    """The server, for as long as the block takes. ``script`` is called with the body of each request."""
    stub = ChatStub()

    async def completions(request: Request) -> Response:
        body = await request.json()
        stub.asked.append(body)
        stub.headers.append(dict(request.headers))
        answer = script(body)
        if isinstance(answer, Response):
            return answer
        return StreamingResponse(_stream(stub, answer), media_type="text/event-stream")

    async def models(_: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "stub", "object": "model"}]})

    app = Starlette(
        routes=[
            Route("/v1/chat/completions", completions, methods=["POST"]),
            Route("/v1/models", models),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
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
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive(), "the stub did not end"


async def _stream(stub: ChatStub, steps: list[Step]) -> AsyncIterator[bytes]:
    done = False
    finish = "stop"
    try:
        for step in steps:
            if isinstance(step, float):
                await asyncio.sleep(step)
            elif isinstance(step, bytes):
                yield step
            else:
                delta = {"content": step} if isinstance(step, str) else step
                finish = "tool_calls" if "tool_calls" in delta else finish
                yield _event({"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        if not any(isinstance(step, bytes) for step in steps):
            yield _event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
            yield b"data: [DONE]\n\n"
        done = True
    finally:
        stub.broken_off += not done
        stub.answered.set()


def _event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"
