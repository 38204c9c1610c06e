"""``POST /v1/tts``: a text in, the bytes of its speech out as they are made."""

from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from realtime import Audio, Finished, Log, Speaker
from transports.errors import RequestError, engine_error_response
from transports.fish.schema import TTSRequest, parse_body, speech_request
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
    "responses": {"200": {"description": "The audio, streamed.", "content": {"audio/*": {}}}},
}


@router.post("/v1/tts", summary="Text to speech", openapi_extra=_BODY)
async def text_to_speech(request: Request) -> Response:
    """Speak a text. The response begins with the first audio; an error before that is a JSON answer."""
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
    speaker = services.speaker()
    speaker.start(speech)
    speaker.text(wire.text)
    speaker.stop()
    try:
        first = await _first_audio(speaker)
    except BaseException:
        speaker.disconnect()
        raise
    if isinstance(first, Finished):
        speaker.disconnect()
        assert first.cause is not None  # nothing else can end a well-formed request
        return engine_error_response(first.cause)
    headers = {"X-Parrotfish-Note": "; ".join(speech.notes)} if speech.notes else {}
    return _SpeechResponse(speaker, first, speech.output.mime, headers)


async def _read_body(request: Request, limit: int) -> bytes:
    """The request's body. Raises :class:`RequestError` as soon as it is known to be too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise RequestError(f"body: larger than the limit of {limit} bytes", 413)
    return bytes(body)


async def _first_audio(speaker: Speaker) -> Audio | Finished:
    async for event in speaker:
        if (isinstance(event, Audio) and event.data) or isinstance(event, Finished):
            return event
    raise AssertionError("the speaker ended without an event")


async def _body(speaker: Speaker, first: Audio) -> AsyncIterator[bytes]:
    """The audio from its first bytes on. A failure breaks off the connection: nobody shall take it for whole."""
    yield first.data
    async for event in speaker:
        match event:
            case Audio(data) if data:
                yield data
            case Finished(error=None):
                return
            case Finished(error):
                raise ConnectionAbortedError(error)
            case Audio() | Log():
                pass


class _SpeechResponse(StreamingResponse):
    """Streams what a speaker says, and frees the speaker however the response ends."""

    def __init__(self, speaker: Speaker, first: Audio, mime: str, headers: dict[str, str]) -> None:
        super().__init__(_body(speaker, first), media_type=mime, headers=headers)
        self._speaker = speaker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._speaker.disconnect()
