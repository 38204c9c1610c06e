"""Ace Data Cloud: ``POST /fish/tts`` answers with an address, or later to a callback; ``/fish/tasks`` has both.

What is wrong with a field is told as in its document, by pydantic's own list of errors in ``message``, and in the
shape of its other errors at the same time.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, Literal
from uuid import uuid4

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import JSONResponse, Response

from transports.accounts import Caller, Kind
from transports.accounts.auth import Authenticated
from transports.description import refuses, takes
from transports.errors import Failure, RequestError
from transports.fields import JSON, decode, given, parse, unhurried
from transports.fish.http import speak, voiced
from transports.fish.schema import TTSRequest
from transports.jobs import Job
from transports.jobs.routes import base_of
from transports.jobs.saving import save
from transports.jobs.speaking import request_of, speak_later, speaking_job
from transports.services import Services, services_of
from transports.speech import check_text, read_body

router = APIRouter()

PREFIX = "/fish/"
KIND = "acedata"
MAX_TASKS = 20

_SHOWN = 100
_CODES = {401: "invalid_token", 402: "used_up", 403: "forbidden", 404: "not_found", 429: "too_many_requests"}


class AceTTSRequest(TTSRequest):
    """Body of ``POST /fish/tts``: Fish Audio's, whose format must be given, and a callback."""

    text: str = Field(min_length=1)
    format: Literal["pcm", "mp3"]
    latency: Literal["low", "normal", "balanced"] = "normal"
    callback_url: str | None = None


class TasksRequest(BaseModel):
    """Body of ``POST /fish/tasks``."""

    model_config = ConfigDict(extra="ignore", strict=True)

    action: Literal["retrieve", "retrieve_batch"] = "retrieve"
    id: str = ""
    ids: Annotated[list[str], Field(max_length=MAX_TASKS)] = []


class AceErrorDetail(BaseModel):
    """What is wrong."""

    code: str
    message: str


class AceErrorJson(BaseModel):
    """An error as Ace Data Cloud words it.

    Of a wrong field ``message`` has pydantic's list, and ``status`` is 400; of others there is neither.
    """

    success: Literal[False]
    error: AceErrorDetail
    trace_id: str
    status: int | None = None
    message: str | None = None


@router.post(
    "/fish/tts",
    summary="Text to speech, as Ace Data Cloud has it",
    responses=refuses(400, 402, 413, 415, 429, 500, 503),
    openapi_extra=takes(AceTTSRequest, *JSON),
)
async def text_to_speech(request: Request, caller: Authenticated) -> Response:
    """Speak a text into a file: answers with its address, or at once if there is a callback to post it to."""
    services = services_of(request)
    body = await read_body(request, services.settings.max_message_bytes)
    kind = request.headers.get("content-type", "")
    try:
        fields, wire = await unhurried(body, lambda: _parsed(body, kind))
    except ValidationError as error:
        return _invalid(error)
    if wire.callback_url is None:
        speech = await speak(services, caller, wire)
        kept = await save(services, speech)
        return JSONResponse({"audio_url": services.files.url(base_of(request), kept)})
    job = await _promise(services, caller, wire, fields, base_of(request))
    return JSONResponse({"task_id": job.id, "started_at": _iso(job.created_at)})


@router.post(
    "/fish/tasks",
    summary="Tasks of Ace Data Cloud's text to speech",
    responses=refuses(400, 404, 413, 415),
    openapi_extra=takes(TasksRequest, *JSON),
)
async def tasks(request: Request, caller: Authenticated) -> Response:
    """One of the caller's tasks by its id, or several."""
    services = services_of(request)
    body = await read_body(request, services.settings.max_message_bytes)
    wire = await parse(TasksRequest, body, request.headers.get("content-type", ""), JSON)
    ids = [wire.id] if wire.action == "retrieve" else wire.ids
    found = [await services.jobs.get(id_, caller.account) for id_ in ids]
    items = [_task(job) for job in found if job is not None and job.kind == KIND]
    if wire.action == "retrieve_batch":
        return JSONResponse({"items": items, "count": len(items)})
    if not items:
        raise RequestError(f"id: there is no task {wire.id[:80]!r}", 404, field="id")
    return JSONResponse(items[0])


def _parsed(body: bytes, content_type: str) -> tuple[dict[str, Any], AceTTSRequest]:
    """The fields that are known and not null, and what they mean. Raises RequestError or ValidationError."""
    fields = decode(body, content_type, JSON)
    if isinstance(fields, dict):
        fields = given(fields, AceTTSRequest)
    return fields, AceTTSRequest.model_validate(fields)


def run(services: Services) -> Callable[[Job], Awaitable[dict[str, Any]]]:
    """What its jobs do."""
    return partial(speak_later, services)


def report(job: Job) -> dict[str, Any]:
    """What is posted to the callback."""
    if job.state == "done":
        assert job.result is not None
        return {"task_id": job.id, "audio_url": orjson.loads(job.result)["url"]}
    failed = Failure(job.error or "", job.error_status or 500)
    return {"task_id": job.id, **_error(failed, job.id)}


def tell(failed: Failure) -> JSONResponse:
    """An error in this API's shape."""
    return JSONResponse(_error(failed, str(uuid4())), failed.status, dict(failed.headers))


async def _promise(
    services: Services, caller: Caller, wire: AceTTSRequest, fields: dict[str, Any], base: str
) -> Job:
    """Accept the task. What can be known to go wrong is refused now."""
    assert wire.callback_url is not None
    check_text(services, wire.text)
    await services.callbacks.check(wire.callback_url)
    with await services.accounts.admit(caller, Kind.TTS):
        await voiced(services, caller, wire)
    wanted = speaking_job(caller, {**fields, "latency": wire.latency}, base)
    return await services.jobs.add(caller.account, KIND, wanted, wire.callback_url)


def _invalid(error: ValidationError) -> JSONResponse:
    errors = [
        {**each, "input": _short(each["input"])}
        for each in error.errors(include_url=False, include_context=False)
    ]
    message = orjson.dumps(errors).decode()
    failed = Failure(message, 400)
    return JSONResponse({"status": 400, "message": message, **_error(failed, str(uuid4()))}, 400)


def _short(value: Any) -> Any:
    """A wrong value as it is, unless it is large."""
    if value is None or isinstance(value, bool | int | float):
        return value
    return value if isinstance(value, str) and len(value) <= _SHOWN else f"{repr(value)[:_SHOWN]}…"


def _error(failed: Failure, trace: str) -> dict[str, Any]:
    code = _CODES.get(failed.status, "api_error" if failed.status >= 500 else "token_mismatched")
    return {"success": False, "error": {"code": code, "message": failed.message}, "trace_id": trace}


def _task(job: Job) -> dict[str, Any]:
    task: dict[str, Any] = {
        "id": job.id,
        "type": "audios",
        "request": request_of(job),
        "created_at": job.created_at.timestamp(),
        "started_at": _iso(job.created_at),
    }
    if job.finished_at is not None:
        task["finished_at"] = job.finished_at.timestamp()
        task["elapsed"] = round((job.finished_at - job.created_at).total_seconds(), 3)
        task["response"] = {"success": job.state == "done", **report(job)}
    return task


def _iso(time: datetime) -> str:
    """A time as the document writes it: UTC, in milliseconds."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
