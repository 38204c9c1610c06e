"""What the C library keeps of memory that was given back."""

import ctypes
import os
import sys

ARENAS = 2
_M_ARENA_MAX = -8  # of glibc's malloc.h

_CHOSEN = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")


def share_arenas() -> bool:
    """Have the threads of this process allocate from :data:`ARENAS` heaps; returns whether they do by our doing.

    By itself glibc gives nearly every thread a heap of its own, up to eight for each core; memory that one of
    them frees is of no use to the others, and a server whose threads do big things now and then keeps growing
    for a long time. Not where another library allocates, nor where the environment says how glibc should.
    """
    if not sys.platform.startswith("linux") or any(name in os.environ for name in _CHOSEN):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # musl
        return False
    return bool(mallopt(_M_ARENA_MAX, ARENAS))
