"""A process that does nothing but ask a server for ``/health``: ``python -m benchmarks.poller HOST PORT``.

It begins at once and ends with its standard input; then it writes its samples to its standard output, as JSON.
"""

import gc
import json
import select
import socket
import sys
import time

INTERVAL = 0.002
_TIMEOUT = 30.0


def poll(host: str, port: int) -> list[tuple[float, float, float]]:
    """Ask until the standard input ends.

    Each sample is when it asked (``time.monotonic``), how long the answer took, and how late it had been woken
    for it: its own noise. All in seconds. Raises OSError.
    """
    ask = f"GET /health HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    samples: list[tuple[float, float, float]] = []
    gc.disable()
    with socket.create_connection((host, port), _TIMEOUT) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            due = time.monotonic() + INTERVAL
            if select.select([sys.stdin], [], [], INTERVAL)[0]:
                return samples
            asked = time.monotonic()
            connection.sendall(ask)
            answer = b""
            while not answer.endswith(b"}"):
                if not (more := connection.recv(4096)):
                    raise ConnectionError("the server closed the connection")
                answer += more
            samples.append((asked, time.monotonic() - asked, max(asked - due, 0.0)))


if __name__ == "__main__":
    json.dump(poll(sys.argv[1], int(sys.argv[2])), sys.stdout)
