"""Servers whose agents think as a test says."""

from collections.abc import Iterator

import pytest

from engine import EngineConfig
from realtime.mind import ChatConfig
from tests.chat_stub import ChatStub, Script, Step, chat_stub
from tests.transports.conftest import Running, run_server
from transports.agent import AgentSettings
from transports.settings import Settings


class Mind:
    """What the stub answers, which each test sets; ``stub`` knows what it was asked."""

    def __init__(self) -> None:
        self.script: Script = lambda _: ["Hello."]
        self.stub = ChatStub()

    def says(self, *replies: list[Step]) -> None:
        """The replies to come, one after the other."""
        waiting = iter(replies)
        self.script = lambda _: next(waiting)
        self.stub.asked.clear()


@pytest.fixture(scope="session")
def _mind() -> Iterator[Mind]:
    mind = Mind()
    with chat_stub(lambda body: mind.script(body)) as mind.stub:
        yield mind


@pytest.fixture(scope="session")
def thinking(_mind: Mind) -> Iterator[Running]:
    """A server whose agents ask the stub."""
    agent = AgentSettings(chat=ChatConfig(_mind.stub.url, "stub", key="sk-1"), max_agents=3)
    yield from run_server(Settings(port=0, engine=EngineConfig(max_streams=8), agent=agent))


@pytest.fixture
def mind(_mind: Mind) -> Mind:
    return _mind


@pytest.fixture(autouse=True)
def _nobody_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test no slot of the engine is held, and no conversation open."""
    yield
    if "thinking" in request.fixturenames:
        server: Running = request.getfixturevalue("thinking")
        server.until_idle()
        server.until(lambda: server.services.agents.open == 0, "no conversation")
