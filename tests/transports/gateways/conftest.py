"""A server with API keys, as the gateways' customers meet one, and somebody who waits for callbacks."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from engine import EngineConfig
from engine.audio import AudioStream, output_format
from tests.transports.conftest import Running, run_server
from transports.accounts import Keyring, Limits
from transports.settings import Settings
from transports.store import Database, database_url

TEXT = "The parrot repeats what it has heard."


def recording() -> bytes:
    """Two seconds that can pass for a voice."""
    time = np.arange(48_000) / 24_000
    voice = sum(np.sin(2 * np.pi * 140 * k * time) / k for k in range(1, 20))
    stream = AudioStream(24_000, output_format("wav"))
    return stream.write((0.2 * voice).astype(np.float32)) + stream.finish()


@dataclass(frozen=True)
class Gateway:
    """The server, and keys of accounts that are rich, paying, poor, and slow."""

    running: Running
    keys: dict[str, str]

    def client(self, key: str = "rich") -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.keys.get(key, key)}"}
        return httpx.Client(base_url=self.running.url, headers=headers, timeout=60)


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    settings = Settings(
        port=0,
        engine=EngineConfig(max_streams=32, max_ahead=3600.0),
        data=tmp_path_factory.mktemp("gateway"),
        private_callbacks=True,
    )
    keys = asyncio.run(_keys(settings))
    for running in run_server(settings):
        yield Gateway(running, keys)


async def _keys(settings: Settings) -> dict[str, str]:
    database = Database(database_url(None, settings.data))
    await database.start()
    keyring = Keyring(database)
    keys = {
        "rich": await keyring.create("rich"),
        "other": await keyring.create("other"),
        "poor": await keyring.create("poor", credit=Decimal("0.000001")),
        "paying": await keyring.create("paying", credit=Decimal(1)),
        "slow": await keyring.create("slow", limits=Limits(requests_per_minute=1)),
    }
    await database.close()
    return keys


@dataclass
class Listener:
    """Takes callbacks; answers with the ``answers`` given, then always with 200."""

    url: str
    got: list[dict[str, Any]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def wait(self) -> dict[str, Any]:
        assert self.arrived.acquire(timeout=30)
        return self.got[-1]


@pytest.fixture
def listener() -> Iterator[Listener]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            listener.got.append(orjson.loads(body))
            self.send_response(listener.answers.pop(0) if listener.answers else 200)
            self.send_header("Location", listener.url)
            self.send_header("Content-Length", "0")
            self.end_headers()
            listener.arrived.release()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        listener = Listener(f"http://127.0.0.1:{server.server_address[1]}/done")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield listener
        server.shutdown()
        thread.join()
