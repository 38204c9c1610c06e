"""What goes between the server and the process that runs SGLang: plain tuples, pickled, over two sockets."""

from typing import Any, NamedTuple


class Speak(NamedTuple):
    """Draw frames from the end of a context.

    ``ids`` are what the radix tree finds the context by under ``key``, ``side`` is what the model is told beside
    them (see :func:`engine.models.sglang.side.pack`), ``limit`` the most frames to draw.
    """

    request: str
    ids: list[int]
    key: str
    side: dict[str, Any]
    limit: int


class Abort(NamedTuple):
    """Nobody wants more of a request."""

    request: str


class Ready(NamedTuple):
    """SGLang runs: its version, and how many positions its KV cache holds."""

    version: str
    positions: int


class Failed(NamedTuple):
    """SGLang cannot be started, and why."""

    reason: str


class News(NamedTuple):
    """What became of one request.

    ``rows`` are the frames drawn since the last news, each the token, its codes, and 1 where its numbers broke
    down; ``cached`` positions of its prompt were found computed. ``ended`` is why there are no more: ``stop``,
    ``length``, or in words what went wrong; None while it goes on.
    """

    request: str
    rows: list[list[int]]
    cached: int
    ended: str | None
