"""``POST /v1/asr``: a recording in, its words out.

``duration`` is in **seconds**, like the times of the segments. The official SDK 1.3.0 says milliseconds in its
docstring, the API's description says seconds, as do the gateways' documents, whose example has ``5.2``; and when
Fish Audio ran every example of its documentation against the live API it corrected "ms" to seconds there
(fishaudio/docs, pull request 83, June 2026).

Segments are left out only if ``ignore_timestamps`` is true: to us they cost nothing, and the legacy SDK sends
null for "with timestamps".
"""

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from realtime.ears import Transcript
from transports.accounts.auth import authenticate
from transports.errors import RequestError
from transports.fields import MSGPACK, check, decode
from transports.forms import MULTIPART, parse_form
from transports.hearing import heard
from transports.services import services_of
from transports.speech import read_body

router = APIRouter()


class ASRRequest(BaseModel):
    """Body of ``POST /v1/asr``: a file of any format, and the language in it if it is known."""

    model_config = ConfigDict(extra="ignore", strict=True)

    audio: bytes
    language: str | None = None
    ignore_timestamps: bool = False


class ASRSegment(BaseModel):
    """Words that belong together; times in seconds."""

    text: str
    start: float
    end: float


class ASRResponse(BaseModel):
    """What was heard; ``duration`` of the audio in seconds."""

    text: str
    duration: float
    segments: list[ASRSegment]


_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": ASRRequest.model_json_schema()} for kind in (MULTIPART, "application/msgpack")
        },
    },
}


@router.post("/v1/asr", summary="Speech to text", openapi_extra=_BODY, response_model=ASRResponse)
async def speech_to_text(request: Request) -> ASRResponse:
    """Recognise the speech in a recording."""
    services = services_of(request)
    caller = await authenticate(request)
    body = await read_body(request, services.settings.max_message_bytes)
    wire = await asyncio.to_thread(parse_asr, body, request.headers.get("content-type", ""))
    transcript = await heard(request, caller, wire.audio, wire.language)
    return asr_response(transcript, segments=not wire.ignore_timestamps)


def parse_asr(body: bytes, content_type: str) -> ASRRequest:
    """Decode and check a body, which may be large: not for the event loop. Raises :class:`RequestError`."""
    fields: Any
    if content_type.partition(";")[0].strip().lower() == MULTIPART:
        form = parse_form(body, content_type)
        fields = {
            "audio": form.data("audio"),
            "language": form.text("language"),
            "ignore_timestamps": form.flag("ignore_timestamps"),
        }
    else:
        fields = decode(body, content_type, (MULTIPART, *MSGPACK))
    wire = check(ASRRequest, fields)
    if not wire.audio:
        raise RequestError("audio: got no bytes; expected an audio file", field="audio")
    return wire


def asr_response(transcript: Transcript, *, segments: bool) -> ASRResponse:
    """A transcript as the API words it."""
    parts = transcript.segments if segments else ()
    return ASRResponse(
        text=transcript.text,
        duration=round(transcript.seconds, 3),
        segments=[
            ASRSegment(text=part.text, start=round(part.start, 3), end=round(part.end, 3)) for part in parts
        ],
    )
