"""A server for the tests of recognition."""

from collections.abc import Iterator

import pytest

from realtime.ears import EarsConfig
from tests.transports.conftest import Running, run_server
from transports.settings import Settings


@pytest.fixture(scope="session")
def hears(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One that takes bodies of 2 MB, and 130 s of audio of three callers at a time."""
    ears = EarsConfig(max_seconds=130.0, max_files=3)
    data = tmp_path_factory.mktemp("hears")
    yield from run_server(Settings(port=0, data=data, max_message_bytes=2_000_000, ears=ears))
