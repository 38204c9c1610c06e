"""A real Redis in a temporary folder, from the program that Debian's package installs."""

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis as Client
from redis.exceptions import RedisError

from benchmarks.server import LEASH

SECONDS = 30.0
_PROGRAMS = ("redis-server", "valkey-server")


class NoRedis(RuntimeError):
    """None is installed; the text says how to."""


class Redis:
    """A server on a socket in ``folder``, which keeps nothing on the disk and may be stopped and started."""

    def __init__(self, program: str, folder: Path) -> None:
        self._socket = folder / "redis.sock"
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its URL, of the database 0."""
        return f"unix://{self._socket}?db=0"

    def client(self) -> Client:
        """A client that blocks."""
        return Client(unix_socket_path=str(self._socket), decode_responses=True)

    def start(self) -> None:
        """Start it, empty; it answers when this returns."""
        command = [self._program, "--port", "0", "--unixsocket", str(self._socket), "--save", ""]
        self._process = subprocess.Popen(
            [*LEASH, *command],
            cwd=self._socket.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + SECONDS
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except RedisError:
                    assert self._process.poll() is None, "Redis ended at once"
                    assert time.monotonic() < end, "Redis did not start"
                    time.sleep(0.02)

    def stop(self) -> None:
        """Kill it: what was in it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(SECONDS)
            self._process = None

    def freeze(self) -> None:
        """Have it not answer any more, and not go either."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def running() -> Iterator[Redis]:
    """A server for the time of the context. Raises :class:`NoRedis`."""
    programs = [found for name in _PROGRAMS if (found := shutil.which(name))]
    if not programs:
        raise NoRedis("no redis-server in PATH: apt install redis-server")
    folder = Path(tempfile.mkdtemp(prefix="parrotfish-redis-"))
    server = Redis(programs[0], folder)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)
