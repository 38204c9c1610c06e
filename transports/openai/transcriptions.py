"""``POST /v1/audio/transcriptions``: OpenAI's speech to text.

``prompt`` and ``temperature`` are ignored: no recogniser here takes them. Nor do we know the times of words, or
how sure a recogniser is: who asks for the former is told so, and of the latter the numbers say "quite".
"""

from collections.abc import Callable
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, PlainTextResponse, Response

from realtime.ears import HeardSegment, TooMuchAudio, Transcript, Unhearable
from transports.accounts.auth import Authenticated
from transports.description import answers, refuses, takes
from transports.errors import RequestError
from transports.fields import check
from transports.hearing import heard
from transports.services import services_of
from transports.uploads import MULTIPART, uploaded

router = APIRouter()


class TranscriptionRequest(BaseModel):
    """The fields of the form."""

    model_config = ConfigDict(extra="ignore", strict=True)

    file: bytes = Field(min_length=1)
    model: str = ""
    language: str | None = None
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    timestamp_granularities: list[Literal["segment"]] = []
    stream: bool = False


@router.post(
    "/v1/audio/transcriptions",
    summary="Speech to text, as OpenAI has it",
    response_class=Response,
    responses=answers("What was heard.", "application/json", "text/plain", "text/event-stream")
    | refuses(400, 413, 415, 429, 501, 502, 503),
    openapi_extra=takes(TranscriptionRequest, MULTIPART),
)
async def create_transcription(request: Request, caller: Authenticated) -> Response:
    """Recognise the speech in a file."""
    services = services_of(request)
    wire = await _parsed(request, services.settings.max_message_bytes)
    try:
        transcript = await heard(request, caller, wire.file, wire.language)
    except (Unhearable, TooMuchAudio) as error:
        status = 413 if isinstance(error, TooMuchAudio) else 400
        raise RequestError(f"file: {error}", status, field="file") from None
    if wire.stream:
        return Response(_events(transcript), media_type="text/event-stream")
    match wire.response_format:
        case "json":
            return JSONResponse({"text": transcript.text, "usage": _usage(transcript)})
        case "verbose_json":
            known = services.ears.info.languages if services.ears.info else ()
            language = wire.language or (known[0] if len(known) == 1 else "")
            return JSONResponse(_verbose(transcript, language))
        case "text":
            return PlainTextResponse(f"{transcript.text}\n")
        case "srt":
            return PlainTextResponse(_subtitles(transcript, lambda number: f"{number}\n", ","))
        case "vtt":
            return PlainTextResponse("WEBVTT\n\n" + _subtitles(transcript, lambda _: "", "."))


async def _parsed(request: Request, limit: int) -> TranscriptionRequest:
    """The form, checked. Raises :class:`RequestError`."""
    async with uploaded(request, kinds=(MULTIPART,), max_files=1, max_bytes=limit) as form:
        fields: dict[str, Any] = {
            "file": await form.content("file"),
            "stream": form.flag("stream"),
            "timestamp_granularities": form.texts("timestamp_granularities"),
            **{name: form.text(name) or None for name in ("model", "language", "response_format")},
        }
    return check(TranscriptionRequest, fields)


def _verbose(transcript: Transcript, language: str) -> dict[str, Any]:
    return {
        "task": "transcribe",
        "language": language,
        "duration": round(transcript.seconds, 3),
        "text": transcript.text,
        "segments": [_segment(number, part) for number, part in enumerate(transcript.segments)],
        "usage": _usage(transcript),
    }


def _segment(number: int, part: HeardSegment) -> dict[str, Any]:
    return {
        "id": number,
        "seek": 0,
        "start": round(part.start, 3),
        "end": round(part.end, 3),
        "text": part.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }


def _subtitles(transcript: Transcript, head: Callable[[int], str], point: str) -> str:
    return "".join(
        f"{head(number)}{_clock(part.start, point)} --> {_clock(part.end, point)}\n{part.text}\n\n"
        for number, part in enumerate(transcript.segments, start=1)
    )


def _clock(seconds: float, point: str) -> str:
    """A time as subtitles have it."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{milliseconds:03}"


def _events(transcript: Transcript) -> bytes:
    """All of it at once: what follows can change what was heard."""
    events = (
        {"type": "transcript.text.delta", "delta": transcript.text},
        {"type": "transcript.text.done", "text": transcript.text},
    )
    return b"".join(b"data: " + orjson.dumps(event) + b"\n\n" for event in events)


def _usage(transcript: Transcript) -> dict[str, Any]:
    return {"type": "duration", "seconds": round(transcript.seconds, 3)}
