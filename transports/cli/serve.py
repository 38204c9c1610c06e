"""``parrotfish serve``."""

import asyncio
import contextlib
import errno
import logging
import os
import re
import socket
import sys
from decimal import Decimal
from pathlib import Path
from typing import get_args

import click

from engine import EngineConfig, ModelUnavailable, logs
from engine.logs import LogConfig
from realtime.ears import EarsConfig, RecogniserChoice, Vad
from transports.accounts import Prices
from transports.agent import AgentSettings
from transports.cli.agent import agent_options
from transports.cli.console import OperatorConsole
from transports.cli.environment import check_environment
from transports.cli.logs import log_options
from transports.cli.metrics import check_port, metrics_options
from transports.cli.model import ModelChoice, ModelCommand, model_options
from transports.cli.peers import peer_options
from transports.cli.recogniser import recogniser_options
from transports.cli.security import origins, security_options
from transports.cli.store import check, store_options
from transports.cli.telephony import telephony_options
from transports.cli.tracing import tracing_options
from transports.cli.types import Number, Url, amount
from transports.cli.workers import WorkersChoice, worker_options
from transports.metrics import MetricsConfig
from transports.security import SecurityConfig
from transports.security.tls import BadCertificate
from transports.server import Server
from transports.settings import Settings
from transports.telephony import TelephonyConfig
from transports.tracing import TracingConfig, TracingError
from transports.webrtc import WebRtcConfig

_DEFAULTS = Settings()
_MIB = 1024 * 1024
_OF_LIBRARY = re.compile(r"[0-9a-f]{32}")  # ids of voices


def _aliases(_: click.Context, parameter: click.Parameter, pairs: tuple[str, ...]) -> dict[str, str]:
    aliases = {}
    for pair in pairs:
        name, equals, voice = pair.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{pair!r} is not of the form ID=VOICE", param=parameter)
        aliases[name] = voice
    return aliases


@click.command(cls=ModelCommand, context_settings={"auto_envvar_prefix": "PARROTFISH", "show_default": True})
@model_options
@click.option("--host", default=_DEFAULTS.host, help="Address to listen on; 0.0.0.0 is every one.")
@click.option("--port", default=_DEFAULTS.port, type=click.IntRange(0, 65535), help="0 takes any free one.")
@click.option(
    "--max-streams",
    type=click.IntRange(1),
    show_default="as many as half of this machine can speak, measured at the start; S2 models: 64 on a GPU, 8 "
    "on a CPU",
    help="Utterances at once; more are refused with Retry-After.",
)
@worker_options
@click.option(
    "--max-ahead",
    default=_DEFAULTS.engine.max_ahead,
    type=Number(0.5),
    metavar="SECONDS",
    help="How far speech may be ahead of a live listener.",
)
@click.option(
    "--max-message-mib",
    default=_DEFAULTS.max_message_bytes // _MIB,
    type=click.IntRange(1),
    metavar="MIB",
    help="Largest request body or live message.",
)
@click.option(
    "--max-text",
    default=_DEFAULTS.max_text,
    type=click.IntRange(1),
    metavar="CHARACTERS",
    help="Text that may wait to be spoken for one client.",
)
@click.option(
    "--idle-timeout",
    default=_DEFAULTS.context_seconds,
    type=Number(1.0),
    metavar="SECONDS",
    help="How long a live utterance or a feed of captions may lie idle, silent and untouched.",
)
@click.option(
    "--grace",
    default=_DEFAULTS.grace_seconds,
    type=Number(0.0),
    metavar="SECONDS",
    help="How long a shutdown waits for the utterances under way.",
)
@click.option(
    "--notice",
    default=_DEFAULTS.notice_seconds,
    type=Number(0.0),
    metavar="SECONDS",
    help="How long before that /ready says so and no new socket is opened, while those that are open may still "
    "begin to speak: for a load balancer to notice.",
)
@click.option(
    "--voice-alias",
    multiple=True,
    callback=_aliases,
    metavar="ID=VOICE",
    help="Another id for a voice, such as one that a client has built in; may be repeated.",
)
@click.option(
    "--allow-origin",
    multiple=True,
    callback=origins,
    metavar="ORIGIN",
    help="Another site whose pages may use this server from a browser, such as https://example.com; may be "
    "repeated, * is every site.",
)
@store_options
@click.option(
    "--blobs-url",
    type=Url(),
    metavar="URL",
    help="Where audio and pictures are kept, such as s3://bucket/prefix; else in the data folder.",
)
@click.option(
    "--redis-url",
    type=Url("redis", "rediss", "unix"),
    metavar="URL",
    help="redis://:password@host:6379/0, in which the servers of a fleet count the requests of each API key "
    "together; else each for itself. Better set in the environment, where other users do not see the password.",
)
@click.option(
    "--open",
    "open_to_all",
    is_flag=True,
    envvar="PARROTFISH_OPEN",
    help="Serve anybody who reaches this server, without an API key. On a loopback address that is so until the "
    "first key is created.",
)
@click.option(
    "--vad",
    default=_DEFAULTS.ears.vad,
    type=click.Choice(get_args(Vad)),
    help="What tells a voice from other sounds in live streams; silero stands more noise and needs the extra "
    "[silero].",
)
@click.option(
    "--max-listeners",
    default=_DEFAULTS.ears.max_streams,
    type=click.IntRange(1),
    help="Live streams listened to at a time: agents, calls, live recognition. More are refused with 503.",
)
@click.option(
    "--price-tts",
    default=str(_DEFAULTS.prices.tts),
    callback=amount,
    metavar="CREDIT",
    help="Price of a million UTF-8 bytes of text, for accounts that are limited.",
)
@click.option(
    "--price-asr",
    default=str(_DEFAULTS.prices.asr),
    callback=amount,
    metavar="CREDIT",
    help="Price of an hour of audio that is recognised.",
)
@click.option(
    "--public-url",
    type=Url("http", "https"),
    metavar="URL",
    show_default="as each client called it",
    help="Address of this server for clients: that of audio to be fetched later begins with it.",
)
@click.option(
    "--keep-audio",
    default=_DEFAULTS.file_seconds / 3600,
    type=Number(0.01),
    metavar="HOURS",
    help="How long such audio can be fetched.",
)
@click.option(
    "--allow-private-callbacks",
    is_flag=True,
    help="Post the results of tasks also to addresses of this machine and its network.",
)
@peer_options
@recogniser_options(may_be_none=True)
@telephony_options
@agent_options
@security_options
@log_options
@tracing_options
@metrics_options
def serve(
    host: str,
    port: int,
    max_streams: int | None,
    max_ahead: float,
    max_message_mib: int,
    max_text: int,
    idle_timeout: float,
    grace: float,
    notice: float,
    voice_alias: dict[str, str],
    allow_origin: tuple[str, ...],
    data: Path,
    database_url: str | None,
    blobs_url: str | None,
    redis_url: str | None,
    open_to_all: bool,
    public_url: str | None,
    keep_audio: float,
    allow_private_callbacks: bool,
    price_tts: Decimal,
    price_asr: Decimal,
    webrtc: WebRtcConfig,
    vad: Vad,
    max_listeners: int,
    asr: RecogniserChoice | None,
    telephony: TelephonyConfig,
    agent: AgentSettings,
    security: SecurityConfig,
    log: LogConfig,
    tracing: TracingConfig,
    metrics: MetricsConfig,
    model: ModelChoice,
    workers: WorkersChoice,
) -> None:
    """Run the server.

    Ctrl-C or SIGTERM lets it finish what it is saying; a second Ctrl-C ends it at once.

    \b
    Each option has an environment variable, such as PARROTFISH_PORT for --port
    or PARROTFISH_MAX_STREAMS for --max-streams.
    """
    context = click.get_current_context()
    check_environment(context, context.command)
    settings = Settings(
        host=host,
        port=port,
        engine=EngineConfig(max_streams=max_streams, max_ahead=max_ahead, processes=workers.config),
        max_message_bytes=max_message_mib * _MIB,
        max_text=max_text,
        context_seconds=idle_timeout,
        grace_seconds=grace,
        notice_seconds=notice,
        voice_aliases={**_DEFAULTS.voice_aliases, **voice_alias},
        allowed_origins=allow_origin,
        public_url=public_url,
        file_seconds=keep_audio * 3600,
        private_callbacks=allow_private_callbacks,
        webrtc=webrtc,
        asr=asr,
        ears=EarsConfig(vad=vad, max_streams=max_listeners),
        telephony=telephony,
        agent=agent,
        security=security,
        log=log,
        tracing=tracing,
        metrics=metrics,
        data=data,
        database_url=database_url,
        blobs_url=blobs_url,
        redis_url=redis_url,
        prices=Prices(price_tts, price_asr),
        open_to_all=open_to_all,
    )
    logs.configure(log)
    logs.catch_strays()
    here = model.fetched()
    console = OperatorConsole(settings)

    # One of the library may be added later, and be deleted: its owner shall not keep a server from starting.
    elsewhere = agent.voice in settings.voice_aliases or _OF_LIBRARY.fullmatch(agent.voice)
    models = workers.models(here, max_streams, voice_alias, "" if elsewhere else agent.voice)

    try:
        server = Server(settings, models, console.ready, console.draining)
    except (BadCertificate, TracingError) as error:
        raise click.ClickException(str(error)) from None
    check_port(metrics)
    listener = _bind(server, host, port)
    console.keys_needed = asyncio.run(check(settings)) and not open_to_all
    console.listening(listener.getsockname()[1])
    try:
        server.serve_on(listener)
    finally:
        console.loaded()
    if server.force_exit:
        # A thread that is loading or computing would not survive the end of the interpreter.
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)
    if isinstance(server.failure, click.ClickException):
        raise server.failure
    if isinstance(server.failure, ModelUnavailable):  # the same, from a worker's process
        raise click.ClickException(str(server.failure))
    if server.failure is not None:
        reason = str(server.failure) or type(server.failure).__name__
        raise click.ClickException(
            f"the model could not be loaded: {reason}\nparrotfish doctor may know why."
        )


def _bind(server: Server, host: str, port: int) -> socket.socket:
    try:
        return server.bind()
    except OSError as error:
        match error.errno:
            case errno.EADDRINUSE:
                reason = f"port {port} is in use; try --port {_free_port(host, port)}"
            case errno.EACCES:
                reason = f"port {port} is not for everybody; try --port {_free_port(host, _DEFAULTS.port)}"
            case _:
                reason = f"cannot listen on {host}: {error.strerror or error}; try --host {_DEFAULTS.host}"
        raise click.ClickException(reason) from None


def _free_port(host: str, taken: int) -> int:
    """A port that could be had instead, the next one if possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in range(taken + 1, min(taken + 100, 65535) + 1):
        with contextlib.suppress(OSError), socket.create_server((host, port), family=family):
            return port
    return 0
