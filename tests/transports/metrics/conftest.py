"""A server whose model speaks tones in no time, and can be held up."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from engine import EngineConfig
from tests.tones import ToneModel
from tests.transports.conftest import Running, run_server
from tests.transports.metrics.page import Page
from transports.settings import Settings


@dataclass(frozen=True)
class Toning:
    """A server and its model."""

    running: Running
    model: ToneModel

    @property
    def url(self) -> str:
        return self.running.url

    def page(self) -> Page:
        """What it tells now."""
        return Page.of(self.url)


@pytest.fixture(scope="module")
def toning_server() -> Iterator[Toning]:
    model = ToneModel()
    config = EngineConfig(max_streams=2, max_ahead=3600.0)
    for running in run_server(Settings(port=0, engine=config, asr=None), lambda: model):
        yield Toning(running, model)


@pytest.fixture
def toning(toning_server: Toning) -> Iterator[Toning]:
    """The server with nothing under way."""
    toning_server.running.until_idle()
    yield toning_server
    toning_server.model.gate.set()
