"""A server with a watch on its own event loop: ``python -m benchmarks.watched PORT MAX_STREAMS FILE``.

Every few milliseconds a task of the loop notes the time, how much processor time the loop's thread has used since
it last did, and how late it was woken. No callback of the loop has used more than the first of these numbers; of
the second, the rest is for others to answer: threads that held the interpreter, and whoever had the processor.
"""

import asyncio
import socket
import struct
import sys
import time
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from engine import EngineConfig
from engine.models.hibari import HibariModel
from transports.server import Server
from transports.settings import Settings

INTERVAL = 0.002
_BEAT = struct.Struct("ddd")


class WatchedServer(Server):
    """The real server, which writes its beats to ``file``."""

    def __init__(self, settings: Settings, file: IO[bytes]) -> None:
        super().__init__(settings, HibariModel)
        self._file = file
        self._watching: asyncio.Task[None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """The server's own, and the watch."""
        await super().startup(sockets)
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        worked = time.thread_time()
        while True:
            due = time.monotonic() + INTERVAL
            await asyncio.sleep(INTERVAL)
            now, before = time.monotonic(), worked
            worked = time.thread_time()
            self._file.write(_BEAT.pack(now, worked - before, max(now - due, 0.0)))


def beats(file: Path) -> npt.NDArray[np.float64]:
    """What was noted by now, a row for each beat: when (``time.monotonic``), processor time, delay; seconds."""
    data = file.read_bytes()
    return np.frombuffer(data[: len(data) // _BEAT.size * _BEAT.size]).reshape(-1, 3)


if __name__ == "__main__":
    with Path(sys.argv[3]).open("wb", buffering=0) as out:
        settings = Settings(port=int(sys.argv[1]), engine=EngineConfig(max_streams=int(sys.argv[2])))
        server = WatchedServer(settings, out)
        server.serve_on(server.bind())
