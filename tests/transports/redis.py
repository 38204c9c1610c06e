"""A real Redis for the tests that need one."""

import contextlib
from collections.abc import Iterator

import pytest

from benchmarks.redis import NoRedis, Redis, running

__all__ = ["Redis", "redis"]


@contextlib.contextmanager
def redis() -> Iterator[Redis]:
    """A server for the time of a fixture; skips the test, with the reason, if there is none."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(running())
        except NoRedis as error:
            pytest.skip(str(error))
        yield server
