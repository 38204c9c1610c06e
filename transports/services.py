"""What every request may use: made once at the start, closed once at the end."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from engine import Engine
from realtime import Speaker
from transports.settings import Settings


@dataclass(frozen=True, slots=True)
class Services:
    """The engine and its helpers. ``encoders`` are the threads on which audio is encoded."""

    settings: Settings
    engine: Engine
    encoders: ThreadPoolExecutor

    def speaker(self) -> Speaker:
        """A speaker for one client."""
        return Speaker(self.engine, self.encoders, max_pending_text=self.settings.max_text)


def services_of(connection: HTTPConnection) -> Services:
    """The services of the application that serves this request or socket."""
    services = connection.app.state.services
    assert isinstance(services, Services)
    return services
