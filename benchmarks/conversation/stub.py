"""A chat server in a process of its own: ``python -m benchmarks.conversation.stub PORT FIRST_TOKEN TOKEN``.

It speaks OpenAI's streamed chat completions over real HTTP. The first token comes FIRST_TOKEN seconds after it
was asked, the others TOKEN seconds after one another. What it answers depends on the caller's last words alone.
"""

import asyncio
import itertools
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from benchmarks.server import Server, ServerFailed, free_port
from benchmarks.texts import TEXTS, tokens

STORY, EXPLAIN = "Tell me a story.", "Explain that to me."
"""What is asked for: a reply that lasts long enough to be interrupted, one of some 12 s, and else a short one."""

_START_SECONDS = 30.0
_LONG = " ".join(TEXTS[1:6])
_SHORT = (
    "Yes, of course. I have noted that for you.",
    "That is no problem at all, it will be done by tomorrow.",
    "Let me see. The next one is free at four.",
    "I am sorry, we are closed on that day.",
    "Good, then everything is arranged. Is there anything else?",
    "The answer is a little longer than you may think, but it is yes.",
    "Sure, I can change that. You will get a message in a minute.",
    "It costs twelve pounds, and it comes with a spare part.",
)


class Stub:
    """Answers in turn."""

    def __init__(self, first_token: float, token: float) -> None:
        self._first_token = first_token
        self._token = token
        self._short = itertools.cycle(_SHORT)
        self._middle = itertools.cycle(TEXTS[1:])

    async def completions(self, request: Request) -> Response:
        """One reply, streamed."""
        begun = time.perf_counter()
        try:
            asked = str((await request.json())["messages"][-1]["content"])
        except ClientDisconnect:  # whoever asked was interrupted
            return Response()
        if asked == STORY:
            text = _LONG
        elif asked == EXPLAIN:
            text = next(self._middle)
        else:
            text = next(self._short)
        return StreamingResponse(self._stream(tokens(text), begun), media_type="text/event-stream")

    async def _stream(self, pieces: list[str], begun: float) -> AsyncIterator[bytes]:
        for index, piece in enumerate(pieces):
            due = begun + self._first_token + index * self._token
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            yield _event({"content": piece}, None)
        yield _event({}, "stop") + b"data: [DONE]\n\n"


def _event(delta: dict[str, Any], finish: str | None) -> bytes:
    data = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    return b"data: " + orjson.dumps(data) + b"\n\n"


@contextmanager
def thinking(first_token: float, token: float) -> Iterator[Server]:
    """The server as a process of its own; its API is at /v1. Raises ServerFailed if it does not start."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.conversation.stub", *map(str, (port, first_token, token))]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/")
                break
            except httpx.TransportError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise ServerFailed("the stub of a language model did not start") from None
                time.sleep(0.1)
        yield Server(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait()


def main(port: int, first_token: float, token: float) -> None:
    """Serve until a signal ends it."""
    stub = Stub(first_token, token)
    app = Starlette(routes=[Route("/v1/chat/completions", stub.completions, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", lifespan="off")


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]))
