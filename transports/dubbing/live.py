"""``/v1/dub``: timed captions in while they are made, one continuous stream of speech out, in real time.

JSON in text frames both ways, audio in binary ones; ``docs/dubbing.md`` describes it.
"""

import asyncio
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from engine import EngineError
from engine.audio import FormatError, OutputFormat, output_format
from realtime import SpeechRequest
from realtime.dubbing import (
    Caption,
    Dubber,
    Ended,
    Limits,
    ListenerTooSlow,
    LiveDub,
    Note,
    Started,
    Unspeakable,
)
from realtime.ears import HearingError
from transports.accounts import Admission, Caller, ConcurrencyExceeded, Kind
from transports.dubbing.fields import line_fields
from transports.dubbing.messages import (
    MAX_AHEAD,
    MAX_VOICES,
    MAX_WAITING,
    CaptionMessage,
    ClockMessage,
    RemoveMessage,
    ReviseMessage,
    StartMessage,
)
from transports.errors import Failure, RequestError, failure, invalid
from transports.fields import check
from transports.fish.casting import cast, meant
from transports.fish.schema import parse_request, speech_request
from transports.services import Services, services_of
from transports.sockets import accept, caller_of
from transports.store import StoreError

router = APIRouter()

MAX_MESSAGE_BYTES = 16_384
# A feed takes no more of the engine than two listeners would, and speaks no line so early that it is likely to be
# revised.
_AT_ONCE, _SPEAK_AHEAD_SECONDS = 2, 20.0
_CLIENTS_FAULT, _OUR_FAULT, _TRY_AGAIN = 1008, 1011, 1013
_PATIENCE_SECONDS = 1.0  # a feed that ended a moment ago still counts as running
_REFUSALS = (RequestError, EngineError, HearingError, StoreError)


@router.websocket("/v1/dub")
async def dub(socket: WebSocket) -> None:
    """Dub one feed of captions. A closed socket ends it at once."""
    services = services_of(socket)
    if (caller := await caller_of(socket, services.check_room)) is None:
        return
    await accept(socket)
    try:
        try:
            await _serve(socket, services, caller)
        except ListenerTooSlow as error:
            await _refuse(socket, services, RequestError(str(error), 408, field="audio"))
        except _REFUSALS as error:
            await _refuse(socket, services, error)
    except (WebSocketDisconnect, RuntimeError):
        # Whoever is gone needs no answer; Starlette has both errors for that.
        if socket.client_state is WebSocketState.CONNECTED is socket.application_state:
            raise


async def _serve(socket: WebSocket, services: Services, caller: Caller) -> None:
    reader = _Reader(socket, services.settings.context_seconds)
    first = await reader.next()
    if first is None:
        return
    if first.get("type") != "start":
        raise invalid("type", first.get("type"), "start in the first message")
    start = check(StartMessage, first)
    output = _output(start)
    admission = await services.accounts.admit(caller, Kind.TTS, patience=_PATIENCE_SECONDS)
    try:
        voices = _Voices(services, caller, start, admission)
        await voices.learn("")
        limits = Limits(
            max_speed=start.max_speed,
            max_drift=start.max_drift,
            at_once=_AT_ONCE,
            speak_ahead=_SPEAK_AHEAD_SECONDS,
        )
        encoder = services.encoders.live
        async with Dubber(
            services.speaker,
            encoder,
            services.engine.info,
            voices.ask,
            output,
            limits=limits,
            same=voices.meant,
        ) as dubber:
            live = LiveDub(dubber, clock=start.clock, delay=start.delay)
            ready = {"type": "ready", "format": output.container, "sample_rate": output.sample_rate}
            await _send(socket, {**ready, "time": round(start.clock - start.delay, 3)})
            reading = asyncio.create_task(_Feed(socket, live, voices).read(reader))
            telling = asyncio.create_task(_tell(socket, live))
            try:
                await asyncio.wait((reading, telling), return_when=asyncio.FIRST_COMPLETED)
            finally:
                reading.cancel()
                telling.cancel()
                await asyncio.gather(reading, telling, return_exceptions=True)
            for task in (reading, telling):
                if not task.cancelled():
                    task.result()
    finally:
        admission.close()


class _Reader:
    """What the client says, message by message."""

    def __init__(self, socket: WebSocket, idle_seconds: float) -> None:
        self._socket = socket
        self._idle_seconds = idle_seconds

    async def next(self) -> dict[Any, Any] | None:
        """The fields of the next message, None if the client has gone. Raises :class:`RequestError`."""
        try:
            async with asyncio.timeout(self._idle_seconds):
                message = await self._socket.receive()
        except TimeoutError:
            raise _Idle(self._idle_seconds) from None
        if message["type"] == "websocket.disconnect":
            return None
        text = message.get("text")
        if text is None:
            raise RequestError(
                "message: got a binary frame; expected a text frame with JSON", field="message"
            )
        if len(text) > MAX_MESSAGE_BYTES:
            raise RequestError(
                f"message: got {len(text)} characters; expected at most {MAX_MESSAGE_BYTES}",
                413,
                field="message",
            )
        try:
            fields = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise RequestError(f"message: not valid JSON: {error}", field="message") from None
        if not isinstance(fields, dict):
            raise invalid("message", fields, 'a JSON object with a "type"')
        return fields


class _Idle(RequestError):
    """Nothing came for long."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"idle: no message for {seconds:g} s; send clock to stay", 408)


class _Voices:
    """With which voices a feed is spoken, and who pays for it."""

    def __init__(self, services: Services, caller: Caller, start: StartMessage, admission: Admission) -> None:
        self._services = services
        self._caller = caller
        self._start = start
        self._admission = admission
        self._used = {self.meant("")}

    def meant(self, voice: str) -> str:
        """The id of the voice that a caption names; "" is that of the start message."""
        services = self._services
        return meant(voice or self._start.voice or "", services.engine.info, services.settings.voice_aliases)

    def check(self, voice: str) -> None:
        """Whether another voice may be used. Raises :class:`RequestError`."""
        used = self._used | {self.meant(voice)}
        if len(used) > MAX_VOICES:
            raise invalid("voice", voice, f"one of the {MAX_VOICES} that this feed has used")
        self._used = used

    async def learn(self, voice: str) -> SpeechRequest:
        """How a voice speaks; "" is that of the start message. Raises what keeps it from speaking.

        It is asked for again with each line: the engine may have forgotten a voice that others pushed out.
        """
        name = voice or self._start.voice
        fields = {"text": "", "reference_id": name, "normalize": self._start.normalize}
        wire = parse_request(fields)
        try:
            found = await cast(self._services, self._caller, wire)
        except RequestError as error:
            message = str(error).replace("reference_id", "voice", 1)
            raise RequestError(message, error.status, field="voice", retry_after=error.retry_after) from None
        return speech_request(wire, self._services.engine.info, found, paced=False)

    async def ask(self, caption: Caption) -> SpeechRequest:
        """How a caption is spoken, which is paid for from now on."""
        try:
            request = await self.learn(caption.voice)
        except (RequestError, HearingError) as error:
            raise Unspeakable(str(error)) from None
        await self._admission.take(len(caption.text.encode()), streamed=True)
        return request


class _Feed:
    """Carries out what a client says after its start. A message that is wrong is answered, and ends nothing."""

    def __init__(self, socket: WebSocket, live: LiveDub, voices: _Voices) -> None:
        self._socket = socket
        self._live = live
        self._voices = voices

    async def read(self, reader: _Reader) -> None:
        """Until the client has gone. Raises :class:`RequestError` if it has been silent for long."""
        live = self._live
        while True:
            fields: dict[Any, Any] = {}
            try:
                if (read := await reader.next()) is None:
                    return
                fields = read
                self._do(fields)
            except _Idle:
                if not live.stopped and not live.waiting:
                    raise
            except RequestError as error:
                await _send(self._socket, {**_error(failure(error)), **_id(fields)})

    def _do(self, fields: dict[Any, Any]) -> None:
        live = self._live
        kind = fields.get("type")
        if live.stopped and kind in ("caption", "revise", "clock"):
            raise RequestError(f"type: got {kind!r} after stop; expected remove, or nothing", field="type")
        match kind:
            case "caption":
                self._put(check(CaptionMessage, fields).caption(live.clock))
            case "revise":
                revision = check(ReviseMessage, fields)
                if (caption := live.get(revision.id)) is None:
                    raise invalid("id", revision.id, "that of a caption that is waiting")
                self._put(revision.applied(caption, live.clock))
            case "remove":
                live.remove(check(RemoveMessage, fields).id)
            case "clock":
                time = check(ClockMessage, fields).time
                if abs(time - live.clock) > MAX_AHEAD:
                    raise invalid("time", time, f"at most {MAX_AHEAD:g} s from {live.clock:.3f}")
                live.sync(time)
            case "stop":
                live.stop()
            case other:
                raise invalid("type", other, "caption, revise, remove, clock or stop")

    def _put(self, caption: Caption) -> None:
        if self._live.waiting >= MAX_WAITING and self._live.get(caption.id) is None:
            raise RequestError(f"captions: {MAX_WAITING} are waiting, and no more may", 429, field="captions")
        self._voices.check(caption.voice)
        self._live.put(caption)


async def _tell(socket: WebSocket, live: LiveDub) -> None:
    """Send the audio and what happens in it, until all has been sent; then close."""
    seconds = 0.0
    async for made in live:
        for event in made.events:
            await _send(socket, _message(event))
        if made.data:
            await socket.send_bytes(made.data)
        seconds = made.until
    await _send(socket, {"type": "finish", "seconds": round(seconds, 3)})
    await socket.close()


def _message(event: Started | Ended | Note) -> dict[str, Any]:
    match event:
        case Started(at, report):
            return {"type": "line_started", "at": round(at, 3), **line_fields(report)}
        case Ended(report):
            return {"type": "line_ended", **line_fields(report)}
        case Note(message):
            return {"type": "log", "message": message}


def _output(start: StartMessage) -> OutputFormat:
    try:
        return output_format(
            start.format,
            start.sample_rate,
            mp3_bitrate=start.mp3_bitrate,
            opus_bitrate=start.opus_bitrate,
        )
    except FormatError as error:
        raise RequestError(str(error), field=error.field) from None


def _error(told: Failure) -> dict[str, Any]:
    field = {"field": told.field} if told.field else {}
    return {"type": "error", "message": told.message, "status": told.status, **field}


def _id(fields: dict[Any, Any]) -> dict[str, str]:
    """The id of the caption that a message is about, if it has one."""
    id_ = fields.get("id")
    return {"id": id_[:100]} if isinstance(id_, str) else {}


async def _refuse(socket: WebSocket, services: Services, error: Exception) -> None:
    """Say what is wrong, and close."""
    told = failure(error)
    services.turned_away(told)
    message = _error(told)
    code = _CLIENTS_FAULT if message["status"] < 500 else _OUR_FAULT
    if isinstance(error, ConcurrencyExceeded):
        message["max_concurrency"], code = error.max_concurrency, _TRY_AGAIN
    await _send(socket, message)
    await socket.close(code)


async def _send(socket: WebSocket, message: dict[str, Any]) -> None:
    await socket.send_text(orjson.dumps(message).decode())
