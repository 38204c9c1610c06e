"""The real server as a process of its own: started, watched, stopped."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

_START_SECONDS = 120.0
_STOP_SECONDS = 10.0
_TICKS = os.sysconf("SC_CLK_TCK")
_WATCHED = (sys.executable, "-m", "benchmarks.watched")

SERVE = (sys.executable, "-c", "from transports.cli import main; main()", "serve")
"""The command of the server itself, before its options."""

LEASH = ("setpriv", "--pdeathsig=KILL")
"""Before a command: should this process be killed, so is that one (Linux)."""


class ServerFailed(RuntimeError):
    """The server did not start, or is not there any more."""


class Server:
    """A server under test: its base URL, and its process if that runs on this machine under our hands.

    ``watch`` is the file in which it notes how its event loop fares, if it does.
    """

    def __init__(
        self, url: str, process: "subprocess.Popen[bytes] | None" = None, watch: Path | None = None
    ) -> None:
        self.url = url.rstrip("/")
        self.process = process
        self.watch = watch

    @property
    def live_url(self) -> str:
        """Where the live WebSocket is."""
        return self.url.replace("http", "ws", 1) + "/v1/tts/live"

    @property
    def agent_url(self) -> str:
        """Where the agent's WebSocket is."""
        return self.url.replace("http", "ws", 1) + "/v1/agent"

    def monitor(self) -> "Monitor":
        """A connection of its own to ask the server how it is."""
        return Monitor(self.url)

    def cpu_seconds(self) -> float | None:
        """Processor time that the server and its children have used; None if it is not ours or not Linux."""
        if self.process is None or not Path("/proc/self/stat").exists():
            return None
        return sum(_cpu_seconds(pid) for pid in _family(self.process.pid))


class Monitor:
    """Asks ``/ready`` over one kept-alive connection. Blocks; use it off the event loop."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.netloc, timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ready(self) -> dict[str, Any]:
        """What ``/ready`` says, whatever its status; raises OSError if nobody answers."""
        try:
            self._connection.request("GET", "/ready")
            answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        except http.client.HTTPException as error:
            self._connection.close()
            raise ConnectionError(f"no answer: {error!r}") from error
        return answer

    def open_streams(self) -> int:
        """How many utterances are open on the server."""
        return int(self.ready()["open_streams"])


@contextlib.contextmanager
def running(url: str | None, max_streams: int, log: Path, watch: Path | None = None) -> Iterator[Server]:
    """The server at ``url``, or one of our own, warm, whose output goes to ``log``; stopped at the end.

    With ``watch``, our own notes there how its event loop fares. Raises :class:`ServerFailed`.
    """
    if url is not None:
        server = Server(url)
        _await_ready(server)
        yield server
        return
    if watch is not None:
        with started(lambda port: [*_WATCHED, str(port), str(max_streams), str(watch)], log) as server:
            server.watch = watch
            yield server
        return
    with started(
        lambda port: [*SERVE, "--port", str(port), "--max-streams", str(max_streams)], log
    ) as server:
        yield server


@contextlib.contextmanager
def started(command: Callable[[int], list[str]], log: Path) -> Iterator[Server]:
    """A server of our own, warm: the command for the port it is given. Raises :class:`ServerFailed`."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(command(port), stdout=output, stderr=subprocess.STDOUT)
    try:
        server = Server(f"http://127.0.0.1:{port}", process)
        try:
            _await_ready(server)
        except ServerFailed as error:
            raise ServerFailed(f"{error}; the last of {log}: {log.read_text()[-2000:]}") from None
        yield server
        if process.poll() is not None:
            raise ServerFailed(f"the server ended with {process.returncode} while it was measured; see {log}")
    finally:
        _stop(process)


def _await_ready(server: Server) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        if server.process is not None and server.process.poll() is not None:
            raise ServerFailed(f"the server ended with {server.process.returncode} before it was ready")
        try:
            with server.monitor() as monitor:
                state = monitor.ready()
            if state.get("status") == "ready":
                return
        except (OSError, ValueError) as error:
            state = {"status": str(error)}
        if time.monotonic() > deadline:
            raise ServerFailed(f"{server.url} is not ready after {_START_SECONDS:.0f} s: {state['status']}")
        time.sleep(0.1)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):  # drain, leave, enough
        if process.poll() is None:
            process.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_STOP_SECONDS)


def free_port() -> int:
    """A port of the loopback address that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def machine_busy_seconds() -> float | None:
    """Processor time that all programs of the machine have used, and its host took away; None if not Linux."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, stat.read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS


def _family(root: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            children.setdefault(int(_fields(path)[1]), []).append(int(path.parent.name))
    family = [root]
    for pid in family:
        family += children.get(pid, [])
    return family


def _cpu_seconds(pid: int) -> float:
    try:
        fields = _fields(Path(f"/proc/{pid}/stat"))
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS  # utime, stime: proc(5)


def _fields(stat: Path) -> list[str]:
    """The fields of ``/proc/PID/stat`` behind the name, which may hold anything."""
    return stat.read_text().rpartition(")")[2].split()
