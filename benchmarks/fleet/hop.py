"""``python -m benchmarks.fleet.hop``: what a message of a WebSocket costs for passing through a balancer.

An echo of 4 KiB messages, one at a time: called directly, through HAProxy with deploy/haproxy.cfg, and, with
``--ray PYTHON`` (of an environment with ``ray[serve]``, which need not be this one), through Ray Serve's proxy.
"""

import argparse
import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.table import Table
from websockets.asyncio.client import connect

from benchmarks import haproxy
from benchmarks.screen import screen
from benchmarks.server import LEASH, free_port

MESSAGES = 2000
_WARM = 200
_BYTES = 4096
_START_SECONDS = 120.0

_ECHO = """
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
app = FastAPI()
@app.get("/health")
@app.get("/ready")
def health(): return {}
@app.websocket("/echo")
async def echo(socket: WebSocket):
    await socket.accept()
    try:
        while True:
            await socket.send_bytes(await socket.receive_bytes())
    except WebSocketDisconnect:
        pass
"""
_DIRECT = "import sys, uvicorn; uvicorn.run(app, port=int(sys.argv[1]), log_level='error')"
_RAY = """
import signal, sys, ray
from ray import serve
ray.init(include_dashboard=False)
serve.start(http_options={"host": "127.0.0.1", "port": int(sys.argv[1])})
serve.run(serve.deployment(serve.ingress(app)(type("Echo", (), {}))).bind())
signal.pause()
"""


async def measure(address: str) -> list[float]:
    """Seconds that each message took there and back."""
    message, taken = bytes(_BYTES), []
    async with connect(f"ws://{address}/echo", compression=None, proxy=None) as socket:
        for number in range(_WARM + MESSAGES):
            begun = time.perf_counter()
            await socket.send(message)
            await socket.recv()
            if number >= _WARM:
                taken.append(time.perf_counter() - begun)
    return taken


@contextlib.contextmanager
def echoing(python: str, script: str, log: Path) -> Iterator[str]:
    """An echo server for the time of the context; its address."""
    port = free_port()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*LEASH, python, "-c", _ECHO + script, str(port)], stdout=output, stderr=subprocess.STDOUT
        )
    try:
        end = time.monotonic() + _START_SECONDS
        address = f"127.0.0.1:{port}"
        while True:
            try:
                asyncio.run(_ask(address))
                break
            except Exception:  # whatever a server says that is not ready
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"it did not start: {log.read_text()[-1000:]}") from None
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(30)


async def _ask(address: str) -> None:
    async with connect(f"ws://{address}/echo", proxy=None) as socket:
        await socket.send(b"")
        await socket.recv()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.fleet.hop", description=__doc__)
    parser.add_argument("--ray", metavar="PYTHON", help="interpreter of an environment with ray[serve]")
    options = parser.parse_args()
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        logs = Path(folder)
        with echoing(sys.executable, _DIRECT, logs / "echo.log") as address:
            found["directly"] = asyncio.run(measure(address))
            with haproxy.running([address] * 3, logs / "haproxy.log") as balancer:
                found["through HAProxy"] = asyncio.run(measure(balancer.url.partition("//")[2]))
        if options.ray:
            with echoing(options.ray, _RAY, logs / "ray.log") as address:
                found["through Ray Serve"] = asyncio.run(measure(address))
    table = Table(title=f"{MESSAGES} messages of {_BYTES} bytes, there and back; milliseconds")
    for name in ("", "p5", "p50", "p95"):
        table.add_column(name, justify="right" if name else "left")
    for name, taken in found.items():
        table.add_row(name, *(f"{1000 * value:.2f}" for value in np.quantile(taken, (0.05, 0.5, 0.95))))
    screen().print(table)


if __name__ == "__main__":
    main()
