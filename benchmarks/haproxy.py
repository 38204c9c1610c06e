"""A real HAProxy with the configuration that we ship, from the program that Debian's package installs."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.server import LEASH, free_port

CONFIGURATION = Path(__file__).parents[1] / "deploy" / "haproxy.cfg"
SECONDS = 10.0
_UP = re.compile(r'^haproxy_server_status\{proxy="(\w+)",server="([\w-]+)",state="UP"\} 1$', re.MULTILINE)


class NoHAProxy(RuntimeError):
    """None is installed; the text says how to."""


@dataclass(frozen=True, slots=True)
class HAProxy:
    """A balancer that runs: its address for clients, and that of its own Prometheus page."""

    url: str
    metrics: str

    def serving(self) -> frozenset[str]:
        """The replicas that are alive and take streams, as far as the balancer knows by its checks."""
        with urllib.request.urlopen(self.metrics, timeout=SECONDS) as answer:  # noqa: S310
            page = answer.read().decode()
        up = set(_UP.findall(page))
        return frozenset(name for backend, name in up if {("speech", name), ("library", name)} <= up)


def program() -> str:
    """Where HAProxy is. Raises :class:`NoHAProxy`."""
    found = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise NoHAProxy("no haproxy in PATH: apt install haproxy")
    return found


@contextmanager
def running(replicas: Sequence[str], log: Path) -> Iterator[HAProxy]:
    """A balancer before three replicas (``host:port``), whose log goes to a file. Raises :class:`NoHAProxy`."""
    port, metrics = free_port(), free_port()
    names = {f"PARROTFISH_REPLICA_{number}": replica for number, replica in enumerate(replicas, 1)}
    environment = {
        **os.environ,
        **names,
        "PARROTFISH_BIND": f"127.0.0.1:{port}",
        "PARROTFISH_METRICS": f"127.0.0.1:{metrics}",
    }
    command = [*LEASH, program(), "-db", "-f", str(CONFIGURATION)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + SECONDS
        while not _listens(port):
            assert process.poll() is None, f"HAProxy ended at once: {log.read_text()[-2000:]}"
            assert time.monotonic() < end, "HAProxy did not start"
            time.sleep(0.02)
        yield HAProxy(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics}/metrics")
    finally:
        process.send_signal(signal.SIGTERM)  # at once, whoever is still connected
        process.wait(SECONDS)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
