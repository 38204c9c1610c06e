"""How many heaps the C library makes for the threads of a process."""

import os
import platform
import re
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a matter of glibc")

_PROGRAM = """
import ctypes, sys, threading
from transports.memory import share_arenas
print(share_arenas())
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.fopen.restype = ctypes.c_void_p, ctypes.c_void_p
together = threading.Barrier(12)
def allocate():
    together.wait()
    libc.malloc(ctypes.c_size_t(1000))
    together.wait()
threads = [threading.Thread(target=allocate) for _ in range(12)]
for thread in threads: thread.start()
for thread in threads: thread.join()
file = ctypes.c_void_p(libc.fopen(b"/dev/stdout", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def heaps(**environment: str) -> tuple[bool, int]:
    """Whether ours was done, and how many heaps twelve threads got."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
    }
    done = subprocess.run(
        [sys.executable, "-u", "-c", _PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        env=kept | environment,
    )
    return done.stdout.startswith("True"), len(re.findall("<heap nr=", done.stdout))


def test_threads_share_two_heaps() -> None:
    assert heaps() == (True, 2)


def test_what_the_environment_says_of_it_holds() -> None:
    ours, number = heaps(MALLOC_ARENA_MAX="5")
    assert not ours
    assert 2 < number <= 5
