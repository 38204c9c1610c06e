"""A server with API keys, as the gateways' customers meet one, and somebody who waits for callbacks."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import httpx
import numpy as np
import pytest

from engine import EngineConfig
from engine.audio import AudioStream, output_format
from tests.transports.conftest import Running, run_server
from tests.transports.listener import Listener, listening
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


@pytest.fixture(name="listener")
def _listener() -> Iterator[Listener]:
    with listening() as listener:
        yield listener
