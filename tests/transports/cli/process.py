"""The command line as a user meets it: a process, its output, its exit code."""

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
SECONDS = 60.0  # nothing here takes as long, unless it hangs


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: bytes
    err: str


def run(*arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> Ended:
    """Run a command to its end."""
    done = subprocess.run(
        _command(arguments),
        cwd=ROOT,
        env=_environment(env),
        input=stdin,
        capture_output=True,
        timeout=SECONDS,
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode())


@contextmanager
def started(
    *arguments: str, env: dict[str, str] | None = None, stdout: int = subprocess.PIPE
) -> Iterator[subprocess.Popen[bytes]]:
    """A command under way, with unbuffered pipes. Killed at the end if it has not ended."""
    with subprocess.Popen(
        _command(arguments),
        cwd=ROOT,
        env=_environment(env),
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def server(
    *arguments: str, env: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """``parrotfish serve`` on a free port, once it is ready: the process, its address, and what it printed."""
    with started("serve", "--port", "0", *arguments, env=env) as process:
        printed = read_until(process, b"Ctrl-C\n").decode()
        yield process, printed.split()[0], printed


def read_some(process: subprocess.Popen[bytes], size: int = 65_536) -> bytes:
    """The next bytes of a process's stdout, waiting for the first; b"" at its end."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], SECONDS)
    assert ready, "nothing came from the process"
    return os.read(process.stdout.fileno(), size)


def read_until(process: subprocess.Popen[bytes], wanted: bytes) -> bytes:
    """Read a process's stdout until it has said ``wanted``."""
    end = time.monotonic() + SECONDS
    read = b""
    while wanted not in read:
        data = read_some(process)
        assert data, f"{read!r} was all, {process.stderr.read() if process.stderr else b''!r}"
        assert time.monotonic() < end
        read += data
    return read


def read_rest(process: subprocess.Popen[bytes]) -> bytes:
    """Read a process's stdout to its end."""
    data = b""
    while more := read_some(process):
        data += more
    return data


def curl_line(printed: str) -> str:
    """The line to paste that the server prints."""
    found = re.search(r"curl .*", printed)
    assert found, printed
    return found.group()


def _command(arguments: tuple[str, ...]) -> list[str]:
    return [sys.executable, "-m", "transports.cli", *arguments]


def _environment(extra: dict[str, str] | None) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PARROTFISH_", "FISH_"))
    }
    return {**kept, "PARROTFISH_DATA": os.environ["PARROTFISH_DATA"], **(extra or {})}
