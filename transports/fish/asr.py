"""``POST /v1/asr``: a recording in, its words out.

``duration`` is in **seconds**, like the times of the segments. The official SDK 1.3.0 says milliseconds in its
docstring, the API's description says seconds, as do the gateways' documents, whose example has ``5.2``; and when
Fish Audio ran every example of its documentation against the live API it corrected "ms" to seconds there
(fishaudio/docs, pull request 83, June 2026).

Segments are left out only if ``ignore_timestamps`` is true: to us they cost nothing, and the legacy SDK sends
null for "with timestamps".
"""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict

from realtime.ears import Transcript
from transports.accounts.auth import Authenticated
from transports.description import refuses, takes
from transports.fields import MSGPACK, check
from transports.hearing import heard
from transports.services import services_of
from transports.uploads import MULTIPART, uploaded

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


_KINDS = (MULTIPART, *MSGPACK)
DOCUMENTED: dict[str, Any] = {
    "responses": refuses(400, 402, 413, 415, 429, 501, 502, 503),
    "openapi_extra": takes(ASRRequest, MULTIPART, MSGPACK[0]),
}


@router.post("/v1/asr", summary="Speech to text", **DOCUMENTED)
async def speech_to_text(request: Request, caller: Authenticated) -> ASRResponse:
    """Recognise the speech in a recording."""
    limit = services_of(request).settings.max_message_bytes
    async with uploaded(request, kinds=_KINDS, max_files=1, max_bytes=limit, max_in_memory=limit) as fields:
        given = {
            "audio": await fields.content("audio"),
            "language": fields.text("language") or None,
            "ignore_timestamps": fields.flag("ignore_timestamps"),
        }
    wire = check(ASRRequest, given)
    transcript = await heard(request, caller, wire.audio, wire.language)
    return asr_response(transcript, segments=not wire.ignore_timestamps)


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
