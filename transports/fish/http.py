"""``POST /v1/tts`` and its sister with timestamps: a text in, its speech out as it is made."""

import asyncio
from base64 import b64encode

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from realtime import Audio, SpeechRequest
from transports.accounts import Caller
from transports.accounts.auth import Authenticated
from transports.fields import LARGE_BYTES
from transports.fish.casting import cast
from transports.fish.schema import TTSRequest, parse_body, speech_request
from transports.fish.timestamps import Alignment
from transports.services import Services, services_of
from transports.speech import Speech, SpeechResponse, read_body

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
async def text_to_speech(request: Request, caller: Authenticated) -> Response:
    """Speak a text. The response begins with the first audio; an error before that is a JSON answer."""
    speech = await _speech(request, caller)
    return SpeechResponse(speech, speech.request.output.mime, lambda audio: audio.data)


@router.post(
    "/v1/tts/stream/with-timestamp", summary="Text to speech with word times", openapi_extra=_BODY | _EVENTS
)
async def text_to_speech_with_timestamps(request: Request, caller: Authenticated) -> Response:
    """Speak a text as server-sent events, each with audio and the words of its chunk so far."""
    alignment = Alignment()

    def event(audio: Audio) -> bytes:
        if not audio.data and audio.chunk is None:
            return b""
        fields = {"audio_base64": b64encode(audio.data).decode()} | alignment.snapshot(audio)
        return b"data: " + orjson.dumps(fields) + b"\n\n"

    return SpeechResponse(await _speech(request, caller), "text/event-stream", event)


async def voiced(services: Services, caller: Caller, wire: TTSRequest) -> SpeechRequest:
    """What a request asks for, with voices that there are. Raises RequestError, EngineError or HearingError."""
    return speech_request(wire, services.engine.info, await cast(services, caller, wire), paced=False)


async def speak(
    services: Services, caller: Caller, wire: TTSRequest, request_id: str | None = None
) -> Speech:
    """Begin to speak what a request asks for. Raises RequestError or EngineError."""
    request = await voiced(services, caller, wire)
    return await Speech.begin(services, caller, request, wire.text, request_id=request_id)


async def _speech(request: Request, caller: Caller) -> Speech:
    """The request's text, which is being spoken."""
    services = services_of(request)
    body = await read_body(request, services.settings.max_message_bytes)
    kind = request.headers.get("content-type", "")
    # One with recordings takes a while to decode.
    wire = (
        parse_body(body, kind) if len(body) < LARGE_BYTES else await asyncio.to_thread(parse_body, body, kind)
    )
    return await speak(services, caller, wire)
