"""What every request may use: made once at the start, closed once at the end."""

import asyncio
from dataclasses import dataclass, field
from time import monotonic
from weakref import WeakSet

from starlette.requests import HTTPConnection

from engine import Engine, origin
from realtime import Encoders, Session, Speaker
from realtime.ears import Ears
from realtime.observer import Observers, TurnedAway
from transports.accounts import Accounts
from transports.agent import Agents
from transports.errors import Failure, RequestError
from transports.jobs import Callbacks, Files, Queue
from transports.metrics import Metrics
from transports.settings import Settings
from transports.store import Blobs, Database
from transports.telephony import Calls
from transports.voices import Library
from transports.webrtc.peers import Peers


@dataclass(frozen=True, slots=True)
class Services:
    """The engine and its helpers; ``speakers`` are those of the clients that are being served.

    ``observer`` is told what happens, by whoever serves them.
    ``leaving`` is set when the server is about to end: no new client is to come.
    """

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
    metrics: Metrics
    observer: Observers
    speakers: WeakSet[Speaker] = field(default_factory=WeakSet)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)

    def check_room(self) -> None:
        """Raise RequestError if the engine takes no stream now."""
        if self.leaving.is_set() or not self.engine.ready or not self.engine.has_room:
            raise RequestError("the server takes no new stream now", 503, retry_after=1)

    def speaker(self) -> Speaker:
        """A speaker for one client."""
        session = Session(
            max_pending=self.settings.max_text,
            max_contexts=self.settings.max_contexts,
            context_seconds=self.settings.context_seconds,
        )
        speaker = Speaker(self.engine, self.encoders, session, self.observer)
        self.speakers.add(speaker)
        return speaker

    def turned_away(self, failed: Failure) -> None:
        """Somebody was told on a socket that it cannot be done; its status is what HTTP would have said."""
        self.observer.note(TurnedAway(origin.current(), monotonic(), failed.status, failed.missing))

    def connections(self) -> dict[str, int]:
        """How many are open, by what they are."""
        return {
            "agent": self.agents.open,
            "call": self.calls.open,
            "webrtc": len(self.peers),
            "listening": self.ears.streams,
        }


def services_of(connection: HTTPConnection) -> Services:
    """The services of the application that serves this request or socket."""
    services = connection.app.state.services
    assert isinstance(services, Services)
    return services
