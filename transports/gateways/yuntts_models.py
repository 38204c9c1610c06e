"""yuntts' voices: the voice library at other addresses, with the model's own voices as the official ones."""

import re
from dataclasses import replace
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from sqlalchemy import select
from starlette.responses import JSONResponse, Response

from engine import Voice
from transports.accounts import Caller
from transports.accounts.auth import Authenticated
from transports.accounts.tables import Account, Package
from transports.description import refuses
from transports.errors import RequestError
from transports.fields import check
from transports.fish.models import CHANGES_BODY, NEW_BODY, new_voice, voice_changes, voice_fields
from transports.fish.voice_json import voice_json
from transports.jobs.routes import base_of
from transports.services import Services, services_of
from transports.voices import MAX_RECORDINGS, Changes, LibraryVoice, Query

router = APIRouter(prefix="/api/v1/fish-audio/model")

LEVELS = {"vip": 10, "boos vip": None}
"""How many voices an account may have, by the type of its package; None is any number."""
DEFAULT_LEVEL = 2
_ID = re.compile(r"^[0-9a-f]{32}$")
_COUNTS = {"like_count": 0, "mark_count": 0, "shared_count": 0}
_TIME = "%Y-%m-%d %H:%M:%S"


class ListQuery(BaseModel):
    """Query of ``/model/list``."""

    page: int = Field(1, ge=1, le=1_000_000)
    page_size: int = Field(20, ge=1, le=100)
    search: str = Field("", max_length=200, pattern=r"^[^\x00]*$")
    visibility: Literal["public", "private"] | None = None
    source: Literal["official", "community", "upload"] | None = None


_QUERY: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "query", "schema": schema}
        for name, schema in ListQuery.model_json_schema()["properties"].items()
    ]
}
_MODEL_ID: dict[str, Any] = {
    "parameters": [
        {
            "name": "model_id",
            "in": "query",
            "required": True,
            "schema": {"type": "string", "pattern": _ID.pattern},
        }
    ]
}
_UPDATE: dict[str, Any] = {
    "responses": refuses(400, 403, 404, 413, 415, 503),
    "openapi_extra": _MODEL_ID | CHANGES_BODY,
}


@router.post("", summary="Create a voice", responses=refuses(400, 403, 413, 415, 503), openapi_extra=NEW_BODY)
async def create_voice(request: Request, caller: Authenticated) -> Response:
    """Make a voice of recordings."""
    services = services_of(request)
    async with voice_fields(request, services) as fields:
        if not (recordings := fields.files("voices")):
            raise RequestError("voices: missing; expected 1 to 10 recordings", code="missing_audio")
        if len(recordings) > MAX_RECORDINGS:
            raise RequestError(f"voices: more than {MAX_RECORDINGS} files", code="too_many_files")
        if not (fields.text("title") or "").strip():
            raise RequestError("title: missing", code="missing_title")
        new = await new_voice(fields)
        enhance = fields.flag("enhance_audio_quality") is True
        await _check_level(services, caller)
        voice = await services.voices.create(caller.account, replace(new, enhance=enhance))
    answer = {
        "model_id": voice.id,
        "title": voice.title,
        "description": voice.description,
        "state": voice.state,
        "visibility": voice.visibility,
        "train_mode": "fast",
        "cover_image": _cover(voice, request),
        "samples": [],
        "reference_id": voice.id,
        "message": "音色模型创建成功,训练中请稍候",
    }
    return JSONResponse(answer)


@router.get("/list", summary="List voices", responses=refuses(400), openapi_extra=_QUERY)
async def list_voices(request: Request, caller: Authenticated) -> Response:
    """The official voices, which are the model's own, and then those of the library."""
    services = services_of(request)
    wire = check(ListQuery, dict(request.query_params))
    first = (wire.page - 1) * wire.page_size
    official = _official(services, wire)
    items = [_official_json(voice) for voice in official[first : first + wire.page_size]]
    total = len(official)
    if wire.source != "official":
        count, voices = await _of_library(
            services, caller, wire, max(first - total, 0), wire.page_size - len(items)
        )
        items += [_item(voice, caller, request) for voice in voices]
        total += count
    return JSONResponse({"total": total, "items": items, "has_more": first + len(items) < total})


@router.patch("/update", summary="Change a voice", **_UPDATE)
@router.post("/update", summary="Change a voice", **_UPDATE)
async def update_voice(request: Request, caller: Authenticated) -> Response:
    """Change what is given of one of the caller's own voices."""
    services = services_of(request)
    async with voice_fields(request, services) as fields:
        changes = await voice_changes(fields)
        if changes == Changes():
            raise RequestError("body: nothing to change in it", code="missing_params")
        voice = await services.voices.update(caller.account, _model_id(request), changes)
    answer = {
        "model_id": voice.id,
        "title": voice.title,
        "description": voice.description,
        "visibility": voice.visibility,
        "cover_image": _cover(voice, request),
        "message": "音色模型更新成功",
    }
    return JSONResponse(answer)


@router.delete("/delete", summary="Delete a voice", responses=refuses(400, 403, 404), openapi_extra=_MODEL_ID)
async def delete_voice(request: Request, caller: Authenticated) -> Response:
    """Delete one of the caller's own voices."""
    voice = _model_id(request)
    await services_of(request).voices.delete(caller.account, voice)
    return JSONResponse({"model_id": voice, "message": "音色模型删除成功"})


async def _check_level(services: Services, caller: Caller) -> None:
    """Refuse one voice more than the caller's level may have. An account that need not pay has no level."""
    package = select(Package.type).where(Package.account_id == caller.account)
    async with services.database.reading() as session:
        account = await session.get(Account, caller.account)
        level = await session.scalar(package)
    if account is None or not account.limited:
        return
    most = LEVELS.get((level or "").lower(), DEFAULT_LEVEL)
    if most is None:
        return
    if (await services.voices.find(caller.account, Query(mine=True, page_size=1))).total >= most:
        raise RequestError(f"voices: this account may have {most}, and has them", code="model_limit_exceeded")


async def _of_library(
    services: Services, caller: Caller, wire: ListQuery, start: int, most: int
) -> tuple[int, list[LibraryVoice]]:
    """How many voices of the library there are, and up to ``most`` of them from the ``start``-th on."""
    query = Query(
        title=wire.search,
        mine=wire.source == "upload",
        visibility="public" if wire.source == "community" else wire.visibility,
        sort_by="created_at",
        page_size=wire.page_size,
        page_number=start // wire.page_size + 1,
    )
    page = await services.voices.find(caller.account, query)
    voices = list(page.voices)
    if page.more and start % wire.page_size:
        following = replace(query, page_number=query.page_number + 1)
        voices += (await services.voices.find(caller.account, following)).voices
    offset = start % wire.page_size
    return page.total, voices[offset : offset + most]


def _official(services: Services, wire: ListQuery) -> list[Voice]:
    if wire.source in ("community", "upload") or wire.visibility == "private":
        return []
    wanted = wire.search.casefold()
    return [voice for voice in services.engine.info.voices if wanted in voice.name.casefold()]


def _official_json(voice: Voice) -> dict[str, Any]:
    return {
        "_id": voice.id,
        "title": voice.name,
        "description": voice.description,
        "cover_image": "",
        "state": "trained",
        "tags": [],
        "created_at": "",
        "updated_at": "",
        "visibility": "public",
        **_COUNTS,
        "task_count": 0,
        "train_mode": "fast",
        "samples": [],
        "languages": [voice.language],
        "voice_source": "official",
        "author": {"_id": "", "nickname": "parrotfish", "avatar": ""},
        "is_own": False,
    }


def _item(voice: LibraryVoice, caller: Caller, request: Request) -> dict[str, Any]:
    own = voice.account == caller.account
    return {
        "_id": voice.id,
        "title": voice.title,
        "description": voice.description,
        "cover_image": _cover(voice, request),
        "state": voice.state,
        "tags": list(voice.tags),
        "created_at": voice.created_at.strftime(_TIME),
        "updated_at": voice.updated_at.strftime(_TIME),
        "visibility": voice.visibility,
        **_COUNTS,
        "task_count": voice.task_count,
        "train_mode": "fast",
        "samples": [sample.audio for sample in voice_json(voice, base_of(request)).samples],
        "languages": list(voice.languages),
        "voice_source": "upload" if own else "community",
        "author": {"_id": voice.account, "nickname": voice.author, "avatar": ""},
        "is_own": own,
    }


def _cover(voice: LibraryVoice, request: Request) -> str:
    return voice_json(voice, base_of(request)).cover_image


def _model_id(request: Request) -> str:
    if not (voice := request.query_params.get("model_id", "")):
        raise RequestError("model_id: missing; expected the id of a voice", code="missing_params")
    if not _ID.fullmatch(voice):
        raise RequestError(f"model_id: there is no voice {voice[:80]!r}", 404, field="model_id")
    return voice
