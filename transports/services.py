"""What every request may use: made once at the start, closed once at the end."""

from dataclasses import dataclass, field
from weakref import WeakSet

from starlette.requests import HTTPConnection

from engine import Engine
from realtime import Encoders, Session, Speaker
from realtime.ears import Ears
from transports.accounts import Accounts
from transports.agent import Agents
from transports.errors import RequestError
from transports.jobs import Callbacks, Files, Queue
from transports.settings import Settings
from transports.store import Blobs, Database
from transports.telephony import Calls
from transports.voices import Library
from transports.webrtc.peers import Peers


@dataclass(frozen=True, slots=True)
class Services:
    """The engine and its helpers; ``speakers`` are those of the clients that are being served."""

    settings: Settings
    engine: Engine
    encoders: Encoders
    database: Database
    blobs: Blobs
    accounts: Accounts
    ears: Ears
    voices: Library
    files: Files
    jobs: Queue
    callbacks: Callbacks
    peers: Peers
    calls: Calls
    agents: Agents
    speakers: WeakSet[Speaker] = field(default_factory=WeakSet)

    def check_room(self) -> None:
        """Raise RequestError if the engine takes no stream now."""
        if not self.engine.ready or not self.engine.has_room:
            raise RequestError("the server takes no new stream now", 503, retry_after=1)

    def speaker(self) -> Speaker:
        """A speaker for one client."""
        session = Session(
            max_pending=self.settings.max_text,
            max_contexts=self.settings.max_contexts,
            context_seconds=self.settings.context_seconds,
        )
        speaker = Speaker(self.engine, self.encoders, session)
        self.speakers.add(speaker)
        return speaker


def services_of(connection: HTTPConnection) -> Services:
    """The services of the application that serves this request or socket."""
    services = connection.app.state.services
    assert isinstance(services, Services)
    return services
