"""One server process for all tests of the folder that only need some server."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.transports.cli.process import server


@dataclass(frozen=True)
class Served:
    """A server process: its address, and what it printed until it was ready."""

    url: str
    printed: str


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    # Far ahead of the listener, so that no test waits for speech to be heard.
    with server("--max-ahead", "600") as (_, url, printed):
        yield Served(url, printed)
