"""``/v1/asr/realtime``: speech in while it is spoken, turns and transcripts out.

JSON in text frames, audio in binary ones; ``docs/asr-realtime.md`` describes it. Fish Audio has nothing like it
that is public, so the names are those that the field uses.
"""

import asyncio
from typing import Any, Literal

import numpy as np
import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from realtime.ears import (
    Ear,
    Final,
    Finalized,
    HearingError,
    HearingOverloaded,
    ListeningEvent,
    Partial,
    VoiceStarted,
    VoiceStopped,
)
from transports.accounts import Admission, Caller, ConcurrencyExceeded, Kind
from transports.errors import RequestError, failure, invalid
from transports.fields import check, from_json, unhurried
from transports.services import Services, services_of
from transports.sockets import accept, caller_of
from transports.store import StoreError

router = APIRouter()

# Audio is given on in pieces of at least so many seconds: a hop to another thread for each 10 ms would cost more
# than what is done there.
_PIECE_SECONDS = 0.06
_CLIENTS_FAULT, _OUR_FAULT, _TRY_AGAIN = 1008, 1011, 1013


class StreamConfig(BaseModel):
    """The first message: what audio will come, and what is wanted of it."""

    model_config = ConfigDict(extra="ignore", strict=True)

    sample_rate: int = Field(16_000, ge=8_000, le=48_000)
    encoding: Literal["pcm_s16le"] = "pcm_s16le"
    language: str | None = None
    interim_results: bool = True
    silence_ms: int = Field(500, ge=100, le=3_000)


@router.websocket("/v1/asr/realtime")
async def listen(socket: WebSocket) -> None:
    """Recognise one stream of speech. A closed socket ends it at once."""
    services = services_of(socket)
    if (caller := await caller_of(socket, services.ears.check_room)) is None:
        return
    await accept(socket)
    try:
        try:
            await _serve(socket, services, caller)
        except (RequestError, HearingError, StoreError) as error:
            await _refuse(socket, error)
    except (WebSocketDisconnect, RuntimeError):
        # Whoever is gone needs no answer; Starlette has both errors for that.
        if socket.client_state is WebSocketState.CONNECTED is socket.application_state:
            raise


async def _serve(socket: WebSocket, services: Services, caller: Caller) -> None:
    reader = _Reader(socket, services)
    config = await reader.config()
    if config is None:
        return
    admission = await services.accounts.admit(caller, Kind.ASR)
    try:
        async with services.ears.listen(
            config.sample_rate,
            config.language,
            pause=config.silence_ms / 1000,
            partials=config.interim_results,
        ) as ear:
            await _send(socket, {"type": "ready", "sample_rate": config.sample_rate})
            reading = asyncio.create_task(reader.audio(ear, config.sample_rate, admission))
            telling = asyncio.create_task(_tell(socket, ear))
            try:
                await asyncio.wait((reading, telling), return_when=asyncio.FIRST_COMPLETED)
                first = reading if reading.done() else telling
            finally:
                reading.cancel()
                telling.cancel()
                await asyncio.gather(reading, telling, return_exceptions=True)
            first.result()
    finally:
        admission.close()


class _Reader:
    """What the client says."""

    def __init__(self, socket: WebSocket, services: Services) -> None:
        self._socket = socket
        self._limit = services.settings.max_message_bytes
        self._idle_seconds = services.ears.config.idle_seconds
        self._max_seconds = services.ears.config.max_stream_seconds

    async def config(self) -> StreamConfig | None:
        """The first message; None if the client has gone. Raises :class:`RequestError`."""
        message = await self._receive()
        if isinstance(message, bytes):
            raise RequestError("config: got audio; expected it after a text frame with the config")
        if message is not None and message.setdefault("type", "config") != "config":
            raise invalid("type", message["type"], "config in the first message")
        return None if message is None else check(StreamConfig, message)

    async def audio(self, ear: Ear, rate: int, admission: Admission) -> None:
        """Have all audio heard until the client is gone. Raises :class:`RequestError`."""
        piece_bytes = 2 * round(_PIECE_SECONDS * rate)
        held, received = bytearray(), 0
        ending = False

        async def push() -> None:
            whole = len(held) // 2 * 2
            for at in range(0, 0 if ending else whole, 2 * rate):  # a second at a time: a message may be long
                samples = np.frombuffer(held[at : min(at + 2 * rate, whole)], np.dtype("<i2"))
                await admission.take(samples.size / rate, streamed=True)
                await ear.push(samples.astype(np.float32) / np.float32(32768))
            del held[:whole]

        while (message := await self._receive()) is not None:
            if isinstance(message, bytes):
                received += len(message)
                if received > self._max_seconds * 2 * rate:
                    raise RequestError(f"audio: more than the {self._max_seconds:g} s of one stream", 413)
                held += message
                if len(held) >= piece_bytes:
                    await push()
                continue
            match message.get("type"):
                case "finalize" if not ending:
                    await push()
                    await ear.finalize()
                case "close" if not ending:
                    await push()
                    ending = True
                    await ear.end()
                case "keepalive" | "finalize" | "close":
                    pass
                case other:
                    raise invalid("type", other, "finalize, close or keepalive")

    async def _receive(self) -> bytes | dict[Any, Any] | None:
        """The next message: audio, the fields of another one, or None if the client has gone."""
        try:
            async with asyncio.timeout(self._idle_seconds):
                message = await self._socket.receive()
        except TimeoutError:
            raise RequestError(
                f"idle: no message for {self._idle_seconds:g} s; send audio, or keepalive", 408
            ) from None
        if message["type"] == "websocket.disconnect":
            return None
        data = message.get("bytes") or message.get("text") or b""
        if len(data) > self._limit:
            raise RequestError(f"message: got {len(data)} bytes; expected at most {self._limit}", 413)
        if message.get("text") is None:
            assert isinstance(data, bytes)
            return data
        fields = await unhurried(data, lambda: from_json(message["text"].encode(), "message"))
        if not isinstance(fields, dict):
            raise invalid("message", fields, 'a JSON object with a "type"')
        return fields


async def _tell(socket: WebSocket, ear: Ear) -> None:
    """Send what is heard until all of it has been told, and then close."""
    async for event in ear:
        await _send(socket, told(event))
    await _send(socket, {"type": "closed", "duration": round(ear.seconds, 3)})
    await socket.close()


def told(event: ListeningEvent) -> dict[str, Any]:
    """The message that tells a client of this."""
    match event:
        case VoiceStarted(at):
            return {"type": "speech_started", "time": round(at, 3)}
        case VoiceStopped(at):
            return {"type": "speech_stopped", "time": round(at, 3)}
        case Partial(start, end, text):
            return {"type": "partial", "start": round(start, 3), "end": round(end, 3), "text": text}
        case Final(start, end, text):
            return {"type": "final", "start": round(start, 3), "end": round(end, 3), "text": text}
        case Finalized():
            return {"type": "finalized"}


async def _refuse(socket: WebSocket, error: Exception) -> None:
    """Say what is wrong, and close."""
    failed = failure(error)
    message: dict[str, Any] = {"type": "error", "message": failed.message, "status": failed.status}
    match error:
        case ConcurrencyExceeded(max_concurrency=most):
            message["max_concurrency"] = most
            code = _TRY_AGAIN
        case HearingOverloaded():
            code = _TRY_AGAIN
        case _:
            code = _CLIENTS_FAULT if failed.status < 500 else _OUR_FAULT
    await _send(socket, message)
    await socket.close(code)


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    await socket.send_text(orjson.dumps(message).decode())
