"""A real browser and a real server in a process of its own, for the tests of the demo page."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from playwright.sync_api import Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def ready(url: str) -> dict[str, Any]:
    """What ``/ready`` answers; empty while nobody does."""
    try:
        with urlopen(f"{url}ready", timeout=5) as answer:
            return dict(json.load(answer))
    except HTTPError as error:
        with error:
            return dict(json.load(error))
    except (URLError, ConnectionError, TimeoutError):
        return {}


def until(true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


@contextmanager
def served(port: int, *arguments: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A server as a user starts it: its URL and its process."""
    url = f"http://127.0.0.1:{port}/"
    process = subprocess.Popen(
        [sys.executable, "-m", "transports.cli", "serve", "--port", str(port), *arguments],
        cwd=Path(__file__).parents[3],
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: process.poll() is not None or ready(url).get("status") == "ready", "the server's start")
        assert process.poll() is None, "the server ended at once"
        yield url, process
    finally:
        process.kill()
        process.wait()


def number(page: Page, name: str) -> float:
    return float(page.locator(f"#{name}").get_attribute("value") or "nan")
