"""Serves the demo page at ``/``, its files under ``/web/``, and what it shows of voices and the agent."""

import mimetypes
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from engine import EngineStopped
from transports.errors import error_response
from transports.services import services_of

router = APIRouter(include_in_schema=False)

_HERE = Path(__file__).parent
_FILES = {folder: StaticFiles(directory=_HERE / folder) for folder in ("static", "vendor")}
# Browsers refuse a module script of any other type, and some systems' own tables have one.
mimetypes.add_type("text/javascript", ".js")

# The page needs its own files, its own server and nothing else. 'self' covers ws:// to the same host.
_SECURITY = {
    "Content-Security-Policy": "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@router.api_route("/", methods=["GET", "HEAD"])
async def page(request: Request) -> Response:
    """The page itself."""
    return await _file("static", "index.html", request)


@router.api_route("/web/{folder}/{path:path}", methods=["GET", "HEAD"])
async def file(folder: str, path: str, request: Request) -> Response:
    """A script, style sheet or picture of the page."""
    return await _file(folder, path, request)


@router.get("/web/voices")
async def voices(request: Request) -> JSONResponse:
    """The voices of the model that is loaded; 503 while none is."""
    try:
        info = services_of(request).engine.info
    except EngineStopped:
        return error_response("the model is still loading", 503, retry_after=1)
    listed: list[dict[str, Any]] = [
        {"id": voice.id, "name": voice.name, "description": voice.description} for voice in info.voices
    ]
    return JSONResponse({"model": info.name, "default": info.default_voice, "voices": listed})


@router.get("/web/agent")
async def agent(request: Request) -> JSONResponse:
    """What agents think with, how many conversations there are, and how many there may be."""
    agents = services_of(request).agents
    return JSONResponse({"mind": agents.mind_name, "open": agents.open, "max": agents.settings.max_agents})


async def _file(folder: str, path: str, request: Request) -> Response:
    if folder not in _FILES:
        return error_response(f"{request.url.path}: Not Found", 404)
    response = await _FILES[folder].get_response(path, request.scope)
    response.headers.update(_SECURITY)
    response.headers["Cache-Control"] = "no-cache"  # asked for each time, sent only if it changed
    return response
