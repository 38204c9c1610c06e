"""yuntts: ``/api/v1/fish-audio/tts`` and its voices, with its own codes for what is wrong.

Its document lists the codes but shows no error; the shape is that of WordPress, on which the site runs.
"""

from typing import Literal
from uuid import uuid4

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from transports.accounts import Kind
from transports.accounts.auth import Authenticated
from transports.description import answers, refuses, takes
from transports.errors import Failure, RequestError
from transports.fields import parse
from transports.fish.http import NOTE, speak
from transports.fish.schema import TTSRequest
from transports.gateways.yuntts_models import router as models_router
from transports.jobs.routes import base_of
from transports.jobs.saving import save
from transports.services import services_of
from transports.speech import SpeechResponse, read_body

PREFIX = "/api/v1/fish-audio/"

router = APIRouter()
router.include_router(models_router)

MODELS = ("s1", "s2-pro")
_MIMES = {"mp3": "audio/mpeg", "wav": "audio/wav", "pcm": "audio/pcm", "opus": "audio/opus"}
_BY_STATUS = {
    401: "unauthorized",
    402: "insufficient_balance",
    403: "permission_denied",
    404: "model_not_found",
    405: "method_not_allowed",
    429: "too_many_requests",
}
_BY_FIELD = {"format": "invalid_format", "visibility": "invalid_visibility"}
_MISSING = {"title": "missing_title", "cover_image": "missing_cover_image"}


class YunttsRequest(TTSRequest):
    """Body of ``POST /api/v1/fish-audio/tts``: Fish Audio's with other defaults, and whether to stream."""

    text: str = ""
    chunk_length: int = Field(300, ge=100, le=300)
    format: Literal["wav", "pcm", "mp3", "opus"] = "mp3"
    latency: Literal["low", "normal", "balanced"] = "normal"
    opus_bitrate: int = -1000
    stream: bool = True


class YunttsErrorData(BaseModel):
    """The status once more."""

    status: int


class YunttsErrorJson(BaseModel):
    """An error as yuntts' site words it, with the codes of its document."""

    code: str
    message: str
    data: YunttsErrorData


@router.post(
    "/api/v1/fish-audio/tts",
    summary="Text to speech, as yuntts has it",
    response_class=Response,
    responses=answers(
        "The audio as it is made, or the address of a file with all of it.",
        "application/json",
        *_MIMES.values(),
        X_Characters="Of the text.",
        X_Cost="Of the text, in the server's credit.",
        X_Task_Id="Of this request.",
        X_Parrotfish_Note=NOTE,
    )
    | refuses(400, 402, 404, 413, 415, 429, 500, 503),
    openapi_extra=takes(YunttsRequest, "application/json", "application/msgpack"),
)
async def text_to_speech(request: Request, caller: Authenticated) -> Response:
    """Speak a text: the audio as it is made, or the address of a file with all of it."""
    services = services_of(request)
    body = await read_body(request, services.settings.max_message_bytes)
    wire = await parse(YunttsRequest, body, request.headers.get("content-type", ""))
    if not wire.text:
        raise RequestError("text: missing", code="missing_text")
    if (model := request.headers.get("model", MODELS[1])) not in MODELS:
        raise RequestError(f"model: got {model[:40]!r}; expected {' or '.join(MODELS)}", code="invalid_model")
    if not wire.reference_id and not wire.references:
        raise RequestError("reference_id: missing; expected it or references", code="missing_reference")
    task = f"fishaudio_{uuid4().hex[:13]}"
    speech = await speak(services, caller, wire, task)
    micros = services.settings.prices.micros(Kind.TTS) * len(wire.text.encode())
    cost = round(float(micros) / 1e6, 6)
    if wire.stream:
        headers = {"X-Characters": str(len(wire.text)), "X-Cost": f"{cost:f}", "X-Task-Id": task}
        return SpeechResponse(speech, _MIMES[wire.format], lambda audio: audio.data, headers=headers)
    kept = await save(services, speech)
    url = services.files.url(base_of(request), kept)
    return JSONResponse({"url": url, "chars": len(wire.text), "cost": cost, "task_id": task})


def tell(failed: Failure) -> JSONResponse:
    """An error in this API's shape."""
    status = failed.status
    if failed.field == "reference_id" and status == 400:
        status = 404
    code = failed.code or _BY_STATUS.get(status) or _BY_FIELD.get(failed.field or "")
    if failed.message.startswith(f"{failed.field}: missing"):
        code = code or _MISSING.get(failed.field or "")
    if failed.message.startswith("body: Too many files"):
        code = "too_many_files"
    if (failed.field or "").startswith("voices"):
        code, status = {413: "audio_too_large"}.get(status, "invalid_audio_type"), 400
    code = code or ("internal_error" if status >= 500 else "invalid_params")
    content = {"code": code, "message": failed.message, "data": {"status": status}}
    return JSONResponse(content, status, dict(failed.headers))
