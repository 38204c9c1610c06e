"""A real PostgreSQL for the tests that need one."""

import contextlib
from collections.abc import Iterator

import pytest

from benchmarks.postgres import NoPostgres, Postgres, running

__all__ = ["Postgres", "postgres"]


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A server for the time of a fixture; skips the test, with the reason, if there is none."""
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(running())
        except NoPostgres as error:
            pytest.skip(str(error))
        yield server
