"""Callers who have one utterance after the other spoken, each over a socket of its own, through the balancer."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from websockets.exceptions import InvalidStatus, WebSocketException

from benchmarks.client import caller, clock, speak
from benchmarks.live import TOKENS_PER_SECOND, judge
from benchmarks.server import Server
from benchmarks.texts import TEXTS, tokens

_LONGEST = 36  # words; what is said takes some 12 s
_PAUSE = (0.0, 0.3)
_WAIT_SECONDS = 30.0


@dataclass(slots=True)
class Call:
    """One utterance, over its own socket; times are those of :data:`benchmarks.client.clock`.

    ``replica`` is who has it, None if the socket was not opened. ``served`` is how long it took from dialling to
    the first audio, without the time in which the text was being written. ``problem`` says what was wrong.
    """

    dialled: float
    replica: str | None = None
    opened: float | None = None
    ended: float | None = None
    served: float | None = None
    problem: str | None = None


@dataclass(slots=True)
class Load:
    """The calls so far, those under way included."""

    calls: list[Call] = field(default_factory=list)

    @property
    def open(self) -> list[Call]:
        """The calls under way that somebody has."""
        return [call for call in self.calls if call.replica and call.ended is None]

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is the case. Raises TimeoutError."""
        async with asyncio.timeout(_WAIT_SECONDS):
            while not true():  # noqa: ASYNC110
                await asyncio.sleep(0.02)


@asynccontextmanager
async def calling(server: Server, callers: int, seed: int) -> AsyncIterator[Load]:
    """So many callers for the time of the context; then they finish what they have begun."""
    load, over = Load(), asyncio.Event()
    rng = random.Random(seed)
    tasks = [
        asyncio.create_task(_calls(server, load, over, random.Random(rng.random()))) for _ in range(callers)
    ]
    try:
        yield load
    finally:
        over.set()
        await asyncio.gather(*tasks)


async def _calls(server: Server, load: Load, over: asyncio.Event, rng: random.Random) -> None:
    texts = [text for text in TEXTS if len(text.split()) <= _LONGEST]
    while not over.is_set():
        call = Call(clock())
        load.calls.append(call)
        await one_call(server, rng.choice(texts), call)
        await asyncio.sleep(rng.uniform(*_PAUSE))


async def one_call(server: Server, text: str, call: Call) -> None:
    """Have a text spoken as it is being written, and note what became of it."""
    try:
        async with caller(server.live_url) as socket:
            assert socket.response is not None
            call.replica, call.opened = socket.response.headers.get("X-Served-By"), clock()
            recording = await speak(socket, tokens(text), tokens_per_second=TOKENS_PER_SECOND)
            heard = judge(recording, "balanced", counted=True)
            call.problem = heard.problem
            if heard.first_byte is not None:
                call.served = call.opened - call.dialled + heard.first_byte
    except InvalidStatus as refused:
        call.problem = f"the socket was refused: {refused.response.status_code}"
    except (OSError, WebSocketException) as error:
        call.problem = f"no connection: {error!r}"
    call.ended = clock()
