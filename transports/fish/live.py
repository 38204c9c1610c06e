"""``/v1/tts/live``: the Fish Audio live protocol, msgpack maps in binary frames, both ways."""

import asyncio
from typing import Any
from urllib.parse import urlsplit

import ormsgpack
from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from engine import EngineError
from realtime import Audio, Event, Finished, Log, SpeechRequest
from transports.errors import RequestError, error_response, invalid
from transports.fish.schema import TTSRequest, parse_request, speech_request
from transports.services import Services, services_of

router = APIRouter()

# Pipecat's client drops audio messages of 1024 bytes and fewer, so none so small may be sent as PCM.
MIN_PCM_BYTES = 1026


@router.websocket("/v1/tts/live")
async def live(socket: WebSocket) -> None:
    """Any number of utterances over one socket, one after the other. A closed socket cancels at once."""
    services = services_of(socket)
    if not _welcome(socket, services.settings.allowed_origins):
        await socket.send_denial_response(error_response("Origin: not among the allowed origins", 403))
        return
    await socket.accept()
    connection = _Connection(socket, services)
    sender = asyncio.create_task(connection.send_events())
    try:
        await connection.read()
    finally:
        connection.speaker.disconnect()
        await sender


def _welcome(socket: WebSocket, allowed: tuple[str, ...]) -> bool:
    """Whether the page that opens the socket may: browsers let any page try, and name it; others name none."""
    origin = socket.headers.get("origin")
    if origin is None or "*" in allowed or origin in allowed:
        return True
    return urlsplit(origin).netloc == socket.headers.get("host")


class PcmPackets:
    """Cuts raw PCM into messages that no known client drops, without a delay that can be heard.

    The last :data:`MIN_PCM_BYTES` are kept back while more is to come, so that the last message is never too
    small either; only speech shorter than one such message is filled up with silence.
    """

    def __init__(self) -> None:
        self._held = b""

    def push(self, data: bytes, *, silence: bool) -> bytes:
        """What may be sent now; ``silence`` says that nothing follows for the time being."""
        held = self._held + data
        if silence:
            self._held = b""
            return held.ljust(MIN_PCM_BYTES, b"\0") if held else b""
        if len(held) < 2 * MIN_PCM_BYTES:
            self._held = held
            return b""
        self._held = held[-MIN_PCM_BYTES:]
        return held[:-MIN_PCM_BYTES]


class _Connection:
    """One client's socket: a reader and a sender around one speaker."""

    def __init__(self, socket: WebSocket, services: Services) -> None:
        self.speaker = services.speaker()
        self._socket = socket
        self._services = services
        self._packets: PcmPackets | None = None

    async def read(self) -> None:
        """Take in what the client sends until the socket closes.

        Never waits for speech: a socket that is not read does not answer pings, and its end is not noticed.
        """
        limit = self._services.settings.max_message_bytes
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            if data is None:
                self.speaker.reject("message: got a text frame; expected a binary frame with a msgpack map")
            elif len(data) > limit:
                self.speaker.reject(f"message: got {len(data)} bytes; expected at most {limit}")
            else:
                self._handle(data)

    def _handle(self, data: bytes) -> None:
        try:
            event = ormsgpack.unpackb(data)
        except ormsgpack.MsgpackDecodeError as error:
            self.speaker.reject(f"message: not valid msgpack: {error}")
            return
        name = event.get("event") if isinstance(event, dict) else None
        match name:
            case "start":
                self._start(event)
            case "text":
                text = event.get("text")
                if isinstance(text, str):
                    self.speaker.text(text)
                else:
                    self.speaker.reject(f"text: got {type(text).__name__}; expected a string")
            case "flush":
                self.speaker.flush()
            case "stop":
                self.speaker.stop()
            case str():
                self.speaker.warn(f"event: got {name[:40]!r}; expected start, text, flush or stop; ignored")
            case _:
                self.speaker.reject('message: expected a map with "event": start, text, flush or stop')

    def _start(self, event: dict[Any, Any]) -> None:
        try:
            fields = event.get("request")
            if not isinstance(fields, dict):
                raise invalid("request", fields, "a map of request fields")
            wire = parse_request({"text": "", **fields}, "request")
            request = self._speech_request(wire)
        except (RequestError, EngineError) as error:
            self.speaker.reject(str(error))
            return
        self.speaker.start(request)
        if wire.text:
            self.speaker.text(wire.text)

    def _speech_request(self, wire: TTSRequest) -> SpeechRequest:
        services = self._services
        request = speech_request(wire, services.engine.info, services.settings.voice_aliases, paced=True)
        self._packets = PcmPackets() if request.output.container == "pcm" else None
        return request

    async def send_events(self) -> None:
        """Send what the speaker says until the socket closes."""
        try:
            async for event in self.speaker:
                for message in self._messages(event):
                    await self._socket.send_bytes(ormsgpack.packb(message))
        except (WebSocketDisconnect, RuntimeError):
            if self._socket.client_state is WebSocketState.CONNECTED is self._socket.application_state:
                raise
        finally:
            self.speaker.disconnect()

    def _messages(self, event: Event) -> list[dict[str, Any]]:
        match event:
            case Audio(data):
                if self._packets is not None:
                    data = self._packets.push(data, silence=event.silence)
                return [{"event": "audio", "audio": data}] if data else []
            case Log(message):
                return [{"event": "log", "message": message}]
            case Finished(error):
                tail = self._packets.push(b"", silence=True) if self._packets else b""
                audio = [{"event": "audio", "audio": tail}] if tail else []
                return [*audio, {"event": "finish", "reason": "error" if error else "stop"}]
