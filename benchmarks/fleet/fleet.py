"""A fleet on one machine: replicas, HAProxy, PostgreSQL and Redis, all real, and all gone at the end."""

import contextlib
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from benchmarks import haproxy, postgres, redis
from benchmarks.server import LEASH, Monitor, Server, ServerFailed, free_port

REPLICAS = 3
START_SECONDS = 240.0
STOP_SECONDS = 60.0


@dataclass(slots=True)
class Replica:
    """One server of the fleet, which may be killed, drained and started again at the same address."""

    name: str
    port: int
    folder: Path
    settings: dict[str, object]
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def server(self) -> Server:
        """The server as other measurements know it."""
        return Server(f"http://127.0.0.1:{self.port}", self.process)

    @property
    def observed(self) -> Path:
        """Where it notes what it holds."""
        return self.folder / f"{self.name}.jsonl"

    @property
    def log(self) -> Path:
        """What it has printed, since its first start."""
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        """Start it; :meth:`until_ready` waits for it."""
        command = [sys.executable, "-m", "benchmarks.fleet.replica", str(self.observed)]
        settings = orjson.dumps({**self.settings, "port": self.port}).decode()
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*LEASH, *command, settings],
                cwd=Path(__file__).parents[2],
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def until_ready(self) -> None:
        """Return when it takes work. Raises :class:`ServerFailed`."""
        end = time.monotonic() + START_SECONDS
        while True:
            assert self.process is not None
            if self.process.poll() is not None:
                raise ServerFailed(f"{self.name} ended before it was ready: {self.log.read_text()[-2000:]}")
            with contextlib.suppress(OSError, ValueError), Monitor(self.server.url) as monitor:
                if monitor.ready().get("status") == "ready":
                    return
            if time.monotonic() > end:
                raise ServerFailed(f"{self.name} is not ready after {START_SECONDS:.0f} s")
            time.sleep(0.05)

    def kill(self) -> None:
        """What the kernel does when memory is out: it is gone, without a word."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def drain(self) -> int:
        """What an orchestrator does: SIGTERM, and wait for the end; returns the exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def held(self) -> dict[str, float]:
        """What it noted last that it holds."""
        lines = self.observed.read_bytes().splitlines()
        last: dict[str, float] = orjson.loads(lines[-1])
        return last


@dataclass(frozen=True, slots=True)
class Fleet:
    """The replicas, and what they share. ``url`` is the balancer's, where clients call."""

    url: str
    balancer: haproxy.HAProxy
    replicas: tuple[Replica, ...]
    redis: redis.Redis
    database_url: str

    @property
    def server(self) -> Server:
        """The whole of it, as if it were one server."""
        return Server(self.url)

    def until_idle(self) -> None:
        """Return when all replicas are ready, which the balancer knows, and speak nothing.

        Raises :class:`ServerFailed`.
        """
        for replica in self.replicas:
            replica.until_ready()
            with Monitor(replica.server.url) as monitor:
                end = time.monotonic() + STOP_SECONDS
                while open_streams := monitor.open_streams():
                    if time.monotonic() > end:
                        raise ServerFailed(f"{open_streams} streams of {replica.name} do not end")
                    time.sleep(0.02)
        end = time.monotonic() + STOP_SECONDS
        while missing := {replica.name for replica in self.replicas} - self.balancer.serving():
            if time.monotonic() > end:
                raise ServerFailed(f"HAProxy does not find {', '.join(sorted(missing))} ready")
            time.sleep(0.02)


@contextlib.contextmanager
def running(max_streams: int, folder: Path, *, grace: float = 30.0, notice: float = 2.0) -> Iterator[Fleet]:
    """A fleet that is ready; logs go to ``folder``. Raises :class:`ServerFailed` and what its parts raise."""
    haproxy.program()
    with contextlib.ExitStack() as stack:
        data = stack.enter_context(tempfile.TemporaryDirectory(prefix="parrotfish-fleet-"))
        counters = stack.enter_context(redis.running())
        database_url = stack.enter_context(postgres.running()).database()
        settings: dict[str, object] = {
            "data": data,  # one folder for all, as a shared volume is: blobs, and the secret of signed addresses
            "database_url": database_url,
            "redis_url": counters.url,
            "max_streams": max_streams,
            "grace_seconds": grace,
            "notice_seconds": notice,
        }
        replicas = tuple(
            Replica(f"replica-{number}", free_port(), folder, settings) for number in range(1, REPLICAS + 1)
        )
        stack.callback(_end, replicas)
        for replica in replicas:
            replica.log.unlink(missing_ok=True)
            replica.start()
        for replica in replicas:
            replica.until_ready()
        addresses = [f"127.0.0.1:{replica.port}" for replica in replicas]
        balancer = stack.enter_context(haproxy.running(addresses, folder / "haproxy.log"))
        yield Fleet(balancer.url, balancer, replicas, counters, database_url)


def _end(replicas: Sequence[Replica]) -> None:
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):  # drain, leave, enough
        living = [one.process for one in replicas if one.process is not None and one.process.poll() is None]
        for process in living:
            process.send_signal(number)
        end = time.monotonic() + STOP_SECONDS / 4
        for process in living:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, end - time.monotonic()))
