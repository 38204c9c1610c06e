"""A server that notes what it holds: ``python -m benchmarks.conversation.observed PORT DATA LLM_URL FILE``.

Each second it writes a line of JSON: what the process holds, and what is open.
"""

import asyncio
import os
import socket
import sys
import time
from pathlib import Path
from typing import IO

import orjson

from engine import EngineConfig
from engine.models.hibari import HibariModel
from realtime.mind import ChatConfig
from transports.agent import AgentSettings
from transports.server import Server
from transports.settings import Settings

_INTERVAL = 1.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class ObservedServer(Server):
    """The real server, which writes what it holds to ``file``."""

    def __init__(self, settings: Settings, file: IO[bytes]) -> None:
        super().__init__(settings, HibariModel)
        self._file = file
        self._observing: asyncio.Task[None]

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """The server's own, and the observation."""
        await super().startup(sockets)
        self._observing = asyncio.create_task(self._observe())

    async def _observe(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL)
            services = self._services
            held = {
                **_process(),
                "tasks": len(asyncio.all_tasks()),
                "calls": services.agents.open,
                "peers": len(services.peers),
                "ears": services.ears.streams,
                "streams": services.engine.open_streams,
            }
            self._file.write(orjson.dumps(held, option=orjson.OPT_APPEND_NEWLINE))


def _process() -> dict[str, float]:
    """What the process holds now: bytes of memory, threads, those of C++ too, and open files."""
    self = Path("/proc/self")
    return {
        "at": time.time(),
        "memory": int((self / "statm").read_text().split()[1]) * _PAGE,
        "threads": len(list((self / "task").iterdir())),
        "files": len(list((self / "fd").iterdir())),
    }


if __name__ == "__main__":
    port, data, llm, path = sys.argv[1:]
    settings = Settings(
        port=int(port),
        data=Path(data),
        engine=EngineConfig(max_streams=64),
        agent=AgentSettings(chat=ChatConfig(llm, "stub")),
    )
    with Path(path).open("wb", buffering=0) as file:
        server = ObservedServer(settings, file)
        server.serve_on(server.bind())
