"""What speaks for ``say``: an engine in this process, or a server somewhere."""

import contextlib
import sys
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import click
import ormsgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from engine import Engine, EngineConfig
from realtime import Audio, Encoders, Event, Finished, Log, Session, Speaker
from transports.cli.model import ModelChoice
from transports.fish.casting import own_voices
from transports.fish.schema import parse_request, speech_request


class Mouth(Protocol):
    """Speaks one utterance; its events end with a :class:`Finished`."""

    async def text(self, text: str) -> None:
        """More text."""

    async def stop(self) -> None:
        """There is no more text."""

    def events(self) -> AsyncIterator[Event]:
        """The speech."""


@contextlib.asynccontextmanager
async def engine_here(model: ModelChoice, streams: int) -> AsyncIterator[Engine]:
    """An engine of our own, for so many streams at a time. Raises :class:`click.ClickException`."""
    engine = Engine(lambda: model.load(streams), EngineConfig(max_streams=streams))
    try:
        await engine.start()
    except click.ClickException:
        raise
    except Exception as error:
        raise click.ClickException(
            f"the voice could not be loaded: {error}\nparrotfish doctor may know why."
        ) from error
    try:
        yield engine
    finally:
        await engine.stop()


@contextlib.asynccontextmanager
async def mouth_here(model: ModelChoice, request: Mapping[str, Any]) -> AsyncIterator[Mouth]:
    """An engine of our own, which speaks as fast as it can what ``request`` (of the Fish API) asks for.

    Raises :class:`click.ClickException`.
    """
    async with engine_here(model, 1) as engine:
        voice = request.get("reference_id")
        if (cast := own_voices(voice, engine.info, {})) is None:
            known = ", ".join(engine.info.voice_ids)
            raise click.BadParameter(f"{voice!r} is not one of {known}", param_hint="--voice")
        with ThreadPoolExecutor(1, "parrotfish-encoder") as encoder:
            # Its own writer waits for room; whatever it reads at once is in memory anyway.
            speaker = Speaker(engine, Encoders(encoder, encoder), Session(max_pending=sys.maxsize))
            try:
                speaker.start(speech_request(parse_request(request), engine.info, cast, paced=False))
                yield _Here(speaker)
            finally:
                speaker.disconnect()


class _Here:
    """A speaker as a mouth."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker

    async def text(self, text: str) -> None:
        self._speaker.text(text)
        await self._speaker.room()

    async def stop(self) -> None:
        self._speaker.stop()

    async def events(self) -> AsyncIterator[Event]:
        async for _, event, _ in self._speaker:
            yield event


@contextlib.asynccontextmanager
async def mouth_there(url: str, api_key: str | None, request: Mapping[str, Any]) -> AsyncIterator[Mouth]:
    """The server at ``url`` over its live WebSocket. Raises :class:`click.ClickException`."""
    headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
    try:
        connection = await connect(
            _live_url(url), additional_headers=headers, compression=None, max_size=None
        )
    except InvalidStatus as error:
        status = error.response.status_code
        advice = "; is --api-key right?" if status in (401, 403) else ""
        raise click.ClickException(f"{url} refused with HTTP {status}{advice}") from None
    except (OSError, TimeoutError, WebSocketException) as error:
        raise click.ClickException(
            f"no server answers at {url} ({error}); is it running? parrotfish serve starts one"
        ) from None
    async with connection:
        await connection.send(ormsgpack.packb({"event": "start", "request": dict(request)}))
        yield _There(connection)


class _There:
    """A socket to a server as a mouth."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def text(self, text: str) -> None:
        await self._send({"event": "text", "text": text})

    async def stop(self) -> None:
        await self._send({"event": "stop"})

    async def events(self) -> AsyncIterator[Event]:
        reason = "the server could not speak this"
        with contextlib.suppress(ConnectionClosed):
            async for message in self._connection:
                match ormsgpack.unpackb(message) if isinstance(message, bytes) else None:
                    case {"event": "audio", "audio": bytes(data)}:
                        yield Audio(data)
                    case {"event": "log", "message": str(reason)}:
                        yield Log(reason)
                    case {"event": "finish", "reason": "stop"}:
                        yield Finished()
                        return
                    case {"event": "finish"}:
                        yield Finished(reason)
                        return
        yield Finished("the server closed the connection before all was said")

    async def _send(self, event: dict[str, Any]) -> None:
        with contextlib.suppress(ConnectionClosed):  # events() is where that is noticed
            await self._connection.send(ormsgpack.packb(event))


def _live_url(url: str) -> str:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname:
        raise click.BadParameter(f"{url!r} is not of the form http://host:port", param_hint="--url")
    return urlunsplit((scheme, parts.netloc, parts.path.rstrip("/") + "/v1/tts/live", "", ""))
