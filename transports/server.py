"""Runs the application under uvicorn, and ends it without cutting anybody off."""

import asyncio
import contextlib
import gc
import logging
import resource
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from types import FrameType

import uvicorn

from engine import Models
from engine.logs import loop_error
from transports.access import Access
from transports.accounts.auth import HideKeys
from transports.app import create_app
from transports.memory import share_arenas
from transports.security import SecurityConfig
from transports.security.guard import Guard
from transports.security.http import GuardedHttp
from transports.security.tls import BadCertificate, load, make_context
from transports.services import Services
from transports.settings import Settings

# What is left after the grace period: closing handshakes of sockets.
CLOSE_SECONDS = 2
# How long a thread in pure Python may keep the others from running. Python's default, 5 ms, is a tenth of the
# time to first audio, and several turns of engine, encoder and event loop lie on that path.
SWITCH_SECONDS = 0.0005
# Files that are open beside connections: the database, recordings, sockets of WebRTC peers.
_OTHER_FILES = 256
_OVER_BYTES = 64 * 1024

log = logging.getLogger(__name__)


class _NoFalseAlarm(logging.Filter):
    """Drops what uvicorn says when a WebSocket is refused with a response, which is no error."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "returned without completing handshake" not in record.getMessage()


class Server(uvicorn.Server):
    """A uvicorn server whose first SIGTERM or SIGINT drains the engine; the second one ends it at once.

    ``ready`` is called when the model is warm. If it cannot be loaded the server ends, and ``failure`` says why.
    ``draining`` is called when the first signal has come. Raises BadCertificate or TracingError.
    """

    def __init__(
        self,
        settings: Settings,
        models: Models,
        ready: Callable[[Services], object] = lambda _: None,
        draining: Callable[[Services], object] = lambda _: None,
    ) -> None:
        tracer = settings.tracing.tracer()
        self._settings = settings
        self._ready = ready
        self._on_draining = draining
        security = _fitting(settings)
        limits = security.limits
        self._security = security
        self.guard = Guard(security)
        self._looking: asyncio.Task[None] | None = None
        self._tls = None
        if security.tls_cert and security.tls_key:
            self._tls = make_context(security.tls_cert, security.tls_key)
        self._app = create_app(settings, models, self._loaded, self.guard, tracer)
        self._loop: asyncio.AbstractEventLoop
        self._draining: asyncio.Task[None] | None = None
        self._reloading: asyncio.Task[None] | None = None
        self.failure: BaseException | None = None
        super().__init__(
            uvicorn.Config(
                Access(self._app, tracer),
                http=GuardedHttp,
                ws="websockets-sansio",
                # Above our own limit, so that a message just over it is answered and not only cut off.
                ws_max_size=settings.max_message_bytes + _OVER_BYTES,
                ws_per_message_deflate=False,  # audio does not compress; trying costs latency
                log_config=None,  # as the process has configured it
                log_level=settings.log.libraries,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=CLOSE_SECONDS,
                timeout_keep_alive=limits.keep_alive,
                ws_ping_interval=limits.ping_seconds,
                ws_ping_timeout=limits.ping_seconds,
                forwarded_allow_ips=list(security.proxies),
            )
        )

    def bind(self) -> socket.socket:
        """The listening socket. Raises OSError, before anything is loaded, if the address is not to be had."""
        family = socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._settings.host, self._settings.port))
            listener.listen(self.config.backlog)  # now, for two may bind to one port as long as none listens
        except OSError:
            listener.close()
            raise
        return listener

    def serve_on(self, listener: socket.socket) -> None:
        """Serve until a signal ends it."""
        share_arenas()
        before = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_SECONDS)
        logging.getLogger("uvicorn.error").addFilter(_NoFalseAlarm())
        logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a stranger's broken form is no news
        for name in ("uvicorn.error", "uvicorn.access"):
            logging.getLogger(name).addFilter(HideKeys())
        try:
            with asyncio.Runner(loop_factory=self.config.get_loop_factory()) as runner:
                runner.run(self.serve(sockets=[listener]))
        finally:  # the process may go on without the server, and without its model
            sys.setswitchinterval(before)
            gc.unfreeze()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn's own, but for what listens: every connection has a guard, and a TLS handshake little time."""
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(loop_error)
        await super().startup([])
        self._looking = asyncio.create_task(self.guard.look_after())
        handshake = self.guard.limits.tls_seconds if self._tls else None
        for listener in sockets or []:
            server = await self._loop.create_server(
                self._connection,
                sock=listener,
                ssl=self._tls,
                backlog=self.config.backlog,
                ssl_handshake_timeout=handshake,
            )
            self.servers.append(server)
        if self._tls and threading.current_thread() is threading.main_thread():
            self._loop.add_signal_handler(signal.SIGHUP, self._begin_reload)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Uvicorn's own; connections are looked after until it is done."""
        try:
            await super().shutdown(sockets)
        finally:
            if self._looking is not None:
                self._looking.cancel()
                await asyncio.gather(self._looking, return_exceptions=True)

    def _connection(self) -> GuardedHttp:
        return GuardedHttp(self.config, self.server_state, self.lifespan.state, guard=self.guard)

    def _begin_reload(self) -> None:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload())

    async def _reload(self) -> None:
        """Read certificate and key again, for the handshakes from now on."""
        security = self._security
        assert self._tls is not None
        assert security.tls_cert is not None
        assert security.tls_key is not None
        try:
            await asyncio.to_thread(make_context, security.tls_cert, security.tls_key)
            # Here, not in the thread: no handshake may begin between the new certificate and the new key.
            load(self._tls, security.tls_cert, security.tls_key)
        except BadCertificate as error:
            log.error("the certificate stays as it was: %s", error)
        else:
            log.info("the certificate was read again")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Signal handler: drain first, then leave."""
        if self._draining is not None or not self.started:
            self.should_exit = self.force_exit = True
        else:
            self._loop.call_soon_threadsafe(self._begin_draining)

    def _begin_draining(self) -> None:
        self._draining = asyncio.create_task(self._drain())
        self._on_draining(self._services)

    async def _drain(self) -> None:
        services = self._services
        services.leaving.set()
        await asyncio.sleep(self._settings.notice_seconds)
        hearing = asyncio.create_task(services.ears.drain(self._settings.grace_seconds))
        leaving = asyncio.create_task(services.peers.drain(self._settings.grace_seconds))
        conversing = asyncio.create_task(services.agents.drain(self._settings.grace_seconds))
        await services.engine.drain(self._settings.grace_seconds)
        await conversing
        await leaving  # who hears it in real time hears the end of it later than it is made
        await services.engine.stop()  # whoever is not finished by now is told so ...
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):  # ... and the message is let out
                await asyncio.gather(*(speaker.settled() for speaker in list(services.speakers)))
        await hearing
        self.should_exit = True

    @property
    def _services(self) -> Services:
        services = self._app.state.services
        assert isinstance(services, Services)
        return services

    def _loaded(self, loading: asyncio.Task[None]) -> None:
        if loading.cancelled():
            return
        self.failure = loading.exception()
        if self.failure is None:
            # What has been loaded stays: the garbage collector, which stops the event loop, need not look at it.
            gc.collect()
            gc.freeze()
            self._ready(self._services)
        else:
            self.should_exit = True


def _fitting(settings: Settings) -> SecurityConfig:
    """With no more connections than the system has files for, and room for some of the largest messages."""
    limits = settings.security.limits
    largest = settings.max_message_bytes
    limits = replace(
        limits,
        unfinished=max(limits.unfinished, 8 * largest),
        unfinished_per_address=max(limits.unfinished_per_address, 2 * largest),
    )
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files != resource.RLIM_INFINITY:
        most = max(_OTHER_FILES // 4, files - _OTHER_FILES)
        limits = replace(limits, connections=min(limits.connections, most))
    return replace(settings.security, limits=limits)
