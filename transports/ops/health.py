"""``/health`` says that the process is alive, ``/ready`` that it would take work now."""

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from transports.services import services_of

router = APIRouter()


@router.get("/health", summary="Is the process alive?")
async def health() -> dict[str, str]:
    """Always 200 while the event loop turns."""
    return {"status": "ok"}


@router.get("/ready", summary="Would it take work?")
async def ready(request: Request) -> JSONResponse:
    """200 once the model is warm; 503 while it loads, while the server drains, and when it is full."""
    engine = services_of(request).engine
    if not engine.ready:
        return JSONResponse({"status": "not ready"}, 503)
    streams = {"open_streams": engine.open_streams, "max_streams": engine.max_streams}
    full = engine.open_streams >= engine.max_streams
    return JSONResponse({"status": "full" if full else "ready", **streams}, 503 if full else 200)
