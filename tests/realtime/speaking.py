"""A real engine with the bundled voice, for tests of what is spoken on a line."""

from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from engine import Engine, EngineConfig, SpeechModel, StreamOptions
from engine.audio import OutputFormat
from realtime import Encoders, Speaker, SpeechRequest
from tests.engine.models import speaking


class _Kept:
    """The model of the whole run, which one engine after the other borrows."""

    def __getattr__(self, name: str) -> object:
        return (lambda: None) if name in ("close", "warm") else getattr(speaking.model(), name)


def bundled() -> SpeechModel:
    return _Kept()  # type: ignore[return-value]


@asynccontextmanager
async def speakers(model: Callable[[], SpeechModel] = bundled) -> AsyncIterator[Callable[[], Speaker]]:
    """Makes speakers of one engine."""
    with ThreadPoolExecutor(2) as threads:
        async with Engine(model, EngineConfig(max_streams=8)) as engine:
            yield lambda: Speaker(engine, Encoders(threads, threads))
            assert engine.open_streams == 0


def request(output: OutputFormat, voice: str = "heart") -> SpeechRequest:
    return SpeechRequest(StreamOptions((voice,)), output, normalize_loudness=False)
