"""``POST /v1/tts`` and its sister with timestamps: a text in, its speech out as it is made."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable

import orjson
from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from realtime import Audio, Finished, Speaker, SpeechRequest
from transports.errors import RequestError, engine_error_response
from transports.fish.schema import TTSRequest, parse_body, speech_request
from transports.fish.timestamps import Alignment
from transports.services import services_of

router = APIRouter()

_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": TTSRequest.model_json_schema()}
            for kind in ("application/json", "application/msgpack")
        },
    },
}
_AUDIO = {"responses": {"200": {"description": "The audio, streamed.", "content": {"audio/*": {}}}}}
_EVENTS = {
    "responses": {"200": {"description": "Audio and word times.", "content": {"text/event-stream": {}}}}
}


@router.post("/v1/tts", summary="Text to speech", openapi_extra=_BODY | _AUDIO)
async def text_to_speech(request: Request) -> Response:
    """Speak a text. The response begins with the first audio; an error before that is a JSON answer."""
    return await _respond(request, lambda speech: speech.output.mime, lambda: lambda audio: audio.data)


@router.post(
    "/v1/tts/stream/with-timestamp", summary="Text to speech with word times", openapi_extra=_BODY | _EVENTS
)
async def text_to_speech_with_timestamps(request: Request) -> Response:
    """Speak a text as server-sent events, each with audio and the words of its chunk so far."""

    def events() -> Callable[[Audio], bytes]:
        alignment = Alignment()

        def event(audio: Audio) -> bytes:
            if not audio.data and audio.chunk is None:
                return b""
            fields = {"audio_base64": b64encode(audio.data).decode()} | alignment.snapshot(audio)
            return b"data: " + orjson.dumps(fields) + b"\n\n"

        return event

    return await _respond(request, lambda _: "text/event-stream", events)


async def _respond(
    request: Request,
    mime: Callable[[SpeechRequest], str],
    make_encode: Callable[[], Callable[[Audio], bytes]],
) -> Response:
    """Speak the request's text; the body is what the made function makes of each piece of audio."""
    services = services_of(request)
    try:
        body = await _read_body(request, services.settings.max_message_bytes)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    wire = parse_body(body, request.headers.get("content-type", ""))
    if not wire.text:
        raise RequestError("text: got ''; expected something to speak")
    if len(wire.text) > (limit := services.settings.max_text):
        raise RequestError(f"text: got {len(wire.text)} characters; expected at most {limit}", 413)
    speech = speech_request(wire, services.engine.info, services.settings.voice_aliases, paced=False)
    encode = make_encode()
    speaker = services.speaker()
    try:
        speaker.start(speech)
        speaker.text(wire.text)
        speaker.stop()
        first = await _first_bytes(speaker, encode)
    except BaseException:
        speaker.disconnect()
        raise
    if isinstance(first, Finished):
        speaker.disconnect()
        assert first.cause is not None  # nothing else can end a well-formed request
        return engine_error_response(first.cause)
    headers = {"X-Parrotfish-Note": "; ".join(speech.notes)} if speech.notes else {}
    return _SpeechResponse(speaker, _body(speaker, first, encode), mime(speech), headers)


async def _read_body(request: Request, limit: int) -> bytes:
    """The request's body. Raises :class:`RequestError` as soon as it is known to be too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise RequestError(f"body: larger than the limit of {limit} bytes", 413)
    return bytes(body)


async def _first_bytes(speaker: Speaker, encode: Callable[[Audio], bytes]) -> bytes | Finished:
    async for _, event, _ in speaker:
        if isinstance(event, Finished):
            return event
        if isinstance(event, Audio) and (data := encode(event)):
            return data
    raise AssertionError("the speaker ended without an event")


async def _body(speaker: Speaker, first: bytes, encode: Callable[[Audio], bytes]) -> AsyncIterator[bytes]:
    """The body from its first bytes on. A failure breaks off the connection: nobody shall take it for whole."""
    yield first
    async for _, event, _ in speaker:
        match event:
            case Audio():
                if data := encode(event):
                    yield data
            case Finished(error=None):
                return
            case Finished(error):
                raise ConnectionAbortedError(error)
            case _:
                pass


class _SpeechResponse(StreamingResponse):
    """Streams what a speaker says, and frees the speaker however the response ends."""

    def __init__(
        self, speaker: Speaker, body: AsyncIterator[bytes], mime: str, headers: dict[str, str]
    ) -> None:
        super().__init__(body, media_type=mime, headers=headers)
        self._speaker = speaker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._speaker.disconnect()
