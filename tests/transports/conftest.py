"""A real server with the bundled voice, on a real socket, shared by the tests of the wires."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from engine import Engine, EngineConfig, Models
from engine.audio import AudioStream, output_format
from engine.models.dual_ar.config import Layout
from engine.models.hibari import HibariModel
from tests.engine.models.dual_ar import babble
from tests.transports.postgres import Postgres, postgres
from transports.server import Server
from transports.services import Services
from transports.settings import Settings


@dataclass(frozen=True)
class Running:
    """A server that runs in a thread of its own."""

    url: str
    services: Services
    server: Server

    def interrupt(self) -> None:
        """What SIGTERM does."""
        self.server.handle_exit(signal.SIGTERM, None)

    @property
    def live(self) -> str:
        """Address of the live socket."""
        return self.url.replace("http", "ws") + "/v1/tts/live"

    @property
    def engine(self) -> Engine:
        return self.services.engine

    def until(self, true: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
        """Wait until something is the case; fail if it does not become so."""
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, f"expected {what} within {seconds:g} s"
            time.sleep(0.005)

    def until_idle(self, seconds: float = 10.0) -> None:
        """Wait until no engine slot is held; fail if one stays."""
        self.until(lambda: not self.engine.open_streams, "no open stream", seconds)


def run_server(settings: Settings, models: Models = HibariModel) -> Iterator[Running]:
    """A server for the time of a fixture, ready when it is yielded."""
    ready: list[Services] = []
    warm = threading.Event()

    def note(services: Services) -> None:
        ready.append(services)
        warm.set()

    server = Server(settings, models, note)
    listener = server.bind()
    thread = threading.Thread(target=server.serve_on, args=(listener,), daemon=True)
    thread.start()
    assert warm.wait(60), server.failure
    yield Running(f"http://127.0.0.1:{listener.getsockname()[1]}", ready[0], server)
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive(), "the server did not end"


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """The folder of a tiny S2-Pro with random weights: what it speaks is noise, about five seconds a segment."""
    # So small a model gains nothing by threads, which wait for one another on a busy machine.
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    return babble.folder(Layout.S2_PRO)


@pytest.fixture(scope="session")
def voice_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two voices to clone, "low" and "high", from a second of tone each."""
    folder = tmp_path_factory.mktemp("voices")
    for voice, frequency in (("low", 120), ("high", 300)):
        place = folder / voice
        place.mkdir()
        stream = AudioStream(24_000, output_format("wav"))
        tone = 0.3 * np.sign(np.sin(2 * np.pi * frequency * np.arange(24_000) / 24_000))
        (place / "said.wav").write_bytes(stream.write(tone.astype(np.float32)) + stream.finish())
        (place / "said.txt").write_text(f"This is the {voice} voice.\n")
    return folder


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    """The server as a user starts it, but not held back to real time, so that tests need not listen."""
    config = EngineConfig(max_streams=32, max_ahead=3600.0)
    yield from run_server(Settings(port=0, engine=config, max_message_bytes=100_000))


@pytest.fixture(autouse=True)
def _no_slot_is_left_held(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test that used the shared server, its engine must be free again."""
    yield
    if "server" in request.fixturenames:
        request.getfixturevalue("server").until_idle()


@pytest.fixture(scope="session", name="postgres")
def _postgres() -> Iterator[Postgres]:
    """A PostgreSQL server; where none is installed, what needs it is skipped."""
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def db_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of either kind, as an operator would write it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/parrotfish.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.database()
