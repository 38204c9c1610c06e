"""``POST /v1/tts`` and its sister with timestamps: a text in, its speech out as it is made."""

from base64 import b64encode

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from engine.audio import output_format
from realtime import Audio, SpeechRequest
from transports.accounts import Caller
from transports.accounts.auth import Authenticated
from transports.description import answers, refuses, takes
from transports.fields import parse
from transports.fish.casting import cast
from transports.fish.schema import FORMATS, TTSRequest, speech_request
from transports.fish.timestamps import Alignment
from transports.services import Services, services_of
from transports.speech import Speech, SpeechResponse, read_body

router = APIRouter()

NOTE = "What of the request the model cannot do."
"""What the header ``X-Parrotfish-Note`` says."""
_BODY = takes(TTSRequest, "application/json", "application/msgpack")
_REFUSES = refuses(400, 402, 413, 415, 429, 500, 503)
_MIMES = dict.fromkeys(output_format(name).mime for name in FORMATS)
_AUDIO = answers("The audio, as it is made.", *_MIMES, X_Parrotfish_Note=NOTE)
_EVENTS = answers(
    'Events `{"audio_base64", "content", "alignment", "chunk_seq", "chunk_audio_offset_sec"}`, as they are made.',
    "text/event-stream",
    X_Parrotfish_Note=NOTE,
)


@router.post(
    "/v1/tts",
    summary="Text to speech",
    response_class=Response,
    responses=_AUDIO | _REFUSES,
    openapi_extra=_BODY,
)
async def text_to_speech(request: Request, caller: Authenticated) -> Response:
    """Speak a text. The response begins with the first audio; an error before that is a JSON answer."""
    speech = await _speech(request, caller)
    return SpeechResponse(speech, speech.request.output.mime, lambda audio: audio.data)


@router.post(
    "/v1/tts/stream/with-timestamp",
    summary="Text to speech with word times",
    response_class=Response,
    responses=_EVENTS | _REFUSES,
    openapi_extra=_BODY,
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
    services: Services,
    caller: Caller,
    wire: TTSRequest,
    request_id: str | None = None,
    *,
    promised: bool = False,
) -> Speech:
    """Begin to speak what a request asks for. Raises RequestError, EngineError or HearingError."""
    return await Speech.begin(
        services,
        caller,
        wire.text,
        lambda: voiced(services, caller, wire),
        voice_field="references" if wire.references else "reference_id",
        request_id=request_id,
        promised=promised,
    )


async def _speech(request: Request, caller: Caller) -> Speech:
    """The request's text, which is being spoken."""
    services = services_of(request)
    body = await read_body(request, services.settings.max_message_bytes)
    wire = await parse(TTSRequest, body, request.headers.get("content-type", ""))
    return await speak(services, caller, wire)
