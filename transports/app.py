"""Builds the ASGI application."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import anyio.lowlevel
import numpy as np
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message

from engine import Engine, EngineError, Models
from engine.audio import AudioStream, Container, output_format
from realtime import Encoders
from realtime.ears import Ears, HearingError
from realtime.observer import Observers
from transports import errors, fish, gateways, openai, ops, web
from transports.access import REQUEST_ID
from transports.accounts import Accounts, make_limiter
from transports.accounts.auth import is_loopback
from transports.accounts.wallet import router as wallet_router
from transports.agent import Agents
from transports.agent.socket import router as agent_router
from transports.description import DescribedApp
from transports.dubbing.live import router as dubbing_router
from transports.jobs import Callbacks, Files, Queue, Signer, load_secret
from transports.jobs.routes import router as files_router
from transports.metrics import Metrics
from transports.metrics.refusals import Refusals
from transports.metrics.routes import router as metrics_router
from transports.security.front import Front
from transports.security.guard import Guard
from transports.security.names import Names, own_names
from transports.services import Services
from transports.settings import Settings
from transports.store import Blobs, Database, StoreError, database_url
from transports.telephony import Calls
from transports.telephony.routes import router as telephony_router
from transports.version import VERSION
from transports.voices import Library, Trainer
from transports.webrtc import Peers
from transports.webrtc.routes import EXPOSED
from transports.webrtc.routes import router as webrtc_router

if TYPE_CHECKING:
    from transports.tracing.tracer import Tracer

# Encoding is short bursts of C code that release the GIL; more threads than this only contend for it.
ENCODER_THREADS = 2
_FIRST = (
    ("http", "GET", "/health"),
    ("http", "GET", "/ready"),
    ("http", "POST", "/v1/tts"),
    ("http", "POST", "/v1/tts/stream/with-timestamp"),
    ("http", "POST", "/v1/audio/speech"),
    ("http", "POST", "/v1/audio/transcriptions"),
    ("http", "POST", "/v1/asr"),
    ("http", "POST", "/fish/tts"),
    ("http", "POST", "/api/v1/fish-audio/tts"),
    ("http", "GET", "/files/none"),
    ("http", "POST", "/v1/webrtc"),
    ("websocket", "GET", "/v1/tts/live"),
    ("websocket", "GET", "/v1/tts/live/with-timestamp"),
    ("websocket", "GET", "/v1/asr/realtime"),
    ("websocket", "GET", "/v1/dub"),
    ("websocket", "GET", "/v1/agent"),
)
_LOCAL = [(b"host", b"localhost")]
CONTAINERS: tuple[Container, ...] = get_args(Container)


async def load(engine: Engine, ears: Ears, agents: Agents, encoders: Executor) -> None:
    """Start the engine, and meanwhile open every encoder once, which is slower the first time."""
    await ears.start()  # first: the engine measures what the machine can do
    await agents.start()
    loop = asyncio.get_running_loop()
    await asyncio.gather(
        engine.start(), *(loop.run_in_executor(encoders, _encode_once, kind) for kind in CONTAINERS)
    )


async def train(loading: asyncio.Task[None], trainer: Trainer) -> None:
    """Train new voices as soon as the model is there."""
    await asyncio.wait([loading])
    if loading.exception() is None:
        await trainer.run()


async def answer_once(app: ASGIApp) -> None:
    """Be refused everything once: FastAPI reads the source of an endpoint for its first caller."""

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(_: Message) -> None:
        pass

    denial: dict[str, Any] = {"websocket.http.response": {}}
    for kind, method, path in _FIRST:
        scope = {"type": kind, "method": method, "path": path, "query_string": b"", "headers": _LOCAL}
        await app(scope | {"extensions": denial}, receive, send)
    await anyio.lowlevel.checkpoint()  # anyio, which streams the responses, loads itself when first used


def _encode_once(container: Container) -> None:
    stream = AudioStream(24_000, output_format(container), normalize=True)
    stream.write(np.zeros(12_000, np.float32))
    stream.finish()


def create_app(
    settings: Settings,
    models: Models,
    loaded: Callable[[asyncio.Task[None]], object] = lambda _: None,
    guard: Guard | None = None,
    tracer: "Tracer | None" = None,
) -> FastAPI:
    """The application, which loads its model when it starts and is served from that moment on.

    Until the model is warm ``/ready`` says so, and requests are refused with 503. ``loaded`` is called with the
    finished task that loaded it. ``guard`` counts requests; it is shared with whatever counts connections.
    ``tracer`` is told what happens, and closed at the end.
    """

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        engine = Engine(models, settings.engine)
        metrics, observer = Metrics(engine), Observers()
        ears = Ears(settings.asr.load if settings.asr else None, settings.ears, observer)
        database = Database(database_url(settings.database_url, settings.data))
        blobs = Blobs(settings.blobs_place)
        await database.start()
        await blobs.start()
        accounts = Accounts(
            database,
            settings.prices,
            open_to_all=settings.open_to_all,
            open_without_keys=is_loopback(settings.host),
            limiter=make_limiter(settings.redis_url),
        )
        accounts.start()
        library = Library(database, blobs)
        signer = Signer(await asyncio.to_thread(load_secret, settings.data))
        results = f"{settings.blobs_url}/results" if settings.blobs_url else settings.data / "results"
        files = Files(database, Blobs(results), signer, settings.file_seconds)
        await files.start()
        jobs = Queue(database, lambda: engine.ready, settings.job_lease_seconds)
        with (
            ThreadPoolExecutor(ENCODER_THREADS, "parrotfish-encoder") as live,
            ThreadPoolExecutor(1, "parrotfish-download") as download,
        ):
            app.state.services = Services(
                settings,
                engine,
                Encoders(live, download),
                database,
                blobs,
                accounts,
                ears,
                library,
                files,
                jobs,
                Callbacks(settings.private_callbacks),
                Peers(replace(settings.webrtc, loopback=is_loopback(settings.host))),
                Calls(settings.telephony, signer),
                Agents(settings.agent),
                metrics,
                observer,
            )
            jobs.start(gateways.job_kinds(app.state.services))
            await answer_once(app)  # first: by an engine that is ready it would not be refused
            loading = asyncio.create_task(load(engine, ears, app.state.services.agents, live))
            loading.add_done_callback(loaded)
            keeping = asyncio.create_task(library.run())
            training = asyncio.create_task(train(loading, Trainer(database, blobs, library, engine, ears)))
            await asyncio.to_thread(app.openapi)
            observer.add(metrics.meters)  # who was refused just now was nobody
            if tracer is not None:
                observer.add(tracer)
            metrics.start(app.state.services.connections, settings.metrics.port)
            try:
                # A second signal is no reason for a traceback.
                with contextlib.suppress(asyncio.CancelledError):
                    yield
            finally:
                # What failed was reported when it happened; after a second signal it is cut short.
                with contextlib.suppress(Exception, asyncio.CancelledError):
                    await loading
                for task in (training, keeping):
                    task.cancel()
                await asyncio.gather(training, keeping, return_exceptions=True)
                await app.state.services.peers.close()
                await jobs.close()
                await engine.stop()
                await files.close()
                await ears.close()
                await app.state.services.agents.close()
                with contextlib.suppress(StoreError):
                    await library.close()
                await accounts.close()
                await database.close()
                await metrics.close()
                if tracer is not None:
                    await tracer.close()

    shapes: dict[str, type[BaseModel]] = {
        **dict.fromkeys(openai.PREFIXES, openai.OpenAIErrorJson),
        **gateways.ERRORS,
        "": errors.ErrorJson,
    }
    app = DescribedApp(
        shapes,
        title="parrotfish",
        version=VERSION,
        summary="A real-time voice server",
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere; /openapi.json is all there is to it
        redoc_url=None,
        # Its spans would tell what exceptions say; ours are in transports/tracing.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    on_error = errors.handler({**dict.fromkeys(openai.PREFIXES, openai.tell), **gateways.TELLERS})
    app.add_middleware(
        Front,
        guard=guard or Guard(settings.security),
        names=Names(settings.security.hosts, own_names(settings.public_url)),
        tell_error=on_error,
        origins=settings.allowed_origins,
        keyless=settings.open_to_all,
    )
    app.add_middleware(Refusals)
    if settings.allowed_origins:  # around the other, so that a page can read why it was refused
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=[
                *("Authorization", "Content-Type", "If-Match", "model"),
                *(REQUEST_ID, "traceparent", "tracestate"),
            ],
            expose_headers=(*EXPOSED, "Retry-After", "X-Parrotfish-Note", REQUEST_ID),
        )
    for router in fish.ROUTERS:
        app.include_router(router, tags=["Fish Audio"])
    for router in openai.ROUTERS:
        app.include_router(router, tags=["OpenAI"])
    for name, router in gateways.ROUTERS.items():
        app.include_router(router, tags=[name])
    app.include_router(files_router, tags=["files"])
    app.include_router(dubbing_router)
    app.include_router(webrtc_router)
    app.include_router(telephony_router, tags=["telephones"])
    app.include_router(agent_router)
    app.include_router(wallet_router, tags=["Fish Audio"])
    app.include_router(ops.health_router, tags=["the server"])
    app.include_router(metrics_router, tags=["the server"])
    app.include_router(web.router)
    for kind in (
        errors.RequestError,
        RequestValidationError,
        EngineError,
        HearingError,
        StoreError,
        HTTPException,
        Exception,
    ):
        app.add_exception_handler(kind, on_error)
    return app
