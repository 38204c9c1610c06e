"""What an operator can set, in one frozen object that the command line fills in."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine import EngineConfig
from engine.logs import LogConfig
from realtime.ears import EarsConfig, RecogniserChoice
from transports.accounts import Prices
from transports.agent.config import AgentSettings
from transports.metrics.config import MetricsConfig
from transports.security.config import SecurityConfig
from transports.telephony.config import TelephonyConfig
from transports.tracing.config import TracingConfig
from transports.webrtc.config import WebRtcConfig

# LiveKit's plugin sends this id unless its user names another voice.
LIVEKIT_DEFAULT_VOICE = "933563129e564b19a115bedd57b7406a"


def default_data() -> Path:
    """Where voices, keys and the like are kept: as the XDG base directory specification has it."""
    if given := os.environ.get("PARROTFISH_DATA"):
        return Path(given)
    shared = os.environ.get("XDG_DATA_HOME", "")
    # The specification says to ignore relative paths.
    return (Path(shared) if Path(shared).is_absolute() else Path.home() / ".local" / "share") / "parrotfish"


@dataclass(frozen=True, slots=True)
class Settings:
    """How the server runs.

    ``voice_aliases`` maps ids that clients send to voices of the model ("" is its default voice).
    ``max_message_bytes`` bounds a request body and a live message, ``max_text`` the characters that wait to be
    spoken for one client. A client may have ``max_contexts`` utterances open on one socket, and one that is
    silent and untouched for ``context_seconds`` is closed. ``grace_seconds`` is how long a shutdown waits for
    the utterances under way; for ``notice_seconds`` before that, a balancer is told that the server takes no new
    client, and only those who are there may begin something.
    ``allowed_origins`` are the web pages of other sites ("https://example.com", "*" for all) that may use this
    server from a browser.
    ``data`` is the folder of all that is kept; the database may be elsewhere (``database_url``, postgresql:// or
    sqlite://), and so may audio and pictures (``blobs_url``, such as s3://bucket/prefix). In the Redis of
    ``redis_url`` the servers of a fleet count the requests of keys together.
    Audio that is made to be fetched later is kept for ``file_seconds``; its address begins with ``public_url``,
    or else as the client called the server. With ``private_callbacks`` a callback may go to this machine and its
    network. A job whose process has died is done by another one after ``job_lease_seconds``.
    ``webrtc`` is how peers reach this server, and how many there may be; ``telephony`` the same of calls.
    ``agent`` is how agents converse, ``security`` who may reach this server, and how much of it.
    ``asr`` is the recogniser of speech, None for a server without, and ``ears`` how much of it there may be.
    ``log`` is what the log tells, ``tracing`` where traces go, ``metrics`` who may read those.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    engine: EngineConfig = field(default_factory=EngineConfig)
    max_message_bytes: int = 32 * 1024 * 1024
    max_text: int = 1_000_000
    max_contexts: int = 16
    context_seconds: float = 3600.0
    grace_seconds: float = 30.0
    notice_seconds: float = 0.0
    allowed_origins: tuple[str, ...] = ()
    voice_aliases: Mapping[str, str] = field(default_factory=lambda: {LIVEKIT_DEFAULT_VOICE: ""})
    log: LogConfig = field(default_factory=LogConfig)
    tracing: TracingConfig = field(default_factory=TracingConfig)
    data: Path = field(default_factory=default_data)
    database_url: str | None = field(default=None, repr=False)
    blobs_url: str | None = None
    redis_url: str | None = field(default=None, repr=False)
    prices: Prices = field(default_factory=Prices)
    open_to_all: bool = False
    asr: RecogniserChoice | None = field(default_factory=RecogniserChoice)
    ears: EarsConfig = field(default_factory=EarsConfig)
    file_seconds: float = 24 * 3600.0
    public_url: str | None = None
    private_callbacks: bool = False
    job_lease_seconds: float = 30.0
    webrtc: WebRtcConfig = field(default_factory=WebRtcConfig)
    telephony: TelephonyConfig = field(default_factory=TelephonyConfig)
    agent: AgentSettings = field(default_factory=AgentSettings)
    security: SecurityConfig = field(default_factory=SecurityConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)

    @property
    def blobs_place(self) -> str:
        """The folder or URL of audio and pictures."""
        return self.blobs_url or str(self.data / "blobs")
