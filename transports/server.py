"""Runs the application under uvicorn, and ends it without cutting anybody off."""

import asyncio
import contextlib
import gc
import logging
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn

from engine import SpeechModel
from transports.accounts.auth import HideKeys
from transports.app import create_app
from transports.services import Services
from transports.settings import Settings

# What is left after the grace period: closing handshakes of sockets.
CLOSE_SECONDS = 2
# How long a thread in pure Python may keep the others from running. Python's default, 5 ms, is a tenth of the
# time to first audio, and several turns of engine, encoder and event loop lie on that path.
SWITCH_SECONDS = 0.0005


class _NoFalseAlarm(logging.Filter):
    """Drops what uvicorn says when a WebSocket is refused with a response, which is no error."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "returned without completing handshake" not in record.getMessage()


class Server(uvicorn.Server):
    """A uvicorn server whose first SIGTERM or SIGINT drains the engine; the second one ends it at once.

    ``ready`` is called when the model is warm. If it cannot be loaded the server ends, and ``failure`` says why.
    ``draining`` is called when the first signal has come.
    """

    def __init__(
        self,
        settings: Settings,
        make_model: Callable[[], SpeechModel],
        ready: Callable[[Services], object] = lambda _: None,
        draining: Callable[[Services], object] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._ready = ready
        self._on_draining = draining
        self._app = create_app(settings, make_model, self._loaded)
        self._loop: asyncio.AbstractEventLoop
        self._draining: asyncio.Task[None] | None = None
        self.failure: BaseException | None = None
        super().__init__(
            uvicorn.Config(
                self._app,
                ws="websockets-sansio",
                # Above our own limit, so that a message just over it is answered and not only cut off.
                ws_max_size=2 * settings.max_message_bytes,
                ws_per_message_deflate=False,  # audio does not compress; trying costs latency
                log_level=settings.log_level,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=CLOSE_SECONDS,
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
        """Uvicorn's own, which also learns the loop that signals are passed on to."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)

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
