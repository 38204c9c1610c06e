"""``/model``: the voice library as the Fish Audio API has it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, get_args

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import FileResponse, Response, StreamingResponse

from engine import Voice
from transports.accounts.auth import Authenticated
from transports.description import answers, refuses, takes
from transports.errors import RequestError, invalid
from transports.fields import check
from transports.fish.voice_json import OWN_AUTHOR, PageJson, VoiceJson, own_json, voice_json
from transports.jobs.routes import base_of
from transports.services import Services, services_of
from transports.uploads import MULTIPART, URLENCODED, Fields, Upload, uploaded
from transports.voices import (
    MAX_COVER_BYTES,
    MAX_PAGE,
    MAX_RECORDING_BYTES,
    MAX_RECORDINGS,
    Changes,
    NewVoice,
    Query,
    SortBy,
    Visibility,
)
from transports.voices.languages import language_of

router = APIRouter()

_MAX_FILES = MAX_RECORDINGS + 2  # a few too many are told apart from far too many
_MAX_FORM = MAX_RECORDINGS * MAX_RECORDING_BYTES + MAX_COVER_BYTES + 1024 * 1024
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=3600"}


class ListQuery(BaseModel):
    """Query of ``GET /model``; ``mine`` is called ``self`` there."""

    page_size: int = Field(10, ge=1, le=MAX_PAGE)
    page_number: int = Field(1, ge=1, le=1_000_000)
    title: str = ""
    tag: list[str] = Field([], max_length=20)
    mine: bool = False
    author_id: str | None = None
    language: list[str] = Field([], max_length=100)
    title_language: list[str] = Field([], max_length=100)
    sort_by: SortBy = "score"


_FLAGS = {"true": True, "1": True, "false": False, "0": False, "": False}
_LISTS = ("tag", "language", "title_language")
_QUERY: dict[str, Any] = {
    "parameters": [
        {"name": "self" if name == "mine" else name, "in": "query", "schema": schema}
        for name, schema in ListQuery.model_json_schema()["properties"].items()
    ]
}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_CHANGES: dict[str, Any] = {
    "title": {"type": "string"},
    "description": {"type": "string"},
    "tags": _TEXTS,
    "visibility": {"type": "string", "enum": list(get_args(Visibility))},
    "cover_image": {"type": "string", "format": "binary"},
}
_NEW: dict[str, Any] = {
    **_CHANGES,
    "type": {"type": "string", "enum": ["tts"]},
    "train_mode": {"type": "string", "enum": ["fast"]},
    "voices": {
        "type": "array",
        "items": {"type": "string", "format": "binary"},
        "minItems": 1,
        "maxItems": MAX_RECORDINGS,
    },
    "texts": _TEXTS,
    "enhance_audio_quality": {"type": "boolean", "default": True},
    "generate_sample": {"type": "boolean", "default": False},
}


def _body(properties: dict[str, Any], required: list[str], *kinds: str) -> dict[str, Any]:
    return takes({"type": "object", "properties": properties, "required": required}, *kinds)


NEW_BODY = _body(_NEW, ["title", "voices"], MULTIPART, "application/msgpack")
CHANGES_BODY = _body(_CHANGES, [], MULTIPART, "application/msgpack")
CHANGES_BODY["requestBody"]["content"] |= _body(  # no picture fits into these
    {name: _CHANGES[name] for name in _CHANGES if name != "cover_image"}, [], URLENCODED, "application/json"
)["requestBody"]["content"]


@router.get("/model", summary="List voices", responses=refuses(400), openapi_extra=_QUERY)
async def list_voices(request: Request, caller: Authenticated) -> PageJson:
    """The caller's voices, and public ones that are trained, the most used first (``score`` means that, too).

    After them come the model's own, as it has no older ones.
    """
    query = request.query_params
    given: dict[str, Any] = {name: query[name] for name in query if name not in _LISTS}
    for name in _LISTS:
        given[name] = [value for value in (*query.getlist(name), *query.getlist(f"{name}[]")) if value]
    if (own := query.get("self", "false").lower()) not in _FLAGS:
        raise invalid("self", own, "true or false")
    wire = check(ListQuery, given | {"mine": _FLAGS[own]})
    found = Query(
        title=wire.title,
        tags=wire.tag,
        mine=wire.mine,
        author=wire.author_id,
        languages=wire.language,
        title_languages=wire.title_language,
        sort_by=wire.sort_by,
        page_size=wire.page_size,
        page_number=wire.page_number,
    )
    services = services_of(request)
    page = await services.voices.find(caller.account, found)
    items = [voice_json(voice, base_of(request)) for voice in page.voices]
    native = _own_voices(services, wire)
    first = (wire.page_number - 1) * wire.page_size
    start = max(0, first - page.total)
    items += [own_json(each) for each in native[start : start + wire.page_size - len(items)]]
    total = page.total + len(native)
    return PageJson(total=total, items=items, has_more=first + len(items) < total)


@router.post(
    "/model",
    status_code=201,
    summary="Create a voice",
    responses=refuses(400, 403, 413, 415, 503),
    openapi_extra=NEW_BODY,
)
async def create_voice(request: Request, caller: Authenticated) -> VoiceJson:
    """Make a voice of up to ten recordings. It can be used at once: who speaks with it waits for its training."""
    services = services_of(request)
    async with voice_fields(request, services) as fields:
        new = await new_voice(fields)
        voice = await services.voices.create(caller.account, new)
    return voice_json(voice, base_of(request))


@router.get("/model/{voice_id}", summary="One voice", responses=refuses(404))
async def get_voice(request: Request, voice_id: str, caller: Authenticated) -> VoiceJson:
    """A voice of the caller, or one that is not private; or one of the model's own."""
    if (own := _own_voice(services_of(request), voice_id)) is not None:
        return own_json(own)
    voice = await services_of(request).voices.get(caller.account, voice_id)
    return voice_json(voice, base_of(request))


@router.patch(
    "/model/{voice_id}",
    summary="Change a voice",
    responses=refuses(400, 403, 404, 413, 415, 503),
    openapi_extra=CHANGES_BODY,
)
async def update_voice(request: Request, voice_id: str, caller: Authenticated) -> VoiceJson:
    """Change what is given of one of the caller's own voices."""
    services = services_of(request)
    _check_not_own(services, voice_id)
    async with voice_fields(request, services) as fields:
        changes = await voice_changes(fields)
        voice = await services.voices.update(caller.account, voice_id, changes)
    return voice_json(voice, base_of(request))


@router.delete("/model/{voice_id}", summary="Delete a voice", responses=refuses(403, 404))
async def delete_voice(request: Request, voice_id: str, caller: Authenticated) -> dict[str, str]:
    """Delete one of the caller's own voices, with all its recordings."""
    _check_not_own(services_of(request), voice_id)
    await services_of(request).voices.delete(caller.account, voice_id)
    return {"message": "deleted"}


@router.get(
    "/model/{voice_id}/cover",
    summary="A voice's picture",
    response_class=Response,
    responses=answers("The picture.", "image/png", "image/jpeg", "image/webp") | refuses(404),
)
async def get_cover(request: Request, voice_id: str, caller: Authenticated) -> Response:
    """The cover picture."""
    services = services_of(request)
    voice = await services.voices.get(caller.account, voice_id)
    if voice.cover is None or voice.cover_type is None:
        raise RequestError(f"model: {voice_id[:100]!r} has no cover picture", 404)
    return _blob(services, voice.cover, voice.cover_type)


@router.get(
    "/model/{voice_id}/samples/{number}.flac",
    summary="A recording",
    response_class=Response,
    responses=answers("The recording.", "audio/flac") | refuses(404),
)
async def get_sample(request: Request, voice_id: str, number: str, caller: Authenticated) -> Response:
    """A recording of the voice as it was prepared, or a sample that was generated."""
    services = services_of(request)
    voice = await services.voices.get(caller.account, voice_id)
    for sample in voice.samples:
        if str(sample.number) == number:
            return _blob(services, sample.blob, "audio/flac")
    raise RequestError(f"model: {voice_id[:100]!r} has no sample {number[:20]!r}", 404)


# -- for other dialects, too ------------------------------------------------------------------------------


@asynccontextmanager
async def voice_fields(request: Request, services: Services) -> AsyncIterator[Fields]:
    """The fields of a request that makes or changes a voice; its files are there for the time of the context."""
    async with uploaded(
        request,
        max_files=_MAX_FILES,
        max_bytes=_MAX_FORM,
        max_in_memory=services.settings.max_message_bytes,
    ) as fields:
        yield fields


async def new_voice(fields: Fields, visibility: Visibility = "private") -> NewVoice:
    """The voice that is to be made. Raises :class:`RequestError`."""
    for name, only in (("type", "tts"), ("train_mode", "fast")):
        if (value := fields.text(name)) not in (None, "", only):
            raise invalid(name, value, only)
    if (title := fields.text("title")) is None:
        raise RequestError("title: missing", field="title")
    recordings = fields.files("voices")
    for number, file in enumerate(recordings):
        _check_size(file, f"voices[{number}]", MAX_RECORDING_BYTES)
    return NewVoice(
        title=title,
        recordings=[file.read for file in recordings],
        texts=fields.texts("texts"),
        description=fields.text("description") or "",
        tags=fields.words("tags") or (),
        visibility=_visibility(fields) or visibility,
        cover=await _cover(fields),
        enhance=fields.flag("enhance_audio_quality") is not False,
        generate_sample=fields.flag("generate_sample") is True,
    )


async def voice_changes(fields: Fields) -> Changes:
    """What is to be changed. Raises :class:`RequestError`."""
    return Changes(
        title=fields.text("title"),
        description=fields.text("description"),
        tags=fields.words("tags"),
        visibility=_visibility(fields),
        cover=await _cover(fields),
    )


def _own_voice(services: Services, id_: str) -> Voice | None:
    """The model's own voice of this id. While the model is loading it has none."""
    voices = services.engine.info.voices if services.engine.ready else ()
    return next((voice for voice in voices if voice.id == id_), None)


def _own_voices(services: Services, wire: ListQuery) -> list[Voice]:
    """The model's own voices that are asked for: they are nobody's, and have no tags."""
    if wire.mine or wire.tag or wire.author_id not in (None, OWN_AUTHOR) or not services.engine.ready:
        return []
    return [
        voice
        for voice in services.engine.info.voices
        if wire.title.casefold() in voice.name.casefold()
        and (not wire.language or voice.language in wire.language)
        and (not wire.title_language or language_of(voice.name) in wire.title_language)
    ]


def _check_not_own(services: Services, id_: str) -> None:
    if _own_voice(services, id_) is not None:
        raise RequestError(f"model: {id_!r} belongs to {services.engine.info.name}", 403)


def _visibility(fields: Fields) -> Visibility | None:
    match fields.text("visibility"):
        case None | "":
            return None
        case ("public" | "unlist" | "private") as visibility:
            return visibility
        case value:
            raise invalid("visibility", value, "public, unlist or private")


async def _cover(fields: Fields) -> bytes | None:
    if (file := fields.file("cover_image")) is None:
        return None
    _check_size(file, "cover_image", MAX_COVER_BYTES)
    return await file.read()


def _check_size(file: Upload, field: str, limit: int) -> None:
    """Before it is read: a large one is on the disk."""
    if file.size > limit:
        raise RequestError(f"{field}: got {file.size} bytes; expected at most {limit}", 413, field=field)


def _blob(services: Services, key: str, kind: str) -> Response:
    if (path := services.blobs.path(key)) is not None:
        return FileResponse(path, media_type=kind, headers=_HEADERS)
    return StreamingResponse(services.blobs.stream(key), media_type=kind, headers=_HEADERS)
