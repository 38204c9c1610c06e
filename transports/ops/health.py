"""``/health`` says that the process is alive, ``/ready`` that it would take work now."""

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse

from transports.services import services_of

router = APIRouter()


class StateJson(BaseModel):
    """What the engine does; how much of it, while it is ready."""

    status: Literal["ready", "full", "loading", "restarting", "draining", "failed"]
    open_streams: int | None = None
    speaking_streams: int | None = None
    max_streams: int | None = None


@router.get("/health", summary="Is the process alive?")
async def health() -> dict[str, str]:
    """Always 200 while the event loop turns."""
    return {"status": "ok"}


@router.get(
    "/ready", summary="Would it take work?", responses={200: {"model": StateJson}, 503: {"model": StateJson}}
)
async def ready(request: Request) -> JSONResponse:
    """200 while new work is taken; else 503, with ``status`` loading, full, restarting, draining or failed."""
    services = services_of(request)
    engine = services.engine
    answer: dict[str, str | int] = {"status": engine.state}
    if services.leaving.is_set() and engine.ready:
        answer["status"] = "draining"
    elif engine.ready:
        answer |= {
            "open_streams": engine.open_streams,
            "speaking_streams": engine.speaking_streams,
            "max_streams": engine.max_streams,
        }
        if engine.has_room:
            return JSONResponse(answer)
        answer["status"] = "full"
    return JSONResponse(answer, 503, {"Retry-After": "1"})
